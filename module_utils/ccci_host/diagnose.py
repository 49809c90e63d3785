"""From what was seen to what is wrong: snapshot, deaths and traces → findings. Pure.

A finding that is `certain` ends the wait; the others say what to look at when the time is up. `failure_id` is an id of
the failure catalogue where that has one; the others are OTHER_IDS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from . import full_disk
from .answer import cut, short
from .deaths import WAITS_FOR_SOMETHING, Death, by_itself, in_boot, up
from .known_words import (
    ACME,
    HALF_MADE,
    LOG_WORDS,
    MAYBE_HALF_MADE,
    NO_SPACE,
    PASSING,
    QUOTA,
    TASK_ERRORS,
    Finding,
    of_words,
)
from .snapshot import LIVE, MIB, Service, Snapshot, Task
from .traces import Trace

OTHER_IDS: Mapping[str, str] = {
    "oom": "the kernel killed it at its memory limit",
    "killed-outside": "something that is neither swarm nor the kernel ended its container",
    "start-failed": "its container could not be started",
    "unschedulable": "no node fits its constraints",
    "port-taken": "a port that it wants is in use",
    "missing-reference": "a secret, config, network or volume does not exist",
    "update-failed": "swarm paused or rolled back the update",
    "node-not-ready": "a node is down or drained",
    "not-converged": "the time was up and nothing certain was seen",
}
# How long (seconds) a task may be without a place before that is a finding: a stopping task may still free it.
PATIENCE = 4.0
# Seconds after which a service that ends slowly is known to end in the same way again.
NOTHING_NEW = 12.0
# So often a process in a container that is not up may be killed for want of memory before more is pointless.
OOMS = 3
# So long (seconds) what a container said last may be on its way.
UNREAD = 3.0
LOG_SHOWN = 2000  # bytes of a log in the evidence


GATE = "gate the upgrade on a ready probe (gates.pre_upgrade), so that it does not come in the middle of a boot"
# Of several causes, the one that explains the others comes first.
ORDER = (
    "node-not-ready", "disk-full", "oom-host", "rate-limit", "missing-image", "missing-bind-source",
    "missing-reference", "port-taken", "unschedulable", "start-failed", "oom", "db-killed-in-init", "shared-quota",
    "acme-missing", "health-kill", "killed-while-booting", "crash-loop", "killed-outside", "update-failed",
    "not-converged",
)  # fmt: skip


VIOLENT = ("oom", "killed", "stopped")


@dataclass(frozen=True)
class Case:
    """One service and what is known besides: `deaths` since it was last up, `history` all of the stack's."""

    service: Service
    snapshot: Snapshot
    deaths: Sequence[Death]
    history: Sequence[Death]
    traces: Mapping[str, Trace] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.service.name

    def first_cause(self) -> Death | None:
        """The earliest end of this service, or of one that it needs, in the middle of a boot or by force.

        What it did to the data is seen only in the tries that come after it.
        """
        last = self.deaths[-1]
        concerned = {self.name, *self.service.needs, *last.mentions}
        violent = [
            death
            for death in self.history
            if death.service in concerned
            and death.task != last.task
            and death.at <= last.at
            and (in_boot(death) or death.how in VIOLENT or (death.how == "unhealthy" and death.booting))
        ]
        return violent[0] if violent else None


def diagnose(
    snapshot: Snapshot,
    deaths: Sequence[Death],
    history: Sequence[Death] | None = None,
    traces: Mapping[str, Trace] | None = None,
) -> list[Finding]:
    """Everything that is wrong with services that are not up, the certain and most basic causes first.

    `deaths` are those since a service was last up; `history` are all that were seen, for the first cause.
    """
    found = []
    for service in snapshot.services:
        mine = by_itself(deaths, service.name)
        case = Case(service, snapshot, mine, deaths if history is None else history, traces or {})
        is_up = up(service, snapshot.at, mine)
        finding = _of_update(case, is_up)
        if finding is None and not is_up:
            finding = _of_deaths(case) or _of_placement(service, snapshot)
            if finding is None or not finding.certain:
                alive = _of_living(case)
                finding = alive if alive and (finding is None or alive.certain) else finding
        if finding is not None:
            found.append(replace(finding, certain=False) if _is_unread(case) else finding)
    needed = {name for service in snapshot.services for name in service.needs}
    return sorted(found, key=lambda one: (not one.certain, ORDER.index(one.failure_id), one.service not in needed))


