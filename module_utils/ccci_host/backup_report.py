"""What the tries of a backup come to, in results: whose fault, what is missing, and which failure it is. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from . import backup_survey, full_disk, hooks
from .answer import Answer
from .backup_survey import Entry, Survey, Wanted
from .full_disk import Room

ID, PATHS = "backup.snapshot", "backup.paths"
EXPECTED = "abra makes a snapshot"
# What is the platform's fault in the words of a backup that failed; everything else is the recipe's: a hook, a label.
PLATFORM = re.compile(r"no backupbot|docker daemon|\brestic \w+ ended|unable to open repository", re.I)
# A hook's own output is in here too, so no expression may look for its end through a line of any length.
HUNG = re.compile(r"the hook `.{0,4000}` of service (\S{1,200}) did not end within \d+ s")
BROKE = re.compile(r"the hook `.{0,4000}` of service (\S{1,200}) ended with \d+.*")
BROKE_SOMEHOW = re.compile(r"\bhook\b.{0,1000}(fail|exit code|error)", re.IGNORECASE)  # another backup service's words
GONE = re.compile(r"not there|no such file|does not exist|not found", re.IGNORECASE)


@dataclass
class Try:
    """One backup: abra's return code and words, what the snapshot holds, and what it lacks (`missing`).

    `problems` are (what, why it surely holds nothing), `notes` what is only odd. `replaced`: containers were,
    meanwhile. `last_for` says why there is no further try although one might help.
    """

    rc: int = 0
    words: str = ""
    output: str = ""
    snapshot: dict[str, Any] = field(default_factory=dict)
    held: list[Entry] = field(default_factory=list)
    missing: list[Wanted] = field(default_factory=list)
    problems: list[tuple[Wanted, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    replaced: bool = False
    seconds: float = 0.0
    last_for: str = ""

    @property
    def lost(self) -> list[Wanted]:
        """What another try may find."""
        return [item for item in self.missing if not item.hopeless]

    def told(self, number: int) -> str:
        if self.rc:
            found = f"abra ended with {self.rc}: {self.words}"
        else:
            wrong = [f"{item.path} is missing" for item in self.missing]
            wrong += [f"{item.path}: {why}" for item, why in self.problems]
            found = f"snapshot {self.snapshot.get('id', '(unnamed)')}: {'; '.join(wrong) or 'it holds what it must'}"
        meanwhile = "containers were replaced meanwhile" if self.replaced else ""
        return "; ".join(filter(None, [f"try {number}, {self.seconds:.0f} s: {found}", meanwhile, self.last_for]))

    def to_json(self) -> dict[str, Any]:
        return {
            "rc": self.rc, "seconds": round(self.seconds, 1), "snapshot": self.snapshot.get("id"),
            "missing": [item.path for item in self.missing], "replaced": self.replaced,
        }  # fmt: skip


def survey_result(found: Survey, answer: Answer) -> bool:
    """The result backup.survey; whether anything is backed up at all. Pure."""
    expected = f"a service with the label {backup_survey.SWITCH}=true"
    evidence = "\n".join(found.lines)
    answer.facts["backup_survey"] = [row.to_json() for row in found.rows]
    if found.switched_on:
        observed = "; ".join([", ".join(found.switched_on), *(f"warning: {text}" for text in found.warnings)])
        hint = "Dump the database with a pre-hook, and import the dump with a restore hook" if found.warnings else None
        answer.result("backup.survey", "pass", expected=expected, observed=observed, evidence=evidence, hint=hint)
        return True
    answer.result(
        "backup.survey", "fail", expected=expected, evidence=evidence, failure_id="empty-backup",
        observed=f"no service is backed up: none of {', '.join(row.service for row in found.rows)} has it",
        hint='Add "backupbot.backup=true" to the deploy labels of the main service, or say in recipe.yml why not: '
             "backup: {not_applicable: …}",
    )  # fmt: skip
    return False


def missing_by_words(output: str, wanted: Sequence[Wanted]) -> list[Wanted]:
    """What a backup that failed says it did not find. Pure."""
    lines = [line for line in output.splitlines() if GONE.search(line)]
    return [item for item in wanted if any(item.path in line for line in lines)]


def worth_another(last: Try) -> bool:
    """Whether the whole backup may end differently when it is run again. Pure."""
    if last.lost:
        return True
    return last.replaced and bool(last.rc or last.problems)


def report(tries: Sequence[Try], wanted: Sequence[Wanted], answer: Answer, room: Room | None = None) -> None:
    """The results backup.snapshot and backup.paths. Pure: says whose fault it is, and what is missing why. `room` is
    what was found when the last try said that a disk is full."""
    last, history = tries[-1], told(tries)
    raced = any(one.replaced for one in tries)  # what stays away beside that was missed, not forgotten
    if last.rc != 0:
        _report_failed(last, history, raced, answer, room)
        return
    size = sum(entry.size or 0 for entry in last.held)
    about = f"snapshot {last.snapshot.get('id', '(unnamed)')}, {len(last.held)} entries, {size} bytes in files"
    answer.result(ID, "pass", expected=EXPECTED, observed=about, evidence=history)
    listed = "it holds " + (", ".join(sorted({item.path for item in wanted})) or "something")
    wrong = [*map(_missed, last.missing), *(f"{item.path} ({item.why}): {why}" for item, why in last.problems)]
    notes = [f"note: {note}" for note in last.notes]
    if not wrong and last.held:
        does = "it does" if len(tries) == 1 else f"it does, at try {len(tries)}"
        observed, evidence = "; ".join([does, *notes]), "\n".join([history, *notes])
        answer.result(PATHS, "pass", expected=listed, observed=observed, evidence=evidence)
        return
    concerned = [*last.missing, *(item for item, _ in last.problems)]
    race = raced and bool(last.lost)
    answer.result(
        PATHS, "fail", expected=listed, observed="; ".join(wrong) or "the snapshot is empty",
        evidence="\n".join([*(entry.path for entry in last.held), "", *notes, history]).strip(),
        failure_id="backup-race" if race else "empty-backup",
        service=next((item.service for item in concerned if item.service), None),
        hint=None if race else "Look at the backup labels and at what the pre-hook writes",
    )  # fmt: skip


def _report_failed(last: Try, history: str, raced: bool, answer: Answer, room: Room | None) -> None:
    """abra's last word seldom holds the cause: that is in what the backup service said before."""
    hung, broke = HUNG.search(last.output), BROKE.search(last.output)
    ours, lost = bool(PLATFORM.search(last.output)), next((item.service for item in last.missing if item.service), None)
    outcome, observed, service, failure_id = "fail", last.words, lost, None
    hint = "Look at the backup labels and hooks of the recipe"
    disk = full_disk.blame(room) if room is not None else None
    if hung:
        observed, service, failure_id, hint = hung[0], hung[1], hooks.HANG, hooks.HANG_HINT
    elif disk and (disk.proven or not ours):
        outcome, failure_id, hint = disk.outcome, full_disk.ID, disk.hint
        observed, service = f"{broke[0] if broke else last.words}; {disk.told}", broke[1] if broke else lost
    elif ours:
        outcome, hint = "error", "Look at the node's backup service"
        observed = f"{last.words}; {disk.told}" if disk else last.words
        failure_id = full_disk.ID if disk else None
    elif last.lost:
        failure_id, hint = "backup-race" if raced else "empty-backup", "Look at what the pre-hook writes, and where"
    elif broke:
        observed, service, failure_id = broke[0], broke[1], "hook-failed"
        hint = "Run the hook by hand in the service's container (`ccci play … --keep on-failure` keeps it)"
    elif BROKE_SOMEHOW.search(last.output):
        failure_id = "hook-failed"
    answer.result(
        ID, outcome, expected=EXPECTED, observed=observed, evidence=f"{last.output}\n{history}",
        failure_id=failure_id, service=service, hint=hint,
    )  # fmt: skip


def told(tries: Sequence[Try]) -> str:
    return "\n".join(one.told(number) for number, one in enumerate(tries, 1))


def _missed(item: Wanted) -> str:
    return f"{item.path} ({item.why}) is missing" + (f": {item.hopeless}" if item.hopeless else "")
