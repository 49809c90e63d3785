"""What the engine's events and the kernel's counters tell about single tasks, folded into a small memory. Pure.

A list of tasks says how a task is; only events say that somebody sent it a signal, or that a child of it was killed for
want of memory while it went on. Events may be missed, so nothing here is needed for a verdict on what lists show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .snapshot import LIVE, Event, Snapshot

# Signals with which programs are told to reload or to reopen their logs (HUP, USR1, USR2); they end nobody.
HARMLESS = (1, 10, 12)
# A program that was told to stop does so within this many seconds, or not for that reason.
GRACE = 60.0
# Kills for want of memory that are closer to each other (seconds) are one, told by event and counter.
ONE_OOM = 1.0
KEPT = 60


@dataclass(frozen=True)
class Trace:
    """One task. Moments are in seconds since the epoch, 0.0 for what was not seen.

    `signal` is the first one that was to end it; `ooms` are moments at which something in it was killed for want of
    memory; `counted` is the kernel's counter of that at the last look; `healthy` says that it once was.
    """

    service: str
    started: float = 0.0
    ended: float = 0.0
    exit_code: int | None = None
    signal: int | None = None
    signalled: float = 0.0
    ooms: tuple[float, ...] = ()
    counted: int = 0
    healthy: bool = False

    @property
    def was_killed(self) -> bool:
        """Somebody sent it a signal, and it ended."""
        return self.signal is not None and (not self.ended or self.ended - self.signalled <= GRACE)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Trace:
        return cls(**{**raw, "ooms": tuple(raw["ooms"])})


def follow(known: Mapping[str, Trace], snapshot: Snapshot) -> dict[str, Trace]:
    """`known` (by task id) and what this snapshot adds; only the latest ones are kept."""
    traces = dict(known)
    for event in snapshot.events:
        traces[event.task] = _with_event(traces.get(event.task) or Trace(event.service), event)
    for service in snapshot.services:
        for task in service.tasks:
            container = task.container
            if container is None or task.state not in LIVE:
                continue
            trace = before = traces.get(task.id) or Trace(service.name)
            if container.health == "healthy":
                trace = replace(trace, healthy=True)
            if (container.oom_kills or 0) > trace.counted:
                trace = replace(_with_oom(trace, snapshot.at), counted=container.oom_kills or 0)
            if trace != before:
                traces[task.id] = trace
    latest = sorted(traces, key=lambda id: max(traces[id].started, traces[id].ended, traces[id].signalled))
    return {id: traces[id] for id in latest[-KEPT:]}


def _with_event(trace: Trace, event: Event) -> Trace:
    if event.action == "start":
        return replace(trace, started=event.at)
    if event.action == "kill" and event.signal not in HARMLESS and trace.signal is None:
        return replace(trace, signal=event.signal, signalled=event.at)
    if event.action == "die":
        return replace(trace, ended=event.at, exit_code=event.exit_code)
    if event.action == "oom":
        return _with_oom(trace, event.at)
    return replace(trace, healthy=True) if event.action == "health_status: healthy" else trace


def _with_oom(trace: Trace, at: float) -> Trace:
    if any(abs(at - moment) < ONE_OOM for moment in trace.ooms):
        return trace
    return replace(trace, ooms=(*trace.ooms, at))
