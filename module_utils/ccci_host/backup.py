"""A backup through abra, and whether it holds what it must.

The backup service reads the list of paths once, from what runs at that moment: a database that is just being replaced
is then missing, and the return code is 0. So the stack must have settled before, the snapshot is looked into
afterwards, and the whole backup is repeated when something is missing: never only the copying.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import backup_survey, marker, state
from .abra_call import abra, fatal_words
from .answer import Answer, cut
from .backup_survey import Entry, Survey, Wanted
from .docker import STACK_LABEL, Client, running_container, service_name, timestamp

TRIES = 3
SETTLE_LIMIT = 90.0  # seconds
LIST_LIMIT = 120.0
LOOK_EVERY = 0.7
BOT_LABEL = "coop-cloud.backupbot.enabled=true"
# What is the platform's fault in the words of a backup that failed; everything else is the recipe's: a hook, a label.
PLATFORM = re.compile(
    r"no backupbot|docker daemon|\brestic \w+ ended|no space left on device|unable to open repository", re.I
)


class BackupTrouble(Exception):  # noqa: N818 - no programming error
    """The platform cannot back up or tell what it backed up. The text says what and the next step."""


class NotSettled(Exception):  # noqa: N818
    """The stack is still moving; the text says what of it."""


@dataclass
class Outcome:
    """What the tries came to: the last snapshot, what it lacks, and what happened on the way."""

    rc: int = 0
    words: str = ""
    output: str = ""
    snapshot: dict[str, Any] = field(default_factory=dict)
    held: list[Entry] = field(default_factory=list)
    missing: list[Wanted] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    replaced: bool = False
    tries: list[str] = field(default_factory=list)


def back_up(
    client: Client, scope: Mapping[str, Any], settings: Mapping[str, Any], expect_paths: Sequence[str], limit: float,
    answer: Answer,
) -> None:  # fmt: skip
    """The results backup.marker_present, .survey, .snapshot and .paths, as far as it got. `limit` in seconds."""
    stack, deadline = str(scope["stack"]), time.monotonic() + limit
    if settings.get("kind") != "none":
        with answer.waiting("docker"):
            _marker_present(client, scope, settings, answer)
    services = client.services(stack)
    found = backup_survey.survey(services, stack)
    if not _survey_result(found, answer):
        return
    every = [
        *found.wanted,
        *backup_survey.wanted_by_marker(services, stack, settings),
        *backup_survey.wanted_by_recipe(expect_paths, stack),
    ]
    wanted = list({item.path: item for item in reversed(every)}.values())[
        ::-1
    ]  # a path is named once, by its first reason
    try:
        with answer.waiting("restic"):
            outcome = _tries(client, scope, wanted, deadline)
    except NotSettled as error:
        answer.result(
            "backup.snapshot", "fail", expected="a stack at rest, so that nothing is missed", observed=str(error),
            hint="Look at the log of the service that is named",
        )  # fmt: skip
        return
    report(outcome, wanted, answer)
    state.update(scope, snapshot=outcome.snapshot)


def _marker_present(client: Client, scope: Mapping[str, Any], settings: Mapping[str, Any], answer: Answer) -> None:
    verdict = marker.compare(client, scope, settings)
    if not verdict.ok:
        # The restore has to be judged by itself, whatever became of the marker before.
        again = marker.seed(client, scope, settings)
        told = "written anew for the backup" if again.ok else f"could not be written anew: {again.observed}"
        verdict = marker.Verdict(
            False, verdict.expected, f"{verdict.observed} ({told})", verdict.tries, verdict.reachable, verdict.hint
        )
    hint = "Something between the marker's writing and this backup lost it: look at the upgrade"
    marker.report(answer, "backup.marker_present", verdict, unlike="fail", hint=hint)


def _survey_result(found: Survey, answer: Answer) -> bool:
    expected = f"a service with the label {backup_survey.SWITCH}=true"
    evidence = "\n".join(found.lines)
    answer.facts["backup_survey"] = list(found.lines)
    if found.switched_on:
        answer.result(
            "backup.survey", "pass", expected=expected, observed=", ".join(found.switched_on), evidence=evidence
        )
        return True
    answer.result(
        "backup.survey", "fail", expected=expected, evidence=evidence, failure_id="empty-backup",
        observed=f"no service is backed up: none of {', '.join(found.services)} has it",
        hint='Add "backupbot.backup=true" to the deploy labels of the main service, or say in recipe.yml why not: '
             "backup: {not_applicable: …}",
    )  # fmt: skip
    return False


def _tries(client: Client, scope: Mapping[str, Any], wanted: Sequence[Wanted], deadline: float) -> Outcome:
    outcome = Outcome()
    for number in range(1, TRIES + 1):
        before = settle(client, str(scope["stack"]), min(deadline, time.monotonic() + SETTLE_LIMIT))
        began = client.system_time()
        done = abra(
            scope, ["app", "backup", "create", str(scope["domain"]), "-n"], limit=max(deadline - time.monotonic(), 10),
            pty=True, optional=("-o", "-C"),
        )  # fmt: skip
        replaced = running(client, str(scope["stack"])) != before
        outcome.replaced = outcome.replaced or replaced
        meanwhile = "; containers were replaced meanwhile" if replaced else ""
        outcome.rc, outcome.output = done.rc, done.output.strip()
        outcome.words = fatal_words(done) if done.rc else ""
        if done.rc != 0:
            outcome.tries.append(f"try {number}: abra ended with {done.rc}: {outcome.words}{meanwhile}")
            if replaced and time.monotonic() < deadline:
                continue
            return outcome
        outcome.snapshot, outcome.held = list_snapshot(client, scope)
        if outcome.snapshot.get("time") and timestamp(outcome.snapshot["time"]) < began - 1:
            raise BackupTrouble(
                f"abra says that it made a backup, but the newest snapshot is {outcome.snapshot['id']} "
                f"of {outcome.snapshot['time']}, from before. Look at the log of the backup service"
            )
        outcome.missing, outcome.empty = backup_survey.lacking(wanted, outcome.held)
        lost = [item.path for item in outcome.missing if not item.hopeless]
        if not lost or time.monotonic() > deadline:
            return outcome
        outcome.tries.append(f"try {number}: not in the snapshot: {', '.join(lost)}{meanwhile}")
    return outcome


def settle(client: Client, stack: str, deadline: float) -> dict[str, str]:
    """Waits until two looks in a row find the same containers and nothing that is starting. {container id: name}."""
    last: dict[str, str] | None = None
    while True:
        restless = _restless(client, stack)
        now = running(client, stack)
        if not restless and now == last:
            return now
        if time.monotonic() > deadline:
            told = "; ".join(restless) or "containers come and go"
            raise NotSettled(f"the stack did not settle: {told}")
        last = now if not restless else None
        time.sleep(LOOK_EVERY)


def running(client: Client, stack: str) -> dict[str, str]:
    return {one["Id"]: one["Names"][0].lstrip("/") for one in client.containers(stack, all=False)}


def _restless(client: Client, stack: str) -> list[str]:
    """What is still on its way, in words. A task that swarm wants to run does so, and is not starting or unhealthy."""
    names = {one["ID"]: service_name(one, stack) for one in client.services(stack)}
    tasks = [
        f"{names.get(task['ServiceID'], 'a removed service')} is {task['Status']['State']}"
        for task in client.tasks(stack)
        if task["DesiredState"] in ("running", "ready") and task["Status"]["State"] not in ("running", "complete")
    ]
    unwell = [
        f"{one['Names'][0].lstrip('/')} is {one['Status']}"
        for one in client.containers(stack, all=False)
        if "(health: starting)" in one["Status"] or "(unhealthy)" in one["Status"]
    ]
    return tasks + unwell


def list_snapshot(client: Client, scope: Mapping[str, Any]) -> tuple[dict[str, Any], list[Entry]]:
    """The newest snapshot of the stack and its entries, asked of the backup service itself: no table to take apart."""
    environment = {
        "SERVICE": str(scope["stack"]),
        "SNAPSHOT": "latest",
        "MACHINE_LOGS": "true",
        "NONINTERACTIVE": "true",
    }
    done = client.exec(backup_service(client), ["/usr/bin/backup", "--", "ls"], env=environment, limit=LIST_LIMIT)
    if done.rc != 0:
        said = cut((done.stderr or done.stdout).decode("utf-8", "replace").strip(), 800)
        raise BackupTrouble(f"The backup service cannot list its newest snapshot: {said}. Look at its log")
    try:
        return backup_survey.parse_listing(done.stdout.decode("utf-8", "replace"))
    except (ValueError, KeyError, TypeError) as error:
        raise BackupTrouble(f"The backup service's list of the snapshot cannot be read: {error!r}") from error


def backup_service(client: Client) -> str:
    """The id of the backup service's container."""
    for service in client.get("/services", filters={"label": [BOT_LABEL]}) or []:
        stack = service["Spec"]["Labels"].get(STACK_LABEL, "")
        return str(running_container(client, stack, service_name(service, stack))["Id"])
    raise BackupTrouble(
        f"No service of this node has the label {BOT_LABEL}; run `ccci bootstrap` for the backup service"
    )