def _is_unread(case: Case) -> bool:
    """Its last try ended so lately that nobody could read its last words yet, which may say more than that it ended."""
    last = case.deaths[-1] if case.deaths else None
    words_matter = last is not None and last.how in ("exit", "killed") and last.log is None
    return words_matter and last is not None and case.snapshot.at - last.at < UNREAD


def diagnose_ended(service: Service, snapshot: Snapshot, deaths: Sequence[Death]) -> Finding:
    """Why a service ended again and again, although it was up in between. `deaths`, one at least, are its own."""
    finding = _of_deaths(Case(service, snapshot, deaths, deaths))
    if finding is None:
        raise ValueError(f"{service.name} did not end")
    return replace(finding, certain=True)


def _of_update(case: Case, is_up: bool) -> Finding | None:
    """Swarm itself gave the update up. A paused one whose tasks are all new by now may still come up."""
    service = case.service
    if not service.has_update_trouble:
        return None
    paused = service.update_state == "paused"
    deaths = [death for death in case.deaths if death.started >= service.update_started - 1]
    excused = bool(deaths) and bool(deaths[-1].excused)
    if paused and (excused or is_up):
        return None
    what = "paused the update" if paused else "rolled the update back"
    is_all_new = paused and all(task.current for task in service.tasks if task.wanted)
    cause = _of_deaths(replace(case, deaths=deaths), enough=0 if is_all_new else 1)
    if cause is None:
        return Finding(
            "update-failed", service.name, f"{service.name}: swarm {what}", service.update_message,
            "look at the log of the service: its new tasks did not stay up",
        )  # fmt: skip
    return replace(
        cause, sentence=f"{cause.sentence}; swarm {what}", evidence=f"{service.update_message}\n{cause.evidence}",
        certain=cause.certain or not is_all_new,
    )  # fmt: skip


def _of_deaths(case: Case, enough: int = 0) -> Finding | None:
    """`enough` is how many identical deaths prove a crash loop; 0 lets their words decide."""
    if not case.deaths:
        return None
    last = case.deaths[-1]
    if last.how == "refused":
        return _refused(case, enough)
    if last.how == "unhealthy":
        sick = sum(1 for death in case.deaths if death.how == "unhealthy")
        is_in_doubt = last.doubtful and sick < 2 and not (last.log or "").strip()
        finding = _health_kill(case.service, last, _evidence(case))
        finding = replace(finding, certain=not last.excused and not is_in_doubt)
    elif last.how == "oom":
        finding = _oom(case)
    else:
        is_killed = last.how == "killed" or in_boot(last)
        finding = _killed(case) if is_killed else _crash(case.service, case.deaths, _evidence(case))
        counted = identical(case.deaths)
        is_certain = len(counted) >= (enough or needed(counted)) or _is_stuck(case, counted)
        finding = replace(finding, certain=is_certain or gives_up(case.service, case.deaths))
    return _refined(case, finding)


def _refined(case: Case, finding: Finding) -> Finding:
    """The same end, with what its last words and what happened before say about the reason."""
    words, cause = case.deaths[-1].log or "", case.first_cause()
    told = f"; the first cause: {_told(cause, case.name)}" if cause else ""
    # A program that serves until its healthcheck kills it did not die of a download.
    patterns = [one for one in LOG_WORDS if one is not QUOTA or finding.failure_id != "health-kill"]
    refined = of_words(patterns, words, case.name, finding.evidence)
    if refined is None and cause is not None:
        refined = of_words((MAYBE_HALF_MADE,), words, case.name, finding.evidence)
    if refined is None:
        if cause is None or finding.failure_id != "crash-loop":
            return finding
        finding = replace(finding, sentence=f"{finding.sentence}{told}")
        is_interrupted = cause.how == "stopped" and cause.service == case.name
        return replace(finding, failure_id="killed-while-booting", hint=GATE) if is_interrupted else finding
    certain = finding.certain
    if refined.failure_id == "disk-full":
        refined, proven = _disk_full(case, refined)
        certain, told = certain or proven, ""
    elif refined.failure_id == "db-killed-in-init":
        # Data that is broken stays so, whatever else is still starting.
        certain = certain or bool(HALF_MADE.words.search(words)) or not case.deaths[-1].excused
    else:
        told = ""
    return replace(refined, sentence=f"{finding.sentence}: {_reason(refined)}{told}", certain=certain)


