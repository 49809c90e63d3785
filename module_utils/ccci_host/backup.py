"""A backup through abra, and whether it holds what it must.

The backup service reads the list of paths once, from what runs at that moment: a database that is just being replaced
is then missing, and the return code is 0. So the stack must have settled before, the snapshot is looked into
afterwards, and the whole backup is repeated when something is missing: never only the copying.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from . import backup_dumps, backup_snapshots, backup_survey, full_disk, hooks, marker, state
from .abra_call import AbraTimeout, abra, fatal_words
from .answer import Answer, cut
from .backup_report import EXPECTED, ID, Try, missing_by_words, report, survey_result, told, worth_another
from .backup_survey import Entry, Survey, Wanted
from .docker import STACK_LABEL, Client, running_container, service_name, timestamp
from .docker_errors import DockerError

TRIES = 3
SETTLE_LIMIT = 90.0  # seconds
LIST_LIMIT = 120.0
DUMP_LIMIT = 20.0  # for reading one small file of a snapshot
DUMPS = 8  # files that are looked into
SIZE_LIMIT = 5.0  # for measuring a volume
LOOK_EVERY = 0.7
BOT_LABEL = "coop-cloud.backupbot.enabled=true"


class BackupTrouble(Exception):  # noqa: N818 - no programming error
    """The platform cannot back up or tell what it backed up. The text says what and the next step."""


class NotSettled(Exception):  # noqa: N818
    """The stack is still moving; the text says what of it."""


def back_up(
    client: Client, scope: Mapping[str, Any], settings: Mapping[str, Any], expect_paths: Sequence[str], limit: float,
    answer: Answer,
) -> None:  # fmt: skip
    """The results backup.marker_present, .survey, .snapshot and .paths, as far as it got. `limit` in seconds."""
    stack, deadline = str(scope["stack"]), time.monotonic() + limit
    if settings.get("kind") not in ("none", "api"):  # one of kind api is looked for by its own means, before
        with answer.waiting("docker"):
            _marker_present(client, scope, settings, answer)
    services = client.services(stack)
    found = backup_survey.survey(services, stack)
    if not survey_result(found, answer):
        return
    every = [
        *found.wanted,
        *backup_survey.wanted_by_marker(services, stack, settings),
        *backup_survey.wanted_by_recipe(expect_paths, stack),
    ]
    # A path is named once, by its first reason.
    wanted = list({item.path: item for item in reversed(every)}.values())[::-1]
    tries: list[Try] = []
    try:
        with answer.waiting("restic"):
            _tries(client, scope, found, wanted, deadline, tries)
    except NotSettled as error:
        answer.result(
            ID, "fail", expected="a stack at rest, so that nothing is missed", observed=str(error),
            evidence=told(tries), failure_id="not-converged", hint="Look at the log of the service that is named",
        )  # fmt: skip
        return
    except AbraTimeout as error:
        known = hooks.of(services, stack, hooks.BACKUP)
        hanging = hooks.hanging(client, stack, known)
        hooks.report_timeout(answer, ID, EXPECTED, limit, hanging, str(error), told(tries))
        return
    finally:
        answer.facts["backup_tries"] = [one.to_json() for one in tries]
    last = tries[-1]
    report(tries, wanted, answer, full_disk.look(client, stack, last.output) if last.rc else None)
    whole = not (last.rc or last.missing or last.problems)
    state.update(scope, snapshot=last.snapshot, backup={"whole": whole})


def _marker_present(client: Client, scope: Mapping[str, Any], settings: Mapping[str, Any], answer: Answer) -> None:
    verdict = marker.compare(client, scope, settings)
    if not verdict.ok:
        # The restore has to be judged by itself, whatever became of the marker before.
        again = marker.seed(client, scope, settings)
        anew = "written anew for the backup" if again.ok else f"could not be written anew: {again.observed}"
        verdict = marker.Verdict(
            False, verdict.expected, f"{verdict.observed} ({anew})", verdict.tries, verdict.reachable, verdict.hint
        )
    hint = "Something between the marker's writing and this backup lost it: look at the upgrade"
    marker.report(answer, "backup.marker_present", verdict, unlike="fail", hint=hint)


def _tries(
    client: Client, scope: Mapping[str, Any], found: Survey, wanted: Sequence[Wanted], deadline: float, tries: list[Try]
) -> None:
    """Adds to `tries` until nothing speaks for another one."""
    while True:
        before = settle(client, str(scope["stack"]), min(deadline, time.monotonic() + SETTLE_LIMIT))
        tries.append(_one_try(client, scope, found, wanted, deadline, before))
        if len(tries) >= TRIES or not worth_another(tries[-1]):
            return
        if time.monotonic() + tries[-1].seconds > deadline:
            tries[-1].last_for = "no time is left for another try"
            return


def _one_try(
    client: Client, scope: Mapping[str, Any], found: Survey, wanted: Sequence[Wanted], deadline: float,
    before: Mapping[str, str],
) -> Try:  # fmt: skip
    began, start = client.system_time(), time.monotonic()
    done = abra(
        scope, ["app", "backup", "create", str(scope["domain"]), "-n"], limit=max(deadline - start, 10),
        pty=True, optional=("-o", "-C"),
    )  # fmt: skip
    made = Try(done.rc, fatal_words(done) if done.rc else "", done.output.strip())
    made.replaced = running(client, str(scope["stack"])) != before
    if done.rc == 0:
        made.snapshot, made.held = list_snapshot(client, scope)
        if not made.snapshot.get("time"):
            made.snapshot = newest_snapshot(client, str(scope["stack"]))
        if timestamp(made.snapshot["time"]) < began - 1:
            raise BackupTrouble(
                f"abra says that it made a backup, but the newest snapshot is {made.snapshot['id']} "
                f"of {made.snapshot['time']}, from before. Look at the log of the backup service"
            )
        made.missing = backup_survey.lacking(wanted, made.held)
        _look_into_dumps(client, str(scope["stack"]), found, wanted, made)
    else:
        made.missing = missing_by_words(made.output, wanted)
    made.seconds = time.monotonic() - start
    return made


def _look_into_dumps(client: Client, stack: str, found: Survey, wanted: Sequence[Wanted], made: Try) -> None:
    """Adds problems and notes. A file that a label or the recipe names must hold something; others are only noted."""
    named = [(item, entry) for item in wanted for entry in [backup_survey.entry_of(item, made.held)]
             if entry is not None and entry.size is not None]  # fmt: skip
    beside = backup_survey.dumps_beside(found, stack, made.held, {entry.path for _, entry in named})
    read = 0
    for item, entry in [*named, *((None, entry) for entry in beside)]:
        size, content = entry.size or 0, None
        if read < DUMPS and backup_dumps.worth_reading(entry.path, size):
            read, content = read + 1, _content(client, made.snapshot, entry)
        seen = backup_dumps.look(entry.path, size, content)
        if seen.problem and item is not None:
            made.problems.append((item, seen.problem))
        elif seen.problem or seen.note:
            made.notes.append(f"{entry.path}: {seen.problem or seen.note}")
    for item, entry in named:
        if item.dump_of:
            note = backup_dumps.too_small(entry.size or 0, _size_of_volume(client, item.dump_of))
            made.notes += [f"{entry.path}: {note}"] if note else []


def _content(client: Client, snapshot: Mapping[str, Any], entry: Entry) -> bytes | None:
    """A small file of a snapshot, from restic itself; None where that cannot be asked."""
    command = ["restic", "--no-cache", "--no-lock", "dump", "--", str(snapshot.get("id")), entry.path]
    try:
        done = client.exec(backup_service(client), command, limit=DUMP_LIMIT)
    except DockerError:
        return None
    return done.stdout if done.rc == 0 and len(done.stdout) == entry.size else None


def _size_of_volume(client: Client, volume: str) -> int | None:
    """Bytes on the node's disk; None when that cannot be measured soon."""
    try:
        folder = str(client.get(f"/volumes/{volume}")["Mountpoint"])
        command = ["du", "-s", "-x", "--block-size=1", "--", folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SIZE_LIMIT, check=False)
        return int(done.stdout.split()[0])
    except (DockerError, subprocess.TimeoutExpired, OSError, ValueError, IndexError):
        return None


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


def newest_snapshot(client: Client, stack: str) -> dict[str, Any]:
    """{id, time}, from restic: a service that lists plain paths does not say whose they are, nor how old."""
    try:
        found = backup_snapshots.of_stack(client, backup_service(client), stack)
    except ValueError as error:
        raise BackupTrouble(
            f"Nobody can say whether the newest snapshot is this backup's: the backup service lists paths alone, and "
            f"{error}. Look at its settings"
        ) from error
    if not found:
        raise BackupTrouble(f"abra says that it made a backup, but no snapshot has the tag {stack}. Look at the log of "
                            f"the backup service")  # fmt: skip
    return found[-1]


def backup_service(client: Client) -> str:
    """The id of the backup service's container."""
    for service in client.get("/services", filters={"label": [BOT_LABEL]}) or []:
        stack = service["Spec"]["Labels"].get(STACK_LABEL, "")
        return str(running_container(client, stack, service_name(service, stack))["Id"])
    raise BackupTrouble(
        f"No service of this node has the label {BOT_LABEL}; run `ccci bootstrap` for the backup service"
    )
