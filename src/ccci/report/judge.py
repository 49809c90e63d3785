"""What became of every id: the outcomes of its results, or why it has none. Pure.

Rules, each of them there because a run once looked green without being it:

- Several results for one id: the worst wins. No result: `not reached` when something that ended the life explains it,
  else `missing`.
- The life ends with an operation that did not pass, with a task that failed without a result, with a node that cannot
  be reached, and with a signal. The teardown comes after every end, so nothing explains its absence.
- What broke an operation (an error, not the recipe's failure) broke its module, and with it what that module had to say
  before: such an end explains every id of its tier.
- A skip says why, or it is an error; what needs a dep may not be skipped at all. A result that nobody planned is
  shown, and counts when it is bad.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ccci.plan.tiers import TIERS
from ccci.report import unverified, whole_run
from ccci.report.model import (
    ERROR,
    FAIL,
    MISSING,
    NOT_REACHED,
    PASS,
    SKIP,
    Assertion,
    Check,
    Event,
    seconds_of,
    sentence,
    text,
    with_checks,
)

LIFE = "play.yml"
TESTS = "custom"  # the tier of a recipe's own tests


@dataclass(frozen=True)
class End:
    """What ended the life, in which tier; `id` when an expected id failed, so that the ids before it had their turn.
    `cause` is what the others say."""

    tier: str
    id: str | None
    cause: str


def judge(
    plan: dict[str, Any], expected: Sequence[dict[str, Any]], stream: Sequence[Event], wanted: Sequence[str]
) -> list[Assertion]:
    """Every expected id, and everything bad or unplanned that happened, in the order of the life.

    `expected` are the plan's ids that are due; `wanted` the tiers whose verdict is wanted.
    """
    operations = {str(item["id"]) for item in expected if item["kind"] == "operation"}
    found = results_by_id(stream)
    broken = broken_tasks(stream)
    ends = list(_ends(expected, found, broken, stream, operations))
    lost = _lost_tests(expected, found, stream)
    judged = []
    for position, item in enumerate(expected):
        checks = found.pop(str(item["id"]), [])
        explained = None if checks else _explanation(item, position, expected, ends)
        judged.append(_planned(item, checks, explained, wanted, stream, lost))
    judged += [_unplanned(name, checks, stream) for name, checks in found.items()]
    judged += broken
    judged = whole_run.with_leaks(judged, stream)
    judged = whole_run.with_deploys(judged, plan, stream)
    early = next((end.cause for end in ends if end.tier != TIERS[-1]), None)
    judged = whole_run.with_stayed(judged, early)
    judged = whole_run.with_keep(judged, plan)
    judged = unverified.with_unverified(judged, plan)
    order = {str(item["id"]): position for position, item in enumerate(expected)}
    return sorted(judged, key=lambda item: (TIERS.index(item.tier), order.get(item.id, len(order))))


def starts_life(event: Event) -> bool:
    return event.get("type") == "play_start" and event.get("playbook") == LIFE


def results_by_id(stream: Sequence[Event]) -> dict[str, list[Check]]:
    found: dict[str, list[Check]] = {}
    for event in stream:
        if event["type"] == "result":
            name = str(event.get("id") or f"{_tier_of(event)}.unnamed")
            found.setdefault(name, []).append(_check(event))
    return found


def _check(event: Event) -> Check:
    outcome, evidence = event.get("outcome"), text(event.get("evidence"))
    observed = text(event.get("observed"))
    if outcome not in (PASS, FAIL, ERROR, SKIP):
        observed, outcome = f"the outcome {outcome!r}, which is none", ERROR
    if outcome == SKIP and not (evidence or observed or "").strip():
        observed, outcome = "skipped without a reason", ERROR
    start, end = event.get("start"), event.get("end")
    return Check(
        text(event.get("check")), str(outcome), text(event.get("expected")), observed, evidence,
        text(event.get("failure_id")), text(event.get("service")), text(event.get("hint")),
        start if isinstance(start, int | float) else None, end if isinstance(end, int | float) else None,
    )  # fmt: skip


def broken_tasks(stream: Sequence[Event]) -> list[Assertion]:
    """Tasks that failed although no result says why: crashes, bad options, unreachable nodes."""
    broken = []
    red_since_task = False
    for index, event in enumerate(stream):
        if event["type"] == "result":
            red_since_task = red_since_task or event.get("outcome") not in (PASS, SKIP)
        if event["type"] != "task":
            continue
        red, red_since_task = red_since_task, False
        outcome = event.get("outcome")
        if outcome == "unreachable" or (
            outcome not in ("ok", None) and not red and not _is_verdict(event) and not _rescued(stream, index)
        ):
            broken.append(_broken(event))
    return broken


def _is_verdict(event: Event) -> bool:
    """The play's last task fails when something is red; that is no news."""
    return event.get("module") == "ccci_verdict" and str(event.get("msg") or "").startswith("verdict ")


def _rescued(stream: Sequence[Event], index: int) -> bool:
    """Whether the life went on after a failed task. Without a `rescue`, Ansible goes straight to the teardown."""
    for event in stream[index + 1 :]:
        if event["type"] in ("task", "result"):
            return _tier_of(event) != TIERS[-1] and event.get("module") != "ccci_verdict"
        if event["type"] in ("play_start", "play_end"):
            return False
    return False