def _reason(finding: Finding) -> str:
    """What a pattern says, without the service's name before it."""
    return finding.sentence.partition(": ")[2]


def _told(cause: Death, service: str) -> str:
    """An earlier end in a few words: `it was stopped for an update 12 s after its start, while it was booting`."""
    how = {
        "exit": "was told to stop",
        "unhealthy": "was killed by its healthcheck",
        "oom": "was killed for want of memory",
        "killed": f"was ended from outside (signal {cause.signal})",
        "stopped": "was stopped by swarm, for an update,",
    }[cause.how]
    who = "it" if cause.service == service else cause.service
    booting = ", while it was still booting" if cause.booting or in_boot(cause) else ""
    return f"{who} {how} {_seconds(cause.uptime)} after its start{booting}"


def _refused(case: Case, enough: int) -> Finding:
    """Its container never ran. Swarm hides why an image could not be pulled; a full disk explains it."""
    last, evidence = case.deaths[-1], _evidence(case)
    again = len(identical(case.deaths)) >= 2 or enough == 1
    finding = of_words(TASK_ERRORS, last.error, case.name, evidence)
    if finding is None:
        return Finding(
            "start-failed", case.name, f"{case.name}: its container could not be started: {last.error}", evidence,
            "look at the error", certain=again,
        )  # fmt: skip
    disk = case.snapshot.disk
    if finding.failure_id == "missing-image" and disk is not None and disk.is_full:
        finding = replace(
            finding, failure_id="disk-full", sentence=f"{finding.sentence}: the node's disk is full ({disk})",
            hint="make room on the node", outcome="error",
        )  # fmt: skip
    return replace(finding, certain=again or not PASSING.search(last.error))


def _oom(case: Case) -> Finding:
    """At the limit of its own it ends in the same way each time; without one, the node as a whole had too little."""
    service, last = case.service, case.deaths[-1]
    whole = last.exit_code == 137 or last.exit_code is None
    what = "was killed for want of memory" if whole else "lost a process, killed for want of memory,"
    ended = "" if whole else f", and ended with exit code {last.exit_code}"
    sentence = f"{case.name} {what} {_seconds(last.uptime)} after its start{ended}"
    trace = case.traces.get(last.task)
    # A child that was killed long before is perhaps not why it ended now.
    near = whole or not last.exit_code or not trace or not trace.ooms or last.at - trace.ooms[-1] < 5
    again = len(identical(case.deaths)) >= 2 or gives_up(service, case.deaths)
    if not service.memory_limit:
        return Finding(
            "oom-host", case.name, f"{sentence}; it has no limit of its own: the node ran out of memory",
            _evidence(case), "give the node more memory, or stop something on it", "error", certain=again,
        )  # fmt: skip
    return Finding(
        "oom", case.name, f"{sentence}; its limit is {service.memory_limit // MIB} MiB", _evidence(case),
        "raise deploy.resources.limits.memory, or find what needs so much", certain=near or again,
    )  # fmt: skip


def _killed(case: Case) -> Finding:
    """By somebody's signal. One that hits a boot may leave it half done; later ones only interrupt."""
    last = case.deaths[-1]
    count = len(identical(case.deaths))
    times = "" if count < 2 else f", {count} times in a row"
    by = f"signal {last.signal} from outside" if last.signal is not None else "by whom is not known"
    code = f", exit code {last.exit_code}" if last.exit_code is not None else ""
    if last.booting or in_boot(last):
        return Finding(
            "killed-while-booting", case.name,
            f"{case.name} was told to stop ({by}) {_seconds(last.uptime)} after its start, "
            f"while it was still booting{times}{code}: {_last_line(last.log)}",
            _evidence(case), GATE,
        )  # fmt: skip
    return Finding(
        "killed-outside", case.name,
        f"{case.name} was ended from outside ({by}) {_seconds(last.uptime)} after its start{times}{code}",
        _evidence(case), "neither swarm nor the kernel did it: look for hooks, scripts and people", "error",
    )  # fmt: skip


def _disk_full(case: Case, finding: Finding) -> tuple[Finding, bool]:
    """Which disk, and whether that is proven: a mount with a size of its own can be full while the node has room.

    Nobody has measured those: they are suspects.
    """
    disk = full_disk.blame(full_disk.Room(case.snapshot.disk, suspects=case.service.small))
    sentence = f"{case.name}: {_reason(finding)}; {disk.told}"
    return replace(finding, sentence=sentence, hint=disk.hint, outcome=disk.outcome), disk.proven


