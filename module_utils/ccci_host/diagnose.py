"""From what was seen to what is wrong: snapshot and deaths → findings. Pure.

A finding that is `certain` ends the wait; the others say what to look at when the time is up. `failure_id` is an id of
the failure catalogue where that has one; the others are OTHER_IDS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .deaths import WAITS_FOR_SOMETHING, Death, up
from .snapshot import Service, Snapshot, Task

OTHER_IDS: Mapping[str, str] = {
    "oom": "the kernel killed it at its memory limit",
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


@dataclass(frozen=True)
class Finding:
    failure_id: str
    service: str
    sentence: str
    evidence: str
    hint: str = ""
    outcome: str = "fail"
    certain: bool = True


@dataclass(frozen=True)
class Pattern:
    """Words of the engine or of a program, and what they mean. `{0}` in the sentence is the first group."""

    words: re.Pattern[str]
    failure_id: str
    sentence: str
    hint: str
    outcome: str = "fail"


def _pattern(words: str, failure_id: str, sentence: str, hint: str, outcome: str = "fail") -> Pattern:
    return Pattern(re.compile(words, re.IGNORECASE), failure_id, sentence, hint, outcome)


# What swarm writes into the `Err` of a task.
TASK_ERRORS = (
    _pattern("(toomanyrequests|rate limit)", "rate-limit", "the registry answered {0}",
             "wait, or give the node credentials for the registry", "error"),
    _pattern("(no space left on device)", "disk-full", "the node's disk is full", "make room on the node", "error"),
    _pattern(r"no such image:? *(\S*)|manifest unknown|pull access denied|repository does not exist", "missing-image",
             "its image {0} is not on the node and cannot be pulled", "check its name and tag"),
    _pattern(r"bind source path does not exist: (/etc/(?:timezone|localtime))", "missing-bind-source",
             "the node has no {0}", "bootstrap the node again", "error"),
    _pattern(r"bind source path does not exist: (\S+)", "missing-bind-source", "it mounts {0}, which the node lacks",
             "a recipe should mount volumes, not paths of the host"),
    _pattern("port is already allocated|address already in use|host-mode port already in use", "port-taken",
             "a port that it publishes is already in use", "see what holds it: docker service ls, ss -ltnp", "error"),
    _pattern(r"insufficient resources", "unschedulable", "it reserves more than the node has free",
             "free resources on the node, or reserve less", "error"),
    _pattern(r"((?:secret|config|network|volume) \S*).*(?:not found|does not exist)", "missing-reference",
             "its {0} does not exist", "declare it in the compose file, or create it before the deploy"),
    _pattern(r"constraints not satisfied|unsupported platform|no suitable node", "unschedulable",
             "no node fits its placement", "look at deploy.placement.constraints"),
    _pattern(r'exec: "?([^":]+)"?.*(?:not found|no such file|permission denied)', "start-failed",
             "its command {0} cannot be executed in this image", "check `command` and `entrypoint` against the image"),
)  # fmt: skip
# What programs write into their logs before they die. They refine a finding, they never make one.
LOG_WORDS = (
    _pattern("(No space left on device)", "disk-full", "the disk is full", "make room on the node", "error"),
    _pattern("(toomanyrequests|429 Too Many Requests)", "shared-quota", "its own download was refused: {0}",
             "the node's address has used up a quota: wait, or keep the download in a volume", "error"),
    _pattern("(MigrationsAreLocked\\w*|redo log .*corrupt\\w*|Missing MLOG_CHECKPOINT)", "db-killed-in-init",
             "its database was killed during its first initialisation: {0}",
             "this data cannot be repaired: deploy anew with a longer start_period"),
    _pattern("(shutdown requested while starting up)", "killed-while-booting",
             "it was told to stop while it was still booting", "gate the upgrade on a ready probe (gates.pre_upgrade)"),
)  # fmt: skip
# Of several causes, the one that explains the others comes first.
ORDER = (
    "node-not-ready", "disk-full", "rate-limit", "missing-image", "missing-bind-source", "missing-reference",
    "port-taken", "unschedulable", "start-failed", "oom", "db-killed-in-init", "shared-quota", "health-kill",
    "killed-while-booting", "crash-loop", "update-failed",
)  # fmt: skip


def diagnose(snapshot: Snapshot, deaths: Sequence[Death]) -> list[Finding]:
    """Everything that is wrong with services that are not up, the certain and most basic causes first."""
    found = []
    for service in snapshot.services:
        mine = [death for death in deaths if death.service == service.name]
        is_up = up(service, snapshot.at, mine)
        finding = _of_update(service, mine, is_up)
        if finding is None and not is_up:
            finding = _of_deaths(service, mine) or _of_placement(service, snapshot)
        if finding is not None:
            found.append(finding)
    return sorted(found, key=lambda one: (not one.certain, ORDER.index(one.failure_id)))


def _of_update(service: Service, deaths: Sequence[Death], is_up: bool) -> Finding | None:
    """Swarm itself gave the update up. A paused one that waited for another service may still come up."""
    if not service.has_update_trouble:
        return None
    deaths = [death for death in deaths if death.started >= service.update_started - 1]
    excused = bool(deaths) and bool(deaths[-1].excused)
    if service.update_state == "paused" and (excused or is_up):
        return None
    what = "paused the update" if service.update_state == "paused" else "rolled the update back"
    cause = _of_deaths(service, deaths, enough=1)
    if cause is None:
        return Finding(
            "update-failed", service.name, f"{service.name}: swarm {what}", service.update_message,
            "look at the log of the service: its new tasks did not stay up",
        )  # fmt: skip
    return Finding(
        cause.failure_id, service.name, f"{cause.sentence}; swarm {what}",
        f"{service.update_message}\n{cause.evidence}", cause.hint, cause.outcome,
    )  # fmt: skip


def _of_deaths(service: Service, deaths: Sequence[Death], enough: int = 0) -> Finding | None:
    """`enough` is how many identical deaths prove a crash loop; 0 lets their words decide."""
    if not deaths:
        return None
    last, evidence = deaths[-1], evidence_of(deaths)
    counted = identical(deaths)
    if last.how == "refused":
        return _of_words(TASK_ERRORS, last.error, service.name, evidence) or Finding(
            "start-failed", service.name, f"{service.name}: its container could not be started: {last.error}", evidence,
            "look at the error", certain=len(counted) >= 2 or enough == 1,
        )  # fmt: skip
    refined = _of_words(LOG_WORDS, last.log or "", service.name, evidence)
    certain = not last.excused
    if last.how == "unhealthy":
        finding = _health_kill(service, last, evidence)
    elif last.how == "oom":
        finding = Finding(
            "oom", service.name, f"{service.name} was killed for want of memory after {_seconds(last.uptime)}",
            evidence, "raise deploy.resources.limits.memory, or find what needs so much",
        )  # fmt: skip
    else:
        finding = _crash(service, deaths, evidence)
        certain = _gives_up(service, deaths) or len(counted) >= (enough or needed(counted))
    if refined is not None:
        finding = Finding(
            refined.failure_id, service.name, f"{finding.sentence}: {refined.sentence.partition(': ')[2]}", evidence,
            refined.hint, refined.outcome,
        )  # fmt: skip
    return replace(finding, certain=certain)


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
    if any(WAITS_FOR_SOMETHING.search(death.words) for death in counted):
        return 4
    words = {death.last_words for death in counted}
    return 2 if len(words) == 1 and words != {""} else 3


def _gives_up(service: Service, deaths: Sequence[Death]) -> bool:
    """Swarm will not start it again."""
    if service.restart == "none":
        return True
    return 0 < service.max_attempts < len(deaths)


def _crash(service: Service, deaths: Sequence[Death], evidence: str) -> Finding:
    last = deaths[-1]
    times = "once" if len(deaths) == 1 else f"{len(deaths)} times"
    sentence = f"{service.name} ended {times}, each time with exit code {last.exit_code} after {_seconds(last.uptime)}"
    if len({death.exit_code for death in deaths}) > 1:
        sentence = f"{service.name} ended {times}, with exit codes {', '.join(str(one.exit_code) for one in deaths)}"
    if len(deaths) == 1:
        sentence = f"{service.name} ended with exit code {last.exit_code} after {_seconds(last.uptime)}"
    if _gives_up(service, deaths):
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
        finding = _of_words(TASK_ERRORS, task.error, service.name, f"task {task.id}: {task.error}")
        if finding is not None:
            return replace(finding, certain=_waited(task, service, snapshot.at))
    return None


def _waited(task: Task, service: Service, now: float) -> bool:
    """Another task of this service that still stops may be what holds the place; start-first never frees it."""
    stopping = any(other.state == "running" and not other.wanted for other in service.tasks)
    return not stopping and now - task.created >= PATIENCE


def _of_words(patterns: Sequence[Pattern], text: str, service: str, evidence: str) -> Finding | None:
    for pattern in patterns:
        match = pattern.words.search(text)
        if match:
            group = (match[1] if match.lastindex else "") or ""
            sentence = pattern.sentence.format(group).replace("  ", " ")
            return Finding(
                pattern.failure_id, service, f"{service}: {sentence}", evidence, pattern.hint, pattern.outcome
            )
    return None


def evidence_of(deaths: Sequence[Death]) -> str:
    """What was seen of each death, and the last one's words in full."""
    lines = [
        f"task {death.task[:12]}: {death.how}"
        + (f", exit code {death.exit_code}" if death.exit_code is not None else "")
        + (f", up {_seconds(death.uptime)}" if death.uptime >= 0 else "")
        + (f", {death.error}" if death.error else "")
        + (f" (was {', '.join(death.excused)} still starting?)" if death.excused else "")
        for death in deaths
    ]
    last = deaths[-1]
    if last.said_exit_code is not None:
        lines += [f"healthcheck (exit code {last.said_exit_code}): {last.said or 'no output'}"]
    if last.how != "refused":
        lines += ["last log lines:", (last.log or "").strip() or "no output"]
    return "\n".join(lines)


def _last_line(log: str | None) -> str:
    lines = [line.strip() for line in (log or "").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"


def _seconds(value: float) -> str:
    return "an unknown time" if value < 0 else f"{value:.0f} s" if value >= 1 else "less than 1 s"
