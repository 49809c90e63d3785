"""What is remembered about tasks that ended: swarm keeps five a slot, a verdict may need more. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from .snapshot import LIVE, UNHEALTHY, Service, Snapshot, Task
from .traces import Trace

UNKNOWN_UPTIME = -1.0
# A task without a healthcheck counts as up only after it has stayed up for so long (seconds).
STABLE_AFTER = 1.5
LONGEST_PATIENCE = 28.0
LOGS_KEPT = 4
# Seconds by which a deploy may be older than the watch that looks at it.
DEPLOY_TAKES = 15.0
# Words of a program that waits for another one. Broad on purpose: missing one means a false alarm.
WAITS_FOR_SOMETHING = re.compile(
    r"connect|refused|resol|unreachable|timed? ?out|not ready|unavailable|waiting|lookup|ENOTFOUND|EAI_AGAIN|ECONN"
    r"|database|redis|postgres|mysql|mariadb|broker|upstream|no such host|host not found|socket|gone away|host name"
    r"|name or service not known|getaddrinfo|not (?:yet )?available",
    re.IGNORECASE,
)
# Words of a program that was told to stop before it was ready, and the exit code of one that says it so.
STOPPED_IN_BOOT = re.compile(r"shutdown requested while starting up", re.IGNORECASE)
EXIT_IN_BOOT = 70
# Numbers of a line that grow by themselves: days, hours, seconds since 1970, and process ids.
GROWS_ANYWAY = re.compile(
    r"\d{4}[-/]\d\d[-/]\d\d|(?<![\d.])\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?!\d)|\d{9,}(?:\.\d+)?"
    r"|\bpid\W{0,4}\d+|\[\d+\]|\d*#\d+",
    re.IGNORECASE,
)
# A number of its own: part of an address, a version, an identifier or a duration (`12ms`) is none.
COUNT = re.compile(r"(?<![\w.:,-])\d+(?:,\d{3})*(?:\.\d+)?(?![.:,-]?\w)")


@dataclass(frozen=True)
class Death:
    """The end of one task. `how` it ended:

    `exit` by itself; `unhealthy`, killed by swarm for its healthcheck; `oom`, killed by the kernel, or a child of it;
    `refused`, never started; `killed` by a signal that neither swarm nor the kernel sent; `stopped` by swarm, for an
    update, while it was still `booting`: no failure of its own, but what comes later may stem from it.
    `said` is the last word of its healthcheck, `mentions` are the services of the stack that its words name as hosts,
    and `excused` those that it may have been waiting for. `doubtful`: another service was starting, and nothing says
    that this one needs it.
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
    signal: int | None = None
    mentions: tuple[str, ...] = ()
    doubtful: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Death:
        return cls(**{**raw, "excused": tuple(raw["excused"]), "mentions": tuple(raw["mentions"])})

    @property
    def words(self) -> str:
        return f"{self.said}\n{self.log or ''}\n{self.error}"

    @property
    def last_words(self) -> str:
        """The last lines without numbers, to tell whether two tries ended in the same way."""
        lines = [line for line in (self.log or "").splitlines() if line.strip()]
        return re.sub(r"[0-9a-f]*\d[0-9a-f]*", "#", "\n".join(lines[-3:]))

    @property
    def last_numbers(self) -> tuple[float, ...]:
        """The numbers of the last line, to tell whether a try got further than another one: `imported 200 of 400`."""
        lines = [line for line in (self.log or "").splitlines() if line.strip()]
        line = GROWS_ANYWAY.sub(" ", lines[-1].strip()) if lines else ""
        return tuple(float(number.replace(",", "")) for number in COUNT.findall(line))