def identical(deaths: Sequence[Death]) -> list[Death]:
    """The latest deaths in a row that count: not excused, the same exit code, none getting further than before."""
    row: list[Death] = []
    for death in reversed(deaths):
        if death.excused or (row and (death.how, death.exit_code) != (row[0].how, row[0].exit_code)):
            break
        if row and row[0].uptime > death.uptime * 1.5 + 2:
            break
        row.insert(0, death)
    return row


def needed(counted: Sequence[Death]) -> int:
    """How many deaths prove that the next try ends in the same way."""
    if any(death.how == "killed" for death in counted):
        return 2 if all(death.booting or in_boot(death) for death in counted) else 3
    if any(death.doubtful for death in counted):
        return 4
    if any(WAITS_FOR_SOMETHING.search(death.words) for death in counted):
        return 4
    words = {death.last_words for death in counted}
    if len(words) == len(counted) > 1 or rises([death.last_numbers for death in counted]):
        return 4  # other words, or more of something, each time: it may get further
    return 2 if len(words) == 1 and words != {""} else 3


def rises(tries: Sequence[Sequence[float]]) -> bool:
    """One of the numbers is larger in each try than in the one before."""
    if len(tries) < 2 or len({len(numbers) for numbers in tries}) > 1:
        return False
    return any(all(one < other for one, other in pairwise(column)) for column in zip(*tries, strict=True))


def _is_stuck(case: Case, counted: Sequence[Death]) -> bool:
    """Three ended alike, then nothing new came for a while: all else is up, and the one that runs gets no further."""
    now = case.snapshot.at
    if len(counted) < 3 or now - counted[-1].at < NOTHING_NEW:
        return False
    others = [service for service in case.snapshot.services if service is not case.service]
    if not all(up(other, now, by_itself(case.history, other.name)) for other in others):
        return False
    alive = [task for task in case.service.tasks if task.wanted and task.state in LIVE and task.container]
    return all(now - task.changed <= max(death.uptime for death in counted) for task in alive)


def gives_up(service: Service, deaths: Sequence[Death]) -> bool:
    """Swarm will not start it again."""
    if service.restart == "none":
        return True
    return 0 < service.max_attempts < len(deaths)


def _crash(service: Service, deaths: Sequence[Death], evidence: str) -> Finding:
    deaths = [death for death in deaths if death.how == "exit"]
    last = deaths[-1]
    times = f"{len(deaths)} times"
    sentence = f"{service.name} ended {times}, each time with exit code {last.exit_code} after {_seconds(last.uptime)}"
    if len({death.exit_code for death in deaths}) > 1:
        sentence = f"{service.name} ended {times}, with exit codes {', '.join(str(one.exit_code) for one in deaths)}"
    if len(deaths) == 1:
        sentence = f"{service.name} ended with exit code {last.exit_code} after {_seconds(last.uptime)}"
    if gives_up(service, deaths):
        sentence += f" and its restart policy ({service.restart}) does not start it again"
    waited = (
        f"it may be waiting for {', '.join(last.excused)}" if last.excused else "its last lines say why it gives up"
    )
    return Finding(
        "crash-loop", service.name, f"{sentence}; last words: {_last_line(last.log)}", evidence,
        waited if (last.log or "").strip() else "it wrote nothing: look at its entrypoint",
    )  # fmt: skip


def _health_kill(service: Service, death: Death, evidence: str) -> Finding:
    said = f"“{death.said}”" if death.said else "nothing"
    limits = ""
    if service.healthcheck:
        check = service.healthcheck
        limits = f" (start_period {check.start_period:g}s, interval {check.interval:g}s, retries {check.retries})"
    when = "while it was still booting, " if death.booting else ""
    return Finding(
        "health-kill", service.name,
        f"{service.name} was found unhealthy {when}{_seconds(death.uptime)} after its start{limits}; "
        f"its healthcheck said {said}" + (f" (exit code {death.said_exit_code})" if death.said_exit_code else ""),
        evidence,
        "either the healthcheck asks for the wrong thing, or start_period is shorter than this boot",
    )  # fmt: skip