def report(outcome: Outcome, wanted: Sequence[Wanted], answer: Answer) -> None:
    """The results backup.snapshot and backup.paths. Pure: says whose fault it is, and what is missing why."""
    expected, tries = "abra makes a snapshot", "\n".join(outcome.tries) or None
    if outcome.rc != 0:
        # abra's last word seldom holds the cause: that is in what the backup service said before.
        ours = bool(PLATFORM.search(outcome.output))
        answer.result(
            "backup.snapshot", "error" if ours else "fail", expected=expected, observed=outcome.words,
            evidence="\n".join([*outcome.tries, outcome.output]),
            hint="Look at the node's backup service" if ours else "Look at the backup labels and hooks of the recipe",
        )  # fmt: skip
        return
    size = sum(entry.size or 0 for entry in outcome.held)
    about = f"snapshot {outcome.snapshot.get('id', '(unnamed)')}, {len(outcome.held)} entries, {size} bytes in files"
    answer.result("backup.snapshot", "pass", expected=expected, observed=about, evidence=tries)
    listed = "it holds " + (", ".join(sorted({item.path for item in wanted})) or "something")
    wrong = [*(_told(item) for item in outcome.missing), *outcome.empty]
    raced = "backup-race" if outcome.replaced and outcome.tries else None
    if not wrong and outcome.held:
        answer.result("backup.paths", "pass", expected=listed, observed="it does", evidence=tries, failure_id=raced)
        return
    answer.result(
        "backup.paths", "fail", expected=listed, observed="; ".join(wrong) or "the snapshot is empty",
        evidence="\n".join([*outcome.tries, "", *(entry.path for entry in outcome.held)]).strip() or None,
        failure_id=raced if outcome.missing and raced else "empty-backup",
        service=next((item.service for item in outcome.missing if item.service), None),
        hint="Look at the backup labels and at what the pre-hook writes" if not raced else None,
    )  # fmt: skip


def _told(item: Wanted) -> str:
    return f"{item.path} ({item.why}) is missing" + (f": {item.hopeless}" if item.hopeless else "")
