"""What the events say about each service: how long it took to come up in each tier, and what it used. Pure.

Never raises for odd events: what cannot be read is left out, for none of this decides anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ccci.plan.tiers import TIERS
from ccci.report.timing import number

Event = dict[str, Any]
PULL, PULLED, CREATED, STARTED, HEALTHY, RUNNING, READY = MOMENTS = (
    "pull", "pulled", "created", "started", "healthy", "running", "ready",
)  # fmt: skip
FACT = "resources"
MOST = 500  # moments, pulls or services; a run that has more tells nobody anything


@dataclass(frozen=True)
class Times:
    """A service in one tier. `moments` {what: epoch seconds}; `seconds` {what: how long after it was created}, and for
    `pulled` how long after the pull began."""

    tier: str
    service: str
    moments: dict[str, float]
    seconds: dict[str, float]

    @property
    def up(self) -> str | None:
        """The last thing that it became."""
        return next((what for what in (READY, HEALTHY, RUNNING, STARTED) if what in self.seconds), None)


@dataclass(frozen=True)
class Pull:
    """An image that the run had to pull. `bytes` came over the line, `size` is what it takes on the disk."""

    image: str
    start: float | None
    end: float | None
    seconds: float | None
    bytes: int | None
    size: int | None


@dataclass
class _Uses:
    memory_peak: int | None = None
    tier: str | None = None
    memory_limit: int | None = None
    disk: int | None = None
    died: set[str] = field(default_factory=set)


def times(stream: Sequence[Event]) -> list[Times]:
    """In the order of the life. A tier that finds a service as an earlier one left it says nothing new of it.

    Where a service was created several times in a tier, the last time counts, which is the one that came up. The pull
    of its image stands in the tier that ran that image first.
    """
    known: set[tuple[str, str, float]] = set()
    found: dict[tuple[str, str], dict[str, float]] = {}
    for event, at in _moments(stream):
        what, tier, service = event["what"], str(event.get("tier")), str(event.get("service") or "")
        moment = (service, what, at)
        if what in (PULL, PULLED) or not service or tier not in TIERS or moment in known:
            continue
        known.add(moment)
        mine = found.setdefault((tier, service), {})
        mine[what] = max(mine.get(what, at), at)
    rows = sorted(found.items(), key=lambda item: TIERS.index(item[0][0]))[:MOST]
    pulled, images = _pull_moments(stream), _images(stream)
    with_pull: set[tuple[str, str]] = set()
    for (tier, service), mine in rows:
        image = images.get((tier, service), "")
        if (service, image) not in with_pull:
            mine |= pulled.get(image, {})
            with_pull.add((service, image))
    return [
        Times(tier, service, {what: mine[what] for what in MOMENTS if what in mine}, _seconds(mine))
        for (tier, service), mine in rows
    ]


def pulls(stream: Sequence[Event]) -> list[Pull]:
    """Every image that was pulled, in the order in which the pulls began."""
    moments = _pull_moments(stream)
    each: dict[str, Mapping[str, Any]] = {}
    for event in stream:
        value = event.get("value")
        if event.get("type") == "fact" and event.get("name") == "pulled" and isinstance(value, Mapping):
            more = value.get("each")
            each |= {str(image): told for image, told in more.items()} if isinstance(more, Mapping) else {}
    found = [_pull(image, moments.get(image, {}), each.get(image)) for image in {**moments, **each}]
    return sorted(found, key=lambda pull: (pull.start is None, pull.start or 0.0, pull.image))[:MOST]


def resources(stream: Sequence[Event]) -> list[dict[str, Any]]:
    """[{service, memory_peak, memory_limit, disk, restarts, tier}]: the most that any look saw.

    Bytes, None where nobody knows. `tier` is the one in which the peak was reached, as far as looks tell: the teardown
    looks at what the tier before it left. `restarts` are the tasks that ended by themselves.
    """
    uses: dict[str, _Uses] = {}
    last = TIERS[0]
    for event in stream:
        tier, value = str(event.get("tier")), event.get("value")
        if tier in TIERS and tier != TIERS[-1]:
            last = tier
        if event.get("type") != "fact" or event.get("name") != FACT or not isinstance(value, Mapping):
            continue
        for service, seen in list(value.items())[:MOST]:
            if isinstance(seen, Mapping):
                _add(uses.setdefault(str(service), _Uses()), seen, last)
    return [
        {"service": service, "memory_peak": use.memory_peak, "memory_limit": use.memory_limit, "disk": use.disk,
         "restarts": len(use.died), "tier": use.tier}
        for service, use in sorted(uses.items())
    ]  # fmt: skip


def _add(use: _Uses, seen: Mapping[str, Any], tier: str) -> None:
    peak, disk, limit = (_count(seen.get(name)) for name in ("memory_peak", "disk", "memory_limit"))
    if peak is not None and (use.memory_peak is None or peak > use.memory_peak):
        use.memory_peak, use.tier = peak, tier
    if disk is not None:
        use.disk = max(disk, use.disk or 0)
    use.memory_limit = limit if limit is not None else use.memory_limit
    died = seen.get("died")
    use.died |= set(map(str, died)) if isinstance(died, list) else set()


def _moments(stream: Sequence[Event]) -> Iterator[tuple[Event, float]]:
    for event in [event for event in stream if event.get("type") == "timeline"][:MOST]:
        at = number(event.get("at"))
        if event.get("what") in MOMENTS and at is not None:
            yield event, at


def _pull_moments(stream: Sequence[Event]) -> dict[str, dict[str, float]]:
    """{image: {pull, pulled}}: the moments whose `service` is an image."""
    found: dict[str, dict[str, float]] = {}
    for event, at in _moments(stream):
        if event["what"] in (PULL, PULLED):
            found.setdefault(str(event.get("service") or ""), {})[event["what"]] = at
    return found


def _images(stream: Sequence[Event]) -> dict[tuple[str, str], str]:
    """{(tier, service): image}, from the looks at what services use."""
    found = {}
    for event in stream:
        value = event.get("value")
        if event.get("type") == "fact" and event.get("name") == FACT and isinstance(value, Mapping):
            for service, use in value.items():
                if isinstance(use, Mapping) and isinstance(use.get("image"), str):
                    found[str(event.get("tier")), str(service)] = str(use["image"])
    return found


def _seconds(moments: Mapping[str, float]) -> dict[str, float]:
    begins = {PULLED: PULL, STARTED: CREATED, HEALTHY: CREATED, RUNNING: CREATED, READY: CREATED}
    return {
        what: round(moments[what] - moments[begin], 2)
        for what, begin in begins.items()
        if what in moments and begin in moments and moments[what] >= moments[begin]
    }


def _pull(image: str, moments: Mapping[str, float], told: Mapping[str, Any] | None) -> Pull:
    told = told if isinstance(told, Mapping) else {}
    start, end = moments.get(PULL), moments.get(PULLED)
    seconds = number(told.get("seconds"))
    if seconds is None and start is not None and end is not None:
        seconds = end - start
    return Pull(
        image, start, end, round(seconds, 2) if seconds is not None and seconds >= 0 else None,
        _count(told.get("bytes")), _count(told.get("size")),
    )  # fmt: skip


def _count(value: Any) -> int | None:
    found = number(value)
    return int(found) if found is not None and found >= 0 else None