def _of_living(case: Case) -> Finding | None:
    """What a container says or suffers that still runs, and is not up yet."""
    disk = case.snapshot.disk
    for task in case.service.tasks:
        if not (task.wanted and task.current and task.state in LIVE and task.container):
            continue
        log, trace = task.container.log or "", case.traces.get(task.id)
        evidence = f"task {task.id[:12]}: {task.state}\nlast log lines:\n{cut(log.strip(), LOG_SHOWN)}"
        full = of_words((NO_SPACE,), log, case.name, evidence)
        if full is not None:
            return replace(_disk_full(case, full)[0], certain=disk is not None and disk.is_full)
        if trace is not None and trace.ooms and case.service.memory_limit:
            limit = f"at its limit of {case.service.memory_limit // MIB} MiB"
            return Finding(
                "oom", case.name,
                f"{case.name} runs, but processes in it were killed for want of memory {limit}, "
                f"{len(trace.ooms)} times so far",
                evidence, "raise deploy.resources.limits.memory, or find what needs so much",
                certain=len(trace.ooms) >= OOMS,
            )  # fmt: skip
        found = of_words((HALF_MADE, ACME), log, case.name, evidence)
        if found is None and "acme.json" in case.service.command:
            found = Finding(
                "acme-missing", case.name, f"{case.name}: its command speaks of acme.json, and it is not up",
                f"{case.service.command}\n{evidence}", ACME.hint,
            )  # fmt: skip
        if found is not None:
            return replace(found, certain=False)
    return None


def _of_placement(service: Service, snapshot: Snapshot) -> Finding | None:
    """Tasks that nobody can start."""
    if service.wanted is None and service.mode == "global" and not any(task.wanted for task in service.tasks):
        if snapshot.at - service.created < PATIENCE:
            return None
        return Finding(
            "unschedulable", service.name, f"{service.name} is global, and no node fits its placement",
            "no task was made", "look at deploy.placement.constraints",
        )  # fmt: skip
    for task in service.tasks:
        if not (task.wanted and task.state == "pending" and task.error):
            continue
        if snapshot.nodes_not_ready and "not available" in task.error:
            return Finding(
                "node-not-ready", service.name, f"{service.name} has no place: {'; '.join(snapshot.nodes_not_ready)}",
                task.error, "bring the node back: `docker node ls`", "error",
                certain=_waited(task, service, snapshot.at),
            )  # fmt: skip
        finding = of_words(TASK_ERRORS, task.error, service.name, f"task {task.id}: {task.error}")
        if finding is not None:
            return replace(finding, certain=_waited(task, service, snapshot.at))
    return None


def _waited(task: Task, service: Service, now: float) -> bool:
    """Another task of this service that still stops may be what holds the place; start-first never frees it."""
    stopping = any(other.state == "running" and not other.wanted for other in service.tasks)
    return not stopping and now - task.created >= PATIENCE


def _evidence(case: Case) -> str:
    """The deaths of this service, and before them what may have been their first cause."""
    cause, disk = case.first_cause(), case.snapshot.disk
    before = [] if cause is None else [f"before: {_told(cause, '')}", *_last_line_of(cause)]
    full = [f"disk: {disk}"] if disk is not None and disk.is_full else []
    return "\n".join([*full, *before, evidence_of(case.deaths)])


def _last_line_of(cause: Death) -> list[str]:
    return [f"  its last words: {_last_line(cause.log)}"] if (cause.log or "").strip() else []


def evidence_of(deaths: Sequence[Death]) -> str:
    """What was seen of each death, and the last one's words in full."""
    lines = [
        f"task {death.task[:12]}: {death.how}"
        + (f", exit code {death.exit_code}" if death.exit_code is not None else "")
        + (f", up {_seconds(death.uptime)}" if death.uptime >= 0 else "")
        + (f", {death.error}" if death.error else "")
        + (f", signal {death.signal}" if death.signal is not None and death.how == "killed" else "")
        + (f" (was {', '.join(death.excused)} still starting?)" if death.excused else "")
        for death in deaths
    ]
    last = deaths[-1]
    if last.said_exit_code is not None:
        lines += [f"healthcheck (exit code {last.said_exit_code}): {last.said or 'no output'}"]
    if last.how != "refused":
        lines += ["last log lines:", cut((last.log or "").strip(), LOG_SHOWN) or "no output"]
    return "\n".join(lines)


def _last_line(log: str | None) -> str:
    lines = [line.strip() for line in (log or "").splitlines() if line.strip()]
    return short(lines[-1], 200) if lines else "no output"


def _seconds(value: float) -> str:
    return "an unknown time" if value < 0 else f"{value:.0f} s" if value >= 1 else "less than 1 s"
