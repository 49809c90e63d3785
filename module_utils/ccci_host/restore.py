"""A restore through abra. Its return code says little: what came back is judged by the marker alone.

That holds for the marker's own store, of which a hook may say too much or too little. Of another service's data the
marker knows nothing: there a hook that fails is the only witness, and the restore has failed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from . import full_disk, hooks, marker, state
from .abra_call import AbraTimeout, abra, fatal_words
from .answer import Answer, cut
from .backup_report import HUNG, PLATFORM
from .docker import Client
from .full_disk import Room

ID = "restore.run"
EXPECTED = "abra restores the newest snapshot"
KEY = "restore"
# Words of the backup service about a hook that failed, or that found nothing to run in. A command may have many lines.
FAILED = (
    re.compile(r"of service (?P<service>\S{1,200}) ended with \d+.*"),
    re.compile(r"service (?P<service>\S{1,200}) has no running container for the hook .*"),
)
BY_HAND = "Run the restore hooks by hand in the service's container (`ccci play … --keep on-failure` keeps it)"
# What helps when the marker is not back, by failure id.
HINTS = {
    "empty-backup": "Is the dump in the snapshot, and does a label backupbot.restore.post-hook import it?",
    "silent-restore": "Run the restore hook by hand: a pipe without pipefail hides the failure of its first command",
    "restore-failed": BY_HAND,
}


def restore(
    client: Client, scope: Mapping[str, Any], settings: Mapping[str, Any], limit: float, answer: Answer
) -> None:
    """The results restore.mutated and restore.run. `limit` in seconds. Nothing is restored over an unchanged marker."""
    judged, stack = judged_service(settings), str(scope["stack"])
    if judged and settings.get("kind") != "api":  # that one is changed by its own means, before
        with answer.waiting("docker"):
            changed = marker.mutate(client, scope, settings)
        marker.report(answer, "restore.mutated", changed, unlike="fail")
        if not changed.ok:
            return
    known = hooks.of(client.services(stack), stack, hooks.RESTORE)
    try:
        with answer.waiting("restic"):
            done = abra(
                scope, ["app", "restore", str(scope["domain"]), "-n"], limit=limit, pty=True, optional=("-o", "-C")
            )  # fmt: skip
    except AbraTimeout as error:
        hooks.report_timeout(answer, ID, EXPECTED, limit, hooks.hanging(client, stack, known), str(error))
        return
    words = fatal_words(done) if done.rc else ""
    state.update(scope, **{KEY: {"rc": done.rc, "hooks": len(known)}})
    room = full_disk.look(client, stack, done.output) if done.rc else None
    report(done.rc, words, done.output, judged, answer, room)


def judged_service(settings: Mapping[str, Any]) -> str:
    """The service whose store the marker judges; "" without a marker. Pure."""
    return "" if settings.get("kind") == "none" else str(settings.get("service") or "app")


def broken(output: str) -> dict[str, str]:
    """`{service: words}` of the hooks that failed, as the backup service names them. Pure."""
    matches = [match for words in FAILED for match in words.finditer(output)]
    found: dict[str, str] = {}
    for match in sorted(matches, key=lambda match: match.start()):
        found.setdefault(match["service"], match[0])
    return found


def report(rc: int, words: str, output: str, judged: str, answer: Answer, room: Room | None = None) -> None:
    """The result restore.run. Pure: a restore that ended with an error goes on to be judged by its marker, unless
    something is full, or a hook failed in another service than the marker's (`judged`, "" without a marker): the
    catalogue's "judged only by the marker" is about the marker's own store, and nothing else proves that other data is
    back. `room` is what was found when its words said that something is full."""
    tail, observed = cut(output.strip(), 2000) or None, f"return code {rc}" + (f": {words}" if words else "")
    hung = HUNG.search(output) if rc else None
    others = {service: said for service, said in broken(output).items() if service != judged} if rc else {}
    disk = full_disk.blame(room) if room is not None else None
    observed += f"; {disk.told}" if disk else ""
    if rc == 0:
        answer.result(ID, "pass", expected=EXPECTED, observed=observed, evidence=tail)
    elif hung:
        answer.result(
            ID, "fail", expected=EXPECTED, observed=observed, evidence=tail, failure_id=hooks.HANG, service=hung[1],
            hint=hooks.HANG_HINT,
        )  # fmt: skip
    elif disk and disk.proven:
        answer.result(
            ID, disk.outcome, expected=EXPECTED, observed=observed, evidence=tail, failure_id=full_disk.ID,
            hint=disk.hint,
        )  # fmt: skip
    elif PLATFORM.search(output):
        answer.result(
            ID, "error", expected=EXPECTED, observed=observed, evidence=tail, hint="Look at the node's backup service"
        )  # fmt: skip
    elif others:
        service, said = next(iter(others.items()))
        answer.result(
            ID, "fail", expected=EXPECTED, observed=observed if said in observed else f"{observed}; {cut(said, 600)}",
            evidence=tail,
            failure_id="restore-failed", service=service, hint=BY_HAND,
        )  # fmt: skip
    elif judged:
        answer.result(
            ID, "pass", expected=f"{EXPECTED}; the marker says whether the data is back",
            observed=f"{observed}; not judged by that", evidence=tail, hint=BY_HAND,
        )  # fmt: skip
    else:
        answer.result(ID, "fail", expected=EXPECTED, observed=observed, evidence=tail, hint=BY_HAND)


def lost_why(left: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    """The failure id of a marker that is not back. `left` is what backup and restore left in state.json. Pure."""
    done = left.get(KEY)
    if not done:
        return None  # no restore was seen to its end
    if done["rc"]:
        return "restore-failed"
    in_rows = settings.get("kind") in ("postgres", "mysql")
    if not (left.get("backup") or {}).get("whole", True) or (in_rows and not done["hooks"]):
        return "empty-backup"
    return "silent-restore"
