"""Has a stack come up, or is it certain that it won't? A pure decision over snapshots; `watch.py` feeds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import deaths as dead
from .deaths import Death
from .diagnose import Finding, diagnose
from .snapshot import LIVE, Service, Snapshot


@dataclass(frozen=True)
class Memory:
    """What travels in the cursor from slice to slice. `good` is when each service was last seen up."""

    since: float
    deaths: tuple[Death, ...] = ()
    good: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"since": self.since, "deaths": [death.to_json() for death in self.deaths], "good": dict(self.good)}

    @property
    def recent(self) -> list[Death]:
        """The deaths that still say something: a service that was up since then has left its own behind."""
        return [death for death in self.deaths if death.at >= self.good.get(death.service, 0.0)]

    @classmethod
    def from_json(cls, raw: Mapping[str, Any], now: float) -> Memory:
        return cls(
            float(raw.get("since", now)),
            tuple(Death.from_json(death) for death in raw.get("deaths", [])),
            dict(raw.get("good", {})),
        )


@dataclass(frozen=True)
class Decision:
    """`outcome` is waiting, pass, fail or error; `progress` is one line for people."""

    outcome: str
    progress: str
    findings: tuple[Finding, ...] = ()


def look(snapshot: Snapshot, memory: Memory) -> tuple[Memory, Decision]:
    """What one more snapshot tells."""
    deaths = dead.without_old_logs(dead.recall(memory.deaths, snapshot, memory.since))
    recent = Memory(memory.since, tuple(deaths), memory.good).recent
    good = {
        service.name: snapshot.at
        for service in snapshot.services
        # After a rollback the old version is up; what the new one died of is still the answer.
        if not service.has_update_trouble and dead.up(service, snapshot.at, recent)
    }
    memory = Memory(memory.since, tuple(deaths), {**memory.good, **good})
    return memory, decide(snapshot, memory.recent)


def decide(snapshot: Snapshot, deaths: Sequence[Death]) -> Decision:
    if not snapshot.services:
        nothing = Finding("not-converged", "", "the stack has no services", "", "look at what the deploy said", "error")
        return Decision("error", "no services", (nothing,))
    late = [service for service in snapshot.services if not converged(service, snapshot.at, deaths)]
    progress = "; ".join(describe(service, snapshot.at, deaths) for service in late)
    findings = tuple(diagnose(snapshot, deaths))
    certain = tuple(finding for finding in findings if finding.certain)
    if certain:
        return Decision(certain[0].outcome, progress, findings)
    if not progress:
        return Decision("pass", f"{len(snapshot.services)} of {len(snapshot.services)} services up")
    return Decision("waiting", progress, findings)


def give_up(snapshot: Snapshot, memory: Memory, decision: Decision, limit: float) -> Finding:
    """The time is up: the likeliest cause if one was seen, and the last state of every service in any case."""
    now, deaths = snapshot.at, memory.recent
    states = "\n".join(describe(service, now, deaths) for service in snapshot.services)
    late = ", ".join(service.name for service in snapshot.services if not converged(service, now, deaths))
    sentence = f"not converged after {limit:.0f} s: {late}"
    if decision.findings:
        suspects = decision.findings[:3]
        first = suspects[0]
        told = "\n".join(f"{one.service}: {one.sentence}\n{one.evidence}" for one in suspects)
        return Finding(
            first.failure_id, first.service, f"{sentence}; likeliest cause, not certain: {first.sentence}",
            f"{states}\n\n{told}", first.hint, first.outcome, certain=False,
        )  # fmt: skip
    return Finding(
        "not-converged", late.partition(",")[0], f"{sentence}; last seen: {decision.progress}", states,
        "raise timeouts in recipe.yml if the app only needs longer", certain=False,
    )  # fmt: skip


def converged(service: Service, now: float, deaths: Sequence[Death]) -> bool:
    """Up, the update over, and no older task left that still runs beside the new ones."""
    leftovers = [task for task in service.tasks if task.state in LIVE and not (task.current and task.wanted)]
    over = service.update_state in ("", "completed", "paused")
    return dead.up(service, now, deaths) and over and not leftovers


def describe(service: Service, now: float, deaths: Sequence[Death]) -> str:
    """One service in a few words, such as `app 0/1, starting 4 s, 2 failed checks: connection refused`."""
    tasks = [task for task in service.tasks if task.wanted and task.current]
    running = sum(1 for task in tasks if task.state == "running")
    wanted = len(tasks) if service.wanted is None else service.wanted
    parts = [f"{service.name} {running}/{wanted}"]
    if converged(service, now, deaths):
        return f"{parts[0]} up"
    newest = tasks[-1] if tasks else None
    if newest is not None:
        parts.append(f"{newest.state} {max(0.0, now - newest.created):.0f} s")
        if newest.error:
            parts.append(newest.error)
        if newest.container is not None and newest.container.failing_streak:
            said = newest.container.checks[-1].output if newest.container.checks else ""
            parts.append(f"{newest.container.failing_streak} failed checks: {' '.join(said.split())[:120]}")
    elif service.tasks:
        last = service.tasks[-1]
        parts.append(f"{last.state}{': ' + last.error if last.error else ''}")
    if service.update_state not in ("", "completed"):
        parts.append(f"update {service.update_state}")
    return ", ".join(parts)


def restarts(deaths: Sequence[Death]) -> str:
    """`0 restarts`, or how often which service ended before it stayed up."""
    if not deaths:
        return "0 restarts"
    told = []
    for service, count in sorted(Counter(death.service for death in deaths).items()):
        codes = sorted({str(death.exit_code) for death in deaths if death.service == service})
        times = "once" if count == 1 else f"{count} times"
        told.append(f"{service} restarted {times} (exit code {', '.join(codes)})")
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
