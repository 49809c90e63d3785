"""What is remembered about tasks that ended by themselves: swarm keeps five a slot, a verdict may need more. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from .snapshot import LIVE, UNHEALTHY, Service, Snapshot, Task

UNKNOWN_UPTIME = -1.0
# A task without a healthcheck counts as up only after it has stayed up for so long (seconds).
STABLE_AFTER = 1.5
LONGEST_PATIENCE = 28.0
LOGS_KEPT = 4
# Words of a program that waits for another one. Broad on purpose: missing one means a false alarm.
WAITS_FOR_SOMETHING = re.compile(
    r"connect|refused|resolv|unreachable|timed? ?out|not ready|unavailable|waiting|lookup|ENOTFOUND|EAI_AGAIN|ECONN"
    r"|database|redis|postgres|mysql|mariadb|broker|upstream|no such host|host not found|socket|gone away",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Death:
    """`how` is exit, unhealthy, oom or refused (never started). `said` is the last word of its healthcheck.

    `excused` names the services that it may have been waiting for, empty when there were none.
    """

    service: str
    task: str
    at: float
    how: str
    exit_code: int | None
    error: str
    started: float
    uptime: float
    booting: bool
    said: str
    said_exit_code: int | None
    log: str | None
    excused: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Death:
        return cls(**{**raw, "excused": tuple(raw["excused"])})

    @property
    def words(self) -> str:
        return f"{self.said}\n{self.log or ''}\n{self.error}"

    @property
    def last_words(self) -> str:
        """The last lines without numbers, to tell whether two tries ended in the same way."""
        lines = [line for line in (self.log or "").splitlines() if line.strip()]
        return re.sub(r"[0-9a-f]*\d[0-9a-f]*", "#", "\n".join(lines[-3:]))


def of_task(service: Service, task: Task, now: float) -> Death | None:
    """None for a task that lives, was stopped by swarm, or finished as it should."""
    container = task.container
    unhealthy = container is not None and container.health == "unhealthy" and task.state in LIVE
    if not unhealthy and not task.ended_by_itself:
        return None
    if task.state == "complete" and (service.restart != "any" or service.mode == "job") and not task.exit_code:
        return None
    started = container.started if container else 0.0
    ended = now if unhealthy else (container.finished if container and container.finished else task.changed)
    failed_checks = [check for check in container.checks if check.exit_code] if container else []
    return Death(
        service=service.name,
        task=task.id,
        at=ended,
        how=_how(task, unhealthy),
        exit_code=task.exit_code if started and not unhealthy else None,
        error=task.error,
        started=started or task.created,
        uptime=round(ended - started, 1) if started else UNKNOWN_UPTIME,
        booting=task.message != "started",
        said=failed_checks[-1].output if failed_checks else "",
        said_exit_code=failed_checks[-1].exit_code if failed_checks else None,
        log=container.log if container else None,
    )


def _how(task: Task, unhealthy: bool) -> str:
    if unhealthy or UNHEALTHY in task.error:
        return "unhealthy"
    if task.container is not None and task.container.oom_killed:
        return "oom"
    return "refused" if task.container is None or not task.container.started else "exit"


def recall(known: Sequence[Death], snapshot: Snapshot, watched_since: float) -> list[Death]:
    """`known` and the deaths that this snapshot adds: tries of what the service now asks for, or was asked lately."""
    found = list(known)
    by_task = {death.task: place for place, death in enumerate(found)}
    for service in snapshot.services:
        for task in service.tasks:
            if not _of_this_deploy(service, task, watched_since):
                continue
            death = of_task(service, task, snapshot.at)
            if death is None:
                continue
            if task.id not in by_task:
                found.append(death)
            elif found[by_task[task.id]].log is None and death.log is not None:
                found[by_task[task.id]] = death
    known_ids = {death.task for death in known}
    return [
        death if death.task in known_ids else _excused(death, snapshot, found)
        for death in sorted(found, key=lambda one: one.at)
    ]


def without_old_logs(deaths: Sequence[Death]) -> list[Death]:
    """The memory travels with every slice: only the latest deaths of a service keep their words."""
    later: Counter[str] = Counter()
    kept = []
    for death in reversed(deaths):
        later[death.service] += 1
        kept.append(death if later[death.service] <= LOGS_KEPT else replace(death, log=""))
    return kept[::-1]


def _of_this_deploy(service: Service, task: Task, watched_since: float) -> bool:
    """After a rollback the failed tasks are no longer what the service asks for, but they are why."""
    lately = min(watched_since, service.update_started - 1 if service.update_started else watched_since)
    return task.current or task.created >= lately


def _excused(death: Death, snapshot: Snapshot, deaths: Sequence[Death]) -> Death:
    """A death is no evidence while another service of the stack, which this one may need, was still starting."""
    names = tuple(
        other.name
        for other in snapshot.services
        if other.name != death.service
        and (starting(other, snapshot.at, deaths) or ready_since(other) > death.started)
        and not needs_only(other, death)
    )
    return replace(death, excused=names)


def starting(service: Service, now: float, deaths: Sequence[Death]) -> bool:
    """It is on its way up: it has not failed yet, or it lives longer than it did before."""
    if up(service, now, deaths):
        return False
    alive = [task for task in service.tasks if task.wanted and task.state in LIVE and not task.error]
    uptimes = [death.uptime for death in deaths if death.service == service.name]
    if not uptimes:
        return bool(alive)
    return any(
        task.container is not None
        and task.container.health != "unhealthy"
        and now - (task.container.started or task.changed) > max(uptimes) + 1
        for task in alive
    )


def up(service: Service, now: float, deaths: Sequence[Death]) -> bool:
    """Everything that should run runs, in the version that is asked for, healthy or long enough."""
    patience = stable_after(service, deaths)
    running = [task for task in service.tasks if task.current and task.wanted and settled(task, now, patience)]
    if service.wanted == 0:
        return True
    if service.mode == "job" or service.restart != "any":
        done = [task for task in service.tasks if task.current and task.state == "complete" and not task.exit_code]
        running += [task for task in done if task.slot not in {one.slot for one in running}]
        return len({task.slot for task in running}) >= (service.wanted or 1)
    if service.wanted is None:
        return bool(running) and all(task in running for task in service.tasks if task.wanted)
    return len(running) >= service.wanted


def stable_after(service: Service, deaths: Sequence[Death]) -> float:
    """How long a task without a healthcheck must have run: longer than the tries that failed."""
    lived = [min(death.uptime, LONGEST_PATIENCE) + 2 for death in deaths if death.service == service.name]
    return max([STABLE_AFTER, *lived])


def settled(task: Task, now: float, patience: float) -> bool:
    """Swarm says `running` of a container with a healthcheck only once that is healthy."""
    if task.state != "running":
        return False
    health = task.container.health if task.container else "none"
    return health == "healthy" or (health == "none" and now - task.changed >= patience)


def ready_since(service: Service) -> float:
    return max((task.changed for task in service.tasks if task.current and task.state == "running"), default=0.0)


def needs_only(other: Service, death: Death) -> bool:
    """`other` speaks of this service while this one does not speak of `other`: then `other` waits, not this one."""
    logs = "\n".join(task.container.log or "" for task in other.tasks if task.container and task.state in LIVE)
    return names(logs, death.service) and not names(death.words, other.name)


def names(text: str, service: str) -> bool:
    return bool(re.search(rf"(?<![\w-]){re.escape(service)}(?![\w-])", text))
