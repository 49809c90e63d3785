"""Has a stack come up, or is it certain that it won't? A pure decision over snapshots; `watch.py` feeds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import deaths as dead
from .answer import cut, short
from .deaths import Death
from .diagnose import ORDER, diagnose
from .known_words import Finding
from .snapshot import LIVE, Service, Snapshot, Task
from .traces import Trace, follow

# A look comes so long (seconds) after something happened, then at growing distances: swarm notes with some delay what
# the engine tells at once, and of tasks that it cannot place or start it tells nothing.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
SUSPECTS = 3
SUSPECT_SHOWN = 1000  # bytes of a suspect's evidence


@dataclass(frozen=True)
class Memory:
    """What travels in the cursor from slice to slice. `good` is when each service was last seen up.

    `heard` is the moment (nanoseconds since the epoch) of the last event, so that the next slice goes on from there.
    """

    since: float
    deaths: tuple[Death, ...] = ()
    good: Mapping[str, float] = field(default_factory=dict)
    traces: Mapping[str, Trace] = field(default_factory=dict)
    heard: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "since": self.since,
            "deaths": [death.to_json() for death in self.deaths],
            "good": dict(self.good),
            "traces": {id: trace.to_json() for id, trace in self.traces.items()},
            "heard": self.heard,
        }

    @property
    def recent(self) -> list[Death]:
        """The deaths that still say something: a service that was up since then has left its own behind."""
        return [death for death in self.deaths if death.at >= self.good.get(death.service, 0.0)]

    @property
    def restarts(self) -> list[Death]:
        """Those that were no part of an update."""
        return [death for death in self.deaths if death.how != "stopped"]

    @classmethod
    def from_json(cls, raw: Mapping[str, Any], now: float) -> Memory:
        return cls(
            float(raw.get("since", now)),
            tuple(Death.from_json(death) for death in raw.get("deaths", [])),
            dict(raw.get("good", {})),
            {id: Trace.from_json(trace) for id, trace in raw.get("traces", {}).items()},
            int(raw.get("heard", 0)),
        )


@dataclass(frozen=True)
class Decision:
    """`outcome` is waiting, pass, fail or error; `progress` is one line for people."""

    outcome: str
    progress: str
    findings: tuple[Finding, ...] = ()


def look(snapshot: Snapshot, memory: Memory) -> tuple[Memory, Decision]:
    """What one more snapshot tells."""
    traces = follow(memory.traces, snapshot)
    heard = max([memory.heard, *(event.nano for event in snapshot.events)])
    deaths = tuple(dead.without_old_logs(dead.recall(memory.deaths, snapshot, memory.since, traces)))
    memory = Memory(memory.since, deaths, _corrected(memory, deaths), traces, heard)
    good = {
        service.name: snapshot.at
        for service in snapshot.services
        # After a rollback the old version is up; what the new one died of is still the answer.
        if not service.has_update_trouble and dead.up(service, snapshot.at, memory.recent)
    }
    memory = replace(memory, good={**memory.good, **good})
    return memory, decide(snapshot, memory.recent, memory.deaths, traces)


def _corrected(memory: Memory, deaths: Sequence[Death]) -> dict[str, float]:
    """When each service was last up. Swarm says a moment late that a task is dead: a look in between takes its service
    for one that is up, and the death would count as one from before."""
    good, known = dict(memory.good), {death.task for death in memory.deaths}
    for death in deaths:
        told_late = death.task not in known and death.how != "stopped"
        if told_late and death.at <= good.get(death.service, 0.0):
            good[death.service] = min(good[death.service], death.started)
    return good


def decide(
    snapshot: Snapshot,
    deaths: Sequence[Death],
    history: Sequence[Death] | None = None,
    traces: Mapping[str, Trace] | None = None,
) -> Decision:
    if not snapshot.services:
        nothing = Finding("not-converged", "", "the stack has no services", "", "look at what the deploy said", "error")
        return Decision("error", "no services", (nothing,))
    late = [service for service in snapshot.services if not converged(service, snapshot.at, deaths)]
    progress = "; ".join(describe(service, snapshot, deaths) for service in late)
    findings = tuple(diagnose(snapshot, deaths, history, traces))
    certain = tuple(finding for finding in findings if finding.certain)
    if certain:
        return Decision(certain[0].outcome, progress, findings)
    if not progress:
        return Decision("pass", f"{len(snapshot.services)} of {len(snapshot.services)} services up")
    return Decision("waiting", progress, findings)


def pause(snapshot: Snapshot, memory: Memory, quiet: int) -> float:
    """Seconds until the next look, if nothing happens before: `quiet` looks came since something last happened.

    A task without a healthcheck counts as up by time alone, so the look comes when it does.
    """
    due = [
        task.changed + dead.stable_after(service, memory.recent) - snapshot.at
        for service in snapshot.services
        for task in service.tasks
        if task.current and task.wanted and task.state == "running"
    ]
    soon = [seconds + 0.01 for seconds in due if seconds > 0]
    return min([FIRST_PAUSE * 2.0 ** min(quiet, 9), LONGEST_PAUSE, *soon])


def give_up(snapshot: Snapshot, memory: Memory, decision: Decision, limit: float) -> Finding:
    """The time is up: the likeliest causes, none of them certain, and the last state of every service."""
    deaths = memory.recent
    states = "\n".join(describe(service, snapshot, deaths) for service in snapshot.services)
    late = [service.name for service in snapshot.services if not converged(service, snapshot.at, deaths)]
    named = suspects(snapshot, deaths, decision)[:SUSPECTS]
    sentence = f"not converged after {limit:.0f} s: {', '.join(late)}"
    if not named:
        return Finding("not-converged", "", sentence, states, "look at the stack", certain=False)
    first = named[0]
    told = [
        f"suspect {place}: {one.service} ({one.failure_id}): {one.sentence}\n{cut(one.evidence, SUSPECT_SHOWN)}"
        for place, one in enumerate(named, start=1)
    ]
    if len(named) == 1:
        sentence = f"{sentence}; likeliest cause, not certain: {first.sentence}"
    else:
        listed = "; ".join(f"{place}. {short(one.sentence, 300)}" for place, one in enumerate(named, start=1))
        sentence = f"{sentence}; not certain, the likeliest causes: {listed}"
    return Finding(
        first.failure_id,
        first.service,
        sentence,
        "\n\n".join([states, *told]),
        first.hint,
        first.outcome,
        certain=False,
    )


def suspects(snapshot: Snapshot, deaths: Sequence[Death], decision: Decision) -> list[Finding]:
    """The findings, and every service that is late without one. Who is waited for comes before who waits."""
    found = {finding.service: finding for finding in decision.findings}
    for service in snapshot.services:
        if service.name not in found and not converged(service, snapshot.at, deaths):
            found[service.name] = _late(service, snapshot, deaths)
    waited_for = {name for death in deaths for name in death.excused}
    waited_for |= {name for service in snapshot.services if service.name in found for name in service.needs}
    return sorted(
        found.values(),
        key=lambda one: (
            not one.certain,
            one.service not in waited_for,
            ORDER.index(one.failure_id),
        ),
    )


def _late(service: Service, snapshot: Snapshot, deaths: Sequence[Death]) -> Finding:
    logs = [task.container.log for task in service.tasks if task.container and task.container.log and task.wanted]
    lines = [line for line in (logs[-1] if logs else "").splitlines() if line.strip()]
    said = f"; its log ends with: {short(lines[-1], 160)}" if lines else ""
    return Finding(
        "not-converged", service.name, f"{describe(service, snapshot, deaths)}{said}", logs[-1] if logs else "no log",
        "raise timeouts in recipe.yml if the app only needs longer", certain=False,
    )  # fmt: skip


def converged(service: Service, now: float, deaths: Sequence[Death]) -> bool:
    """Up, the update over, and no older task left that still runs beside the new ones."""
    leftovers = [task for task in service.tasks if task.state in LIVE and not (task.current and task.wanted)]
    over = service.update_state in ("", "completed", "paused")
    return dead.up(service, now, deaths) and over and not leftovers


def describe(service: Service, snapshot: Snapshot, deaths: Sequence[Death]) -> str:
    """One service in a few words, such as `app 0/1, starting 4 s, 2 failed checks: connection refused`."""
    now = snapshot.at
    tasks = [task for task in service.tasks if task.wanted and task.current]
    running = sum(1 for task in tasks if task.state == "running")
    wanted = len(tasks) if service.wanted is None else service.wanted
    parts = [f"{service.name} {running}/{wanted}"]
    if converged(service, now, deaths):
        return f"{parts[0]} up"
    newest = tasks[-1] if tasks else None
    if newest is not None:
        parts.append(_state(newest, now))
        if newest.error:
            parts.append(newest.error)
        if newest.container is not None and newest.container.failing_streak:
            said = newest.container.checks[-1].output if newest.container.checks else ""
            parts.append(f"{newest.container.failing_streak} failed checks: {short(said, 120)}")
    elif service.tasks:
        last = service.tasks[-1]
        parts.append(f"{last.state}{': ' + last.error if last.error else ''}")
    parts += _restarted(dead.by_itself(deaths, service.name), snapshot)
    if service.update_state not in ("", "completed"):
        parts.append(f"update {service.update_state}")
    return ", ".join(parts)


def _restarted(deaths: Sequence[Death], snapshot: Snapshot) -> list[str]:
    """`restarted 3 times (exit code 1, connection refused)`, `may be waiting for db, starting 40 s`."""
    if not deaths:
        return []
    last = deaths[-1]
    how = f"exit code {last.exit_code}" if last.how == "exit" and last.exit_code is not None else last.how
    lines = [line for line in (last.log or "").splitlines() if line.strip()]
    said = f", {short(lines[-1], 80)}" if lines else ""
    told = [f"restarted {_times(len(deaths))} ({how}{said})"]
    if last.excused:
        others = [_waited_for(name, snapshot) for name in last.excused]
        told.append(f"may be waiting for {' and '.join(others)}")
    return told


def _waited_for(name: str, snapshot: Snapshot) -> str:
    """The other service, and for how long it has been in its state."""
    tasks = [
        task for one in snapshot.services if one.name == name for task in one.tasks if task.wanted and task.current
    ]
    return f"{name}, {_state(tasks[-1], snapshot.at)}" if tasks else name


def _state(task: Task, now: float) -> str:
    return f"{task.state} {max(0.0, now - task.created):.0f} s"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def restarts(deaths: Sequence[Death]) -> str:
    """`0 restarts`, or how often which service ended before it stayed up."""
    if not deaths:
        return "0 restarts"
    told = []
    for service, count in sorted(Counter(death.service for death in deaths).items()):
        codes = sorted({str(death.exit_code) for death in deaths if death.service == service})
        told.append(f"{service} restarted {_times(count)} (exit code {', '.join(codes)})")
    return f"{'; '.join(told)}, then stayed up"


def moments(snapshot: Snapshot) -> list[dict[str, Any]]:
    """The timeline of each service: created, started, and healthy (or running, where nothing checks its health)."""
    found = []
    for service in snapshot.services:
        running = [task for task in service.tasks if task.current and task.state == "running"]
        if not running:
            continue
        task = running[-1]
        last = "healthy" if task.container is not None and task.container.health == "healthy" else "running"
        times = {
            "created": task.created,
            "started": task.container.started if task.container else 0.0,
            last: task.changed,
        }
        found += [{"at": round(at, 3), "service": service.name, "what": what} for what, at in times.items() if at]
    return sorted(found, key=lambda moment: (moment["at"], moment["service"]))
