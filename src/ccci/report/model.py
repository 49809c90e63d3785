"""What a result is made of. Plain data; how it comes about is in `judge` and `result`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ccci.report.services import Pull, Times
from ccci.report.timing import Time

Event = dict[str, Any]
PASS, SKIP, NOT_REACHED, FAIL, ERROR, MISSING = "pass", "skip", "not reached", "fail", "error", "missing"
SEVERITY = {PASS: 0, SKIP: 1, NOT_REACHED: 2, FAIL: 3, ERROR: 4, MISSING: 5}
INTERRUPTED = "interrupted"  # only of a whole run


@dataclass(frozen=True)
class Check:
    """One result as a module gave it. `check` names it inside a recipe's test."""

    check: str | None
    outcome: str
    expected: str | None = None
    observed: str | None = None
    evidence: str | None = None
    failure_id: str | None = None
    service: str | None = None
    hint: str | None = None
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Assertion:
    """One id with its outcome. `cause` is one sentence, absent for a pass; `checks` is there when there are several;
    `dep` is the key of the dep that it is about."""

    id: str
    tier: str
    kind: str
    title: str
    outcome: str
    planned: bool = True
    prerequisite: bool = False
    seconds: float = 0.0
    cause: str | None = None
    expected: str | None = None
    observed: str | None = None
    evidence: str | None = None
    failure_id: str | None = None
    service: str | None = None
    hint: str | None = None
    checks: tuple[Check, ...] = ()
    dep: str | None = None


@dataclass(frozen=True)
class Tier:
    """`verdict` is the worst of its assertions; `prerequisite`: it ran only for a tier that was asked for."""

    tier: str
    verdict: str
    seconds: float
    cause: str | None
    failure_id: str | None
    prerequisite: bool
    assertions: tuple[Assertion, ...]


@dataclass(frozen=True)
class Result:
    """The whole answer of a run. `exit_code` is the worst of what happened: 4 (leftovers), 130, 3, 1, 0."""

    verdict: str
    exit_code: int
    cause: str | None
    failure_id: str | None
    explain: str | None
    run: dict[str, Any]
    recipe: str
    deps: tuple[dict[str, Any], ...]
    ref: dict[str, Any]
    base: dict[str, Any] | None
    tiers: tuple[Tier, ...]
    left_behind: tuple[Any, ...] = ()
    foreign: tuple[Any, ...] = ()
    deploys: dict[str, Any] = field(default_factory=dict)
    coverage_gaps: tuple[str, ...] = ()
    untrusted_tests: tuple[str, ...] = ()
    time: Time = field(default_factory=Time)
    timeline: tuple[Event, ...] = ()
    service_times: tuple[Times, ...] = ()
    pulls: tuple[Pull, ...] = ()
    resources: tuple[dict[str, Any], ...] = ()
    artefacts: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    reproduce: str = ""

    def to_json(self) -> dict[str, Any]:
        """The documented shape of result.json and of `--format json` (schemas/result.json)."""
        return {"schema": "ccci/result/1", **_plain(asdict(self))}


def worst(items: Iterable[Assertion]) -> Assertion | None:
    """The first one of the worst outcome. A miss is worse than a failure, because it hides one."""
    return max(items, key=lambda item: SEVERITY[item.outcome], default=None)


def sentence(said: str) -> str:
    """The first line that says something, short enough for a table."""
    line = next((line.strip() for line in said.splitlines() if line.strip()), said.strip())
    return line if len(line) <= 300 else line[:297] + "…"


def text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _plain(data: Any) -> Any:
    """Tuples become lists, so that what was computed and what was read back from a file are equal."""
    if isinstance(data, dict):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    return data


def with_artefacts(result: Result, more: Sequence[Event]) -> Result:
    """The same result with files that were written after it was computed."""
    paths = {event["path"] for event in more}
    return replace(result, artefacts=(*(item for item in result.artefacts if item.get("path") not in paths), *more))


def with_checks(plain: Assertion, checks: Sequence[Check]) -> Assertion:
    bad = max(checks, key=lambda check: SEVERITY[check.outcome])
    return replace(
        plain, outcome=bad.outcome, seconds=seconds_of(checks), cause=None if bad.outcome == PASS else cause_of(bad),
        expected=bad.expected, observed=bad.observed, evidence=bad.evidence, failure_id=bad.failure_id,
        service=bad.service, hint=bad.hint, checks=tuple(checks) if len(checks) > 1 or bad.check else (),
    )  # fmt: skip


def seconds_of(checks: Sequence[Check]) -> float:
    spans = [(check.start, check.end) for check in checks if check.start is not None and check.end is not None]
    if not spans:
        return 0.0
    return round(max(0.0, max(end for _, end in spans) - min(start for start, _ in spans)), 2)


def cause_of(check: Check) -> str:
    said = check.observed or check.evidence or check.hint or "no detail was given"
    where = f"service {check.service}: " if check.service and check.service not in said else ""
    return where + sentence(said)