def of_task(service: Service, task: Task, now: float, trace: Trace | None = None) -> Death | None:
    """None for a task that lives, was stopped by swarm, or finished as it should."""
    container = task.container
    unhealthy = container is not None and container.health == "unhealthy" and task.state in LIVE
    if not unhealthy and not task.ended_by_itself:
        return None
    how = _how(task, unhealthy, trace)
    finishes = service.restart != "any" or service.mode == "job"
    # A child that was killed for want of memory can leave exit code 0 behind.
    if task.state == "complete" and finishes and not task.exit_code and how != "oom":
        return None
    return _death(service, task, how, now if unhealthy else 0.0, trace)


def stopped_in_boot(service: Service, task: Task, trace: Trace | None) -> Death | None:
    """A task that swarm was told to stop before it had got through its boot, as far as anybody can tell."""
    started = (task.container.started if task.container else 0.0) or (trace.started if trace else 0.0)
    if task.state != "shutdown" or not started:
        return None
    death = _death(service, task, "stopped", 0.0, trace)
    return death if death.booting or in_boot(death) else None


def in_boot(death: Death) -> bool:
    """Its own words, or its exit code, say that it was told to stop during its boot."""
    return bool(STOPPED_IN_BOOT.search(death.log or "")) or death.exit_code == EXIT_IN_BOOT


def _death(service: Service, task: Task, how: str, at: float, trace: Trace | None) -> Death:
    """`at` is 0.0 for what is over: then it is when its container ended."""
    container = task.container
    started = (container.started if container else 0.0) or (trace.started if trace else 0.0)
    finished = (container.finished if container else 0.0) or (trace.ended if trace else 0.0)
    ended = at or finished or task.changed
    failed_checks = [check for check in container.checks if check.exit_code] if container else []
    return Death(
        service=service.name,
        task=task.id,
        at=ended,
        how=how,
        exit_code=task.exit_code if (started or _has_run(task)) and not at else None,
        error=task.error,
        started=started or task.created,
        uptime=round(ended - started, 1) if started else UNKNOWN_UPTIME,
        booting=_is_booting(service, task, trace),
        said=failed_checks[-1].output if failed_checks else "",
        said_exit_code=failed_checks[-1].exit_code if failed_checks else None,
        log=container.log if container else None,
        signal=trace.signal if trace else None,
    )


def _is_booting(service: Service, task: Task, trace: Trace | None) -> bool:
    """It has a healthcheck that never said yes. Nobody knows that of a task without one.

    Swarm says `started` of a task with a healthcheck once that said yes, and keeps the word when the task fails.
    """
    checks = task.container.checks if task.container else ()
    was_healthy = (trace is not None and trace.healthy) or any(not check.exit_code for check in checks)
    if was_healthy or task.message == "started":
        return False
    return bool(checks) or service.healthcheck is not None


def _how(task: Task, unhealthy: bool, trace: Trace | None) -> str:
    container = task.container
    if unhealthy or UNHEALTHY in task.error:
        return "unhealthy"
    if (container is not None and (container.oom_killed or container.oom_kills)) or (trace is not None and trace.ooms):
        return "oom"
    ran = _has_run(task) or (container is not None and container.started) or (trace is not None and trace.started)
    if task.state == "rejected" or not ran:
        return "refused"
    return "killed" if trace is not None and trace.was_killed and task.state == "failed" else "exit"


def _has_run(task: Task) -> bool:
    """Swarm says so, while its container may have been looked at a moment before it started.

    An exit code alone is no sign of it: swarm gives one (127) to what it could not start, too.
    """
    return task.state == "complete" or "non-zero exit" in task.error


def recall(
    known: Sequence[Death], snapshot: Snapshot, watched_since: float, traces: Mapping[str, Trace] | None = None
) -> list[Death]:
    """`known` and the deaths that this snapshot adds: tries of what the service now asks for, or was asked lately."""
    traces = traces or {}
    found = {death.task: death for death in known}
    fresh = set()
    for service in snapshot.services:
        for task in service.tasks:
            trace = traces.get(task.id)
            death = of_task(service, task, snapshot.at, trace) or stopped_in_boot(service, task, trace)
            if death is None or not _of_this_deploy(service, task, death, watched_since):
                continue
            # Its container may be read one look later, and with it the words.
            if task.id not in found or (found[task.id].log is None and death.log is not None):
                found[task.id] = death
                fresh.add(task.id)
            elif trace is not None and found[task.id].how == "exit" and (trace.ooms or trace.was_killed):
                found[task.id] = replace(found[task.id], how="oom" if trace.ooms else "killed", signal=trace.signal)
    for death in _vanished(snapshot, set(found), watched_since, traces):
        found[death.task] = death
        fresh.add(death.task)
    everything = sorted(found.values(), key=lambda one: one.at)
    return [_explained(death, snapshot, everything) if death.task in fresh else death for death in everything]


