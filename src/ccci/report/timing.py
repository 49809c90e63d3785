"""How long things took: unions of intervals, so that what runs at the same time is not counted twice. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Time:
    """Seconds. `app` is the time that ccci spent waiting for Docker, the registry, restic, the app or the browser;
    `harness` is all the rest of `wall`. `by` splits `app` by what was waited for (these may overlap)."""

    wall: float = 0.0
    app: float = 0.0
    harness: float = 0.0
    by: dict[str, float] = field(default_factory=dict)


def union_length(intervals: Iterable[Interval]) -> float:
    """Seconds that at least one interval covers."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        if end > reached:
            total += end - max(start, reached)
            reached = end
    return total


def time_of(events: Sequence[Event]) -> Time:
    """From the first event to the last one."""
    moments = [moment for event in events if (moment := number(event.get("at"))) is not None]
    if not moments:
        return Time()
    first, last = min(moments), max(moments)
    waits: dict[str, list[Interval]] = {}
    for event in events:
        interval = interval_of(event)
        if event["type"] == "wait" and interval is not None:
            clipped = (max(interval[0], first), min(interval[1], last))
            waits.setdefault(str(event.get("what")), []).append(clipped)
    wall = last - first
    app = union_length(interval for intervals in waits.values() for interval in intervals)
    by = {what: round(union_length(intervals), 2) for what, intervals in sorted(waits.items())}
    return Time(round(wall, 2), round(app, 2), round(max(0.0, wall - app), 2), by)


def tier_seconds(events: Sequence[Event], tier: str) -> float:
    """The time that tasks of a tier ran; of a tier without any finished task, what its results say."""
    mine = [event for event in events if event.get("tier") == tier]
    for kind in ("task", "result"):
        intervals = [interval for event in mine if event["type"] == kind and (interval := interval_of(event))]
        if intervals:
            return round(union_length(intervals), 2)
    return 0.0


def interval_of(event: Event) -> Interval | None:
    start, end = number(event.get("start")), number(event.get("end"))
    if start is None or end is None or end < start:
        return None
    return start, end


def number(value: Any) -> float | None:
    """None for everything that is no finite number."""
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_one else None
