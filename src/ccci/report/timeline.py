"""Events → the geometry of the timeline: tasks per tier, waits, and moments of services. Pure; the page draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ccci.plan.tiers import TIERS
from ccci.report.timing import interval_of
from ccci.report.words import seconds

WIDTH, LEFT, ROW = 1000.0, 120.0, 26.0  # of the drawing; a user unit is no pixel
TICKS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600)
MOST_MOMENTS = 200


@dataclass(frozen=True)
class Bar:
    """`kind` is ok, failed, unreachable or wait."""

    x: float
    width: float
    title: str
    kind: str


@dataclass(frozen=True)
class Row:
    name: str
    y: float
    bars: tuple[Bar, ...] = ()
    dots: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Chart:
    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    width: float
    height: float
    left: float


def chart(events: Sequence[dict[str, Any]]) -> Chart | None:
    """None when nothing took any time."""
    timed = [event for event in events if event["type"] in ("task", "wait")]
    spans = [(event, interval) for event in timed if (interval := interval_of(event))]
    if not spans:
        return None
    first = min(start for _, (start, _) in spans)
    last = max(end for _, (_, end) in spans)
    if last <= first:
        return None
    scale = (WIDTH - LEFT) / (last - first)
    rows: list[Row] = []

    def place(moment: float) -> float:
        return round(LEFT + (min(max(moment, first), last) - first) * scale, 2)

    def add(name: str, bars: list[Bar], dots: list[tuple[float, str]]) -> None:
        if bars or dots:
            rows.append(Row(name, len(rows) * ROW, tuple(bars), tuple(dots)))

    for tier in TIERS:
        mine = [(event, span) for event, span in spans if event["type"] == "task" and event.get("tier") == tier]
        add(tier, [_bar(event, span, place, str(event.get("name"))) for event, span in mine], [])
    waits: dict[str, list[Bar]] = {}
    for event, span in spans:
        if event["type"] == "wait":
            what = str(event.get("what"))
            waits.setdefault(what, []).append(_bar(event, span, place, f"waiting for {what}"))
    for what, bars in sorted(waits.items()):
        add(f"↳ {what}", bars, [])
    moments: dict[str, list[tuple[float, str]]] = {}
    for event in [event for event in events if event["type"] == "timeline"][:MOST_MOMENTS]:
        if isinstance(event.get("at"), int | float):
            title = f"{seconds(max(0.0, event['at'] - first))}: {event.get('service')} {event.get('what')}"
            moments.setdefault(str(event.get("service")), []).append((place(event["at"]), title))
    for service, dots in sorted(moments.items()):
        add(service, [], dots)
    step = next((step for step in TICKS if (last - first) / step <= 10), TICKS[-1])
    ticks = [(place(first + at), _clock(at)) for at in range(0, int(last - first) + 1, step)]
    return Chart(tuple(rows), tuple(ticks), WIDTH, len(rows) * ROW + 24, LEFT)


def _bar(event: dict[str, Any], span: tuple[float, float], place: Any, title: str) -> Bar:
    start, end = span
    kind = "wait" if event["type"] == "wait" else str(event.get("outcome"))
    kind = kind if kind in ("wait", "ok") else "failed"
    return Bar(place(start), max(1.0, round(place(end) - place(start), 2)), f"{title} · {seconds(end - start)}", kind)


def _clock(at: int) -> str:
    return f"{at} s" if at < 60 else f"{at // 60}:{at % 60:02d}"
