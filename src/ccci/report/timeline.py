"""Events → the geometry of the timeline: tasks, waits, pulls, and how services came up. Pure; the page draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ccci.plan.tiers import TIERS
from ccci.report import services
from ccci.report.services import CREATED, HEALTHY, READY, RUNNING, STARTED, Times
from ccci.report.timing import interval_of
from ccci.report.words import seconds

WIDTH, LEFT, ROW, GAP = 1000.0, 130.0, 26.0, 8.0  # of the drawing; a user unit is no pixel
TICKS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600)
Span = tuple[float, float, str, str]  # from, to (epoch seconds), title, kind
MOST_ROWS = 60  # of one group
KINDS = {
    "ok": "task", "failed": "failed task", "wait": "waiting", "pull": "pulling an image",
    "start": "service: created → started", "boot": "started → healthy", "ready": "→ ready",
}  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """`kind` is one of `KINDS`."""

    x: float
    width: float
    title: str
    kind: str


@dataclass(frozen=True)
class Row:
    name: str
    y: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Chart:
    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    width: float
    height: float
    left: float


def chart(events: Sequence[dict[str, Any]]) -> Chart | None:
    """None when nothing took any time."""
    tasks, waits = _tasks(events), _waits(events)
    spans = [span for rows in (tasks, waits) for row in rows.values() for span in row]
    first, last = min((span[0] for span in spans), default=0.0), max((span[1] for span in spans), default=0.0)
    if last <= first:
        return None
    scale = (WIDTH - LEFT) / (last - first)

    def place(moment: float) -> float:
        return round(LEFT + (min(max(moment, first), last) - first) * scale, 2)

    def bar(start: float, end: float, title: str, kind: str) -> Bar:
        width = max(1.0, round(place(end) - place(start), 2))
        return Bar(min(place(start), WIDTH - width), width, f"{title} · {seconds(end - start)}", kind)

    rows: list[Row] = []
    for group in (tasks, waits, _pulls(events), _services(events)):
        top = rows[-1].y + ROW + GAP if rows else 0.0
        for position, (name, mine) in enumerate(list(group.items())[:MOST_ROWS]):
            rows.append(Row(name, top + position * ROW, tuple(bar(*span) for span in mine)))
    step = next((step for step in TICKS if (last - first) / step <= 10), TICKS[-1])
    ticks = [(place(first + at), _clock(at)) for at in range(0, int(last - first) + 1, step)]
    return Chart(tuple(rows), tuple(ticks), WIDTH, rows[-1].y + ROW + 24, LEFT)


def _tasks(events: Sequence[dict[str, Any]]) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {tier: [] for tier in TIERS}
    for event in events:
        interval = interval_of(event)
        if event["type"] == "task" and event.get("tier") in TIERS and interval:
            kind = "ok" if event.get("outcome") == "ok" else "failed"
            found[str(event["tier"])].append((*interval, str(event.get("name")), kind))
    return {tier: spans for tier, spans in found.items() if spans}


def _waits(events: Sequence[dict[str, Any]]) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for event in events:
        interval = interval_of(event)
        if event["type"] == "wait" and interval:
            what = str(event.get("what"))
            found.setdefault(f"↳ {what}", []).append((*interval, f"waiting for {what}", "wait"))
    return dict(sorted(found.items()))


def _pulls(events: Sequence[dict[str, Any]]) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for pull in services.pulls(events):
        if pull.start is not None and pull.end is not None and pull.end >= pull.start:
            found.setdefault(_short(pull.image), []).append((pull.start, pull.end, f"pulling {pull.image}", "pull"))
    return found


def _services(events: Sequence[dict[str, Any]]) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for times in services.times(events):
        found.setdefault(times.service, []).extend(steps(times))
    return {service: spans for service, spans in sorted(found.items()) if spans}


def steps(times: Times) -> list[Span]:
    """A service's way up in one tier."""
    moments = times.moments
    up = next((what for what in (HEALTHY, RUNNING) if what in moments), None)
    pairs = [(CREATED, STARTED, "start"), (STARTED, up, "boot"), (up or STARTED, READY, "ready")]
    return [
        (moments[begin], moments[end], f"{times.tier}: {times.service} {begin} → {end}", kind)
        for begin, end, kind in pairs
        if end in moments and begin in moments and moments[end] >= moments[begin]
    ]


def _short(image: str) -> str:
    """Without host and path, and without a digest: `nginx:1.27`."""
    return image.partition("@")[0].rpartition("/")[2] or image


def _clock(at: int) -> str:
    return f"{at} s" if at < 60 else f"{at // 60}:{at % 60:02d}"