def _broken(event: Event) -> Assertion:
    tier, module = _tier_of(event), str(event.get("module") or "task")
    message = text(event.get("msg")) or "no message"
    name = str(event.get("name") or module)
    unreachable = event.get("outcome") == "unreachable"
    what = f"{event.get('host')} could not be reached" if unreachable else f"the task {name!r} broke"
    return Assertion(
        id=f"{tier}.{module}", tier=tier, kind="task", title=name, outcome=ERROR, planned=False,
        seconds=seconds_of([_check({**event, "outcome": ERROR})]),
        cause=f"{what}: {sentence(message)}", expected="the task ends with a result", observed=sentence(message),
        evidence=message, failure_id="unreachable" if unreachable else None,
    )  # fmt: skip


def _ends(
    expected: Sequence[dict[str, Any]],
    found: dict[str, list[Check]],
    broken: Sequence[Assertion],
    stream: Sequence[Event],
    operations: set[str],
) -> Iterable[End]:
    for item in expected:
        checks = found.get(str(item["id"]), [])
        bad = [check for check in checks if check.outcome in (FAIL, ERROR)]
        if bad and str(item["id"]) in operations:
            broke = any(check.outcome == ERROR for check in bad)
            cause = f"{item['id']} {'broke' if broke else 'failed'}"
            yield End(str(item["tier"]), None if broke else str(item["id"]), cause)
    for task in broken:
        yield End(task.tier, None, f"{task.cause}")
    tier = TIERS[0]
    for event in stream:
        if event["type"] == "signal":
            yield End(tier, None, f"the run was interrupted by {event.get('signal')}")
        elif event["type"] == "died":
            yield End(tier, None, f"{event.get('what')} was killed in the middle of the play")
        elif event.get("tier") in TIERS:
            tier = str(event["tier"])


def _explanation(
    item: dict[str, Any], position: int, expected: Sequence[dict[str, Any]], ends: Sequence[End]
) -> str | None:
    """Why an id has no result: something that ended the life before its turn. Never for the teardown."""
    if item["tier"] == TIERS[-1]:
        return None
    order = {str(other["id"]): index for index, other in enumerate(expected)}
    deps = {str(other["id"]): other["dep"] for other in expected if other.get("dep")}
    for end in ends:
        # The order of ids, not of tiers: the app's images are pulled while its deps are being installed.
        of_tier = [index for index, other in enumerate(expected) if other["tier"] == end.tier]
        ended = order[end.id] if end.id is not None else min(of_tier, default=len(expected)) - 1
        if position > ended or TIERS.index(item["tier"]) > TIERS.index(end.tier):
            return end.cause
        # Deps of one level come up side by side, each at its own pace.
        if end.id in deps and str(item["id"]) in deps and item["tier"] == end.tier:
            return end.cause
    return None


def _lost_tests(
    expected: Sequence[dict[str, Any]], found: dict[str, list[Check]], stream: Sequence[Event]
) -> str | None:
    """How many of the planned tests ran, when their tier had its turn and the play came to its end; else None."""
    names = [str(item["id"]) for item in expected if item["tier"] == TESTS]
    ended = any(event["type"] == "play_end" and event.get("playbook") == LIFE for event in stream)
    if not ended or not any(event["type"] in ("task", "result") and event.get("tier") == TESTS for event in stream):
        return None
    ran = sum(bool(found.get(name)) for name in names)
    return f"{ran} of the {len(names)} planned tests ran"


def _planned(
    item: dict[str, Any],
    checks: list[Check],
    explained: str | None,
    wanted: Sequence[str],
    stream: Sequence[Event],
    lost: str | None,
) -> Assertion:
    plain = Assertion(
        id=str(item["id"]), tier=str(item["tier"]), kind=str(item["kind"]), title=str(item.get("title") or item["id"]),
        outcome=PASS, prerequisite=item["tier"] not in wanted, dep=item.get("dep"),
    )  # fmt: skip
    if checks:
        return with_checks(plain, checks)
    if explained is not None:
        return replace(plain, outcome=NOT_REACHED, cause=f"not reached, because {explained}")
    if item["tier"] == TESTS and lost is not None:
        return replace(
            plain, outcome=MISSING, cause=f"planned, but it left no result: {lost}", failure_id="stale-checkout",
            expected="a result of every planned test", observed=lost,
            hint="Look whether its file is still there, and whether its name is that of the plan",
        )  # fmt: skip
    if not any(starts_life(event) for event in stream):
        cause = "planned, but the play did not start; see logs/ansible-play.log"
    elif item["tier"] == TIERS[-1]:
        cause = "planned, but the play ended without it"
    else:
        cause = "planned, but it left no result and nothing explains why"
    return replace(plain, outcome=MISSING, cause=cause, expected="a result", observed="none")


def _unplanned(name: str, checks: list[Check], stream: Sequence[Event]) -> Assertion:
    event = next(event for event in stream if event["type"] == "result" and str(event.get("id") or name) == name)
    tier = _tier_of(event, name)
    return with_checks(Assertion(name, tier, "assertion", name, PASS, False), checks)


def _tier_of(event: Event, name: str = "") -> str:
    prefix = (name or str(event.get("id") or "")).partition(".")[0]
    tiers = [tier for tier in (event.get("tier"), prefix) if tier in TIERS]
    if tiers:
        return str(tiers[0])
    return TIERS[-1] if event.get("module") == "ccci_verdict" else TIERS[0]