def _vanished(
    snapshot: Snapshot, known: set[str], watched_since: float, traces: Mapping[str, Trace]
) -> Iterable[Death]:
    """Tasks that came and went between two looks, of which only events tell."""
    services = {service.name: service for service in snapshot.services}
    listed = {task.id for service in snapshot.services for task in service.tasks}
    for id, trace in traces.items():
        service = services.get(trace.service)
        if service is None or id in listed or id in known or trace.signal is not None:
            continue
        finishes = service.restart != "any" or service.mode == "job"
        if not trace.ended or trace.started < watched_since or (finishes and not trace.exit_code and not trace.ooms):
            continue
        yield Death(
            service=service.name, task=id, at=trace.ended, how="oom" if trace.ooms else "exit",
            exit_code=trace.exit_code, error="", started=trace.started, uptime=round(trace.ended - trace.started, 1),
            booting=False, said="", said_exit_code=None, log=None,
        )  # fmt: skip


def without_old_logs(deaths: Sequence[Death]) -> list[Death]:
    """The memory travels with every slice: only the latest deaths of a service keep their words.

    One that was stopped in its boot keeps them too: there are few, and they may be the first cause.
    """
    later: Counter[str] = Counter()
    kept = []
    for death in reversed(deaths):
        later[death.service] += 1
        keep = later[death.service] <= LOGS_KEPT or death.how == "stopped"
        kept.append(death if keep else replace(death, log=""))
    return kept[::-1]


def _of_this_deploy(service: Service, task: Task, death: Death, watched_since: float) -> bool:
    """After a rollback the failed tasks are no longer what the service asks for, but they are why."""
    lately = min(watched_since, service.update_started - 1 if service.update_started else watched_since)
    if death.how == "stopped":
        return death.at >= lately - DEPLOY_TAKES
    return task.current or task.created >= lately


def by_itself(deaths: Iterable[Death], service: str) -> list[Death]:
    """The deaths of a service without those that swarm was told to bring about."""
    return [death for death in deaths if death.service == service and death.how != "stopped"]


def _explained(death: Death, snapshot: Snapshot, deaths: Sequence[Death]) -> Death:
    """A death is no evidence while another service of the stack, which this one may need, was still starting."""
    own = next(service for service in snapshot.services if service.name == death.service)
    others = [service for service in snapshot.services if service is not own]
    death = replace(death, mentions=tuple(one.name for one in others if speaks_of(death.words, one)))
    if death.how not in ("exit", "unhealthy"):
        return death  # nobody else is why
    on_the_way = [
        other
        for other in others
        if starting(other, snapshot.at, deaths) or ready_since(other) > death.started or is_silent(other, own, death)
    ]
    others = [other for other in on_the_way if not needs_only(other, own, death)]
    excused = tuple(other.name for other in others if _may_need(own, other, death))
    return replace(death, excused=excused, doubtful=bool(others) and not excused)


def _may_need(own: Service, other: Service, death: Death) -> bool:
    """Its settings or its words name the other one; else its words sound like waiting.

    One that is unhealthy and silent had its `start_period`, one that ended without a word may have waited for anything.
    What a healthcheck says does not count here: it asks its own container, and is refused there.
    """
    if other.name in own.needs or other.name in death.mentions:
        return True
    words = (death.log or "").strip()
    return bool(WAITS_FOR_SOMETHING.search(words)) if words else death.how != "unhealthy"


