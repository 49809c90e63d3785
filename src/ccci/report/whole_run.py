"""What only the run as a whole shows: leaked secrets, the number of deploys, services that did not stay up, an app that
was kept. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ccci.plan.tiers import TIERS
from ccci.report.model import (
    ERROR,
    FAIL,
    MISSING,
    NOT_REACHED,
    PASS,
    SEVERITY,
    SKIP,
    Assertion,
    Check,
    Event,
    with_checks,
)

REMOVED, DEPLOY_COUNT, NO_LEAK, DEPLOYED, ENGINE = (
    "teardown.removed", "teardown.deploy_count", "teardown.no_secret_leak", "install.deploy", "teardown.engine",
)  # fmt: skip
STAYED_UP, CONVERGED = "teardown.stayed_up", "install.converged"
TITLE, AGAIN = "As many deploys as were due", "redeploy-flake"


def with_leaks(judged: list[Assertion], stream: Sequence[Event]) -> list[Assertion]:
    scans = [event.get("files") for event in stream if event["type"] == "leaks"]
    if not scans:
        return judged
    leaks = {str(path): names for files in scans if isinstance(files, dict) for path, names in files.items()}
    unreadable = [files for files in scans if not isinstance(files, dict)]
    if leaks or unreadable:
        where = "; ".join(f"{', '.join(map(str, names or ()))} in {path}" for path, names in sorted(leaks.items()))
        check = Check(None, ERROR, "no secret can be read in the run's files", where or "a scan that cannot be read")
    else:
        check = Check(None, PASS)
    return _merge(judged, NO_LEAK, "No secret can be read in the run's files", check)


def with_deploys(judged: list[Assertion], plan: dict[str, Any], stream: Sequence[Event]) -> list[Assertion]:
    """More deploys than due are wrong always, and so are two of one app; fewer are the consequence of a life that ended
    before its deploy."""
    facts = [event.get("value") for event in stream if event["type"] == "fact" and event.get("name") == "deploys"]
    counted = facts[-1] if facts else None
    made, due = deploys_made(counted), int(plan["scope"].get("deploys", 1))
    if made is not None and isinstance(counted, dict) and len(counted) > 1 and max(counted.values()) > 1:
        check = Check(None, FAIL, "each app deployed once", _each(counted, plan), failure_id=AGAIN)
        return _merge(judged, DEPLOY_COUNT, TITLE, check)
    deployed = next((item for item in judged if item.id == DEPLOYED), None)
    if made is not None and made < due and deployed is not None and deployed.outcome != PASS:
        cause = f"not reached, because {DEPLOYED} is {deployed.outcome}"
        return [
            replace(item, outcome=NOT_REACHED, cause=cause)
            if item.id == DEPLOY_COUNT and item.outcome == FAIL
            else item
            for item in judged
        ]
    if made is None or made == due:
        return judged
    failure_id = AGAIN if made > due else None
    return _merge(judged, DEPLOY_COUNT, TITLE, Check(None, FAIL, _deploys(due), _deploys(made), failure_id=failure_id))


def _each(counted: dict[str, int], plan: dict[str, Any]) -> str:
    names = {app["stack"]: app["name"] for app in plan["scope"].get("apps") or ()}
    return ", ".join(f"{names.get(stack, stack)} {count}" for stack, count in counted.items())


def _deploys(count: int) -> str:
    return f"{count} deploy" + ("" if count == 1 else "s")


def deploys_made(value: Any) -> int | None:
    """`{stack: count}` or a count; None when nothing says how often something was deployed."""
    if isinstance(value, dict):
        counts = [count for count in value.values() if isinstance(count, int)]
        return sum(counts) if len(counts) == len(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def with_stayed(judged: list[Assertion], early: str | None) -> list[Assertion]:
    """After an `early` end (what ended the life before its teardown), services that did not stay up are told, but the
    run is not red for them. Without one, somebody must have looked at them."""
    converged = any(item.id == CONVERGED and item.outcome == PASS for item in judged)
    return [_stayed(item, early, converged) if item.id == STAYED_UP else item for item in judged]


def _stayed(item: Assertion, early: str | None, converged: bool) -> Assertion:
    if early is not None and item.outcome in (FAIL, ERROR):
        return replace(item, outcome=NOT_REACHED, cause=f"not reached, because {early}")
    if early is None and converged and item.outcome == SKIP:
        return replace(item, outcome=ERROR, cause=f"nobody knows whether every service stayed up ({item.cause})")
    return item


def with_keep(judged: list[Assertion], plan: dict[str, Any]) -> list[Assertion]:
    """An app may stay only where the person asked for it."""
    if plan["run"].get("keep", "never") != "never":
        return judged
    return [
        replace(item, outcome=ERROR, cause=f"the app was kept although nobody asked for it ({item.cause})")
        if item.id == REMOVED and item.outcome == SKIP
        else item
        for item in judged
    ]


def _merge(judged: list[Assertion], name: str, title: str, check: Check) -> list[Assertion]:
    """Adds what the report itself found out to an id; never makes an outcome better, except where there was none."""
    before = next((item for item in judged if item.id == name), None)
    if before is None:
        return [*judged, with_checks(Assertion(name, TIERS[-1], "assertion", title, PASS, False), [check])]
    had_result = before.outcome not in (MISSING, NOT_REACHED)
    if had_result and SEVERITY[before.outcome] >= SEVERITY[check.outcome]:
        return judged
    if not had_result and check.outcome == PASS and name != NO_LEAK:
        return judged
    after = with_checks(replace(before, outcome=PASS, cause=None, expected=None, observed=None), [check])
    return [after if item is before else item for item in judged]