def needs_only(other: Service, own: Service, death: Death) -> bool:
    """`other` speaks of this service while this one does not speak of `other`: then `other` waits, not this one."""
    if other.name in death.mentions or other.name in own.needs:
        return False
    logs = "\n".join(task.container.log or "" for task in other.tasks if task.container and task.state in LIVE)
    return own.name in other.needs or speaks_of(logs, own)


def speaks_of(words: str, service: Service) -> bool:
    """The words name the service, or an address of it, where a host stands (`connect ECONNREFUSED db:3306`)."""
    name = re.escape(service.name)
    before = (
        r"@|//|host(?:name)?[ :=]+|resolved? |lookup |for |to |on |at |ENOTFOUND |EAI_AGAIN |ECONNREFUSED |['\"“‘`(]"
    )
    if re.search(rf"(?:{before})(?:[\w-]+_)?{name}(?![\w-])|(?<![\w./-]){name}:\d", words, re.IGNORECASE):
        return True
    return any(re.search(rf"(?<![\d.]){re.escape(address)}(?![\d.]*\d)", words) for address in service.addresses)


def is_silent(other: Service, own: Service, death: Death) -> bool:
    """`other` runs, but nothing listens yet where this one wants to reach it: first boots of databases are like that.

    That is a port which the words name together with it, else those that its image exposes if this one needs it. (A
    second container of the same image may never listen there.)
    """
    alive = [task.container for task in other.tasks if task.current and task.state in LIVE and task.container]
    looked = [container for container in alive if container.listens is not None]
    ports = _ports(death.words, other)
    if not ports and other.image != own.image and (other.name in own.needs or other.name in death.mentions):
        ports = {port for container in looked for port in container.exposes}
    return bool(looked and ports) and not any(ports & set(container.listens or ()) for container in looked)


def _ports(words: str, other: Service) -> set[int]:
    """Of `db:5432`, of `"db" (10.0.1.2), port 5432`, and of an address instead of the name."""
    hosts = "|".join(re.escape(host) for host in (other.name, *other.addresses))
    found = re.findall(rf"(?<![\w.-])(?:{hosts})(?::|\b[^\n]{{0,40}}?\bport[ =:]+)(\d{{2,5}})", words)
    return {int(port) for port in found}


def starting(service: Service, now: float, deaths: Sequence[Death]) -> bool:
    """It is on its way up: it has failed once at most, or it lives longer than it did before."""
    if up(service, now, deaths):
        return False
    alive = [task for task in service.tasks if task.wanted and task.state in LIVE and not task.error]
    uptimes = [death.uptime for death in by_itself(deaths, service.name)]
    if len(uptimes) < 2:
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
        died = {death.task for death in deaths}
        done = [
            task
            for task in service.tasks
            if task.current and task.state == "complete" and not task.exit_code and task.id not in died
        ]
        # A job that still runs is not done; a service that swarm does not start again may be one that runs for ever.
        running = [] if service.mode == "job" else running
        return len({task.slot for task in (*running, *done)}) >= (service.wanted or 1)
    if service.wanted is None:
        return bool(running) and all(task in running for task in service.tasks if task.wanted)
    return len(running) >= service.wanted


def stable_after(service: Service, deaths: Sequence[Death]) -> float:
    """How long a task without a healthcheck must have run: longer than the tries that failed."""
    lived = [min(death.uptime, LONGEST_PATIENCE) + 2 for death in by_itself(deaths, service.name)]
    return max([STABLE_AFTER, *lived])


def settled(task: Task, now: float, patience: float) -> bool:
    """Swarm says `running` of a container with a healthcheck only once that is healthy."""
    if task.state != "running":
        return False
    health = task.container.health if task.container else "none"
    return health == "healthy" or (health == "none" and now - task.changed >= patience)


def ready_since(service: Service) -> float:
    return max((task.changed for task in service.tasks if task.current and task.state == "running"), default=0.0)
