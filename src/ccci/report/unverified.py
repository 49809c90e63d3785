"""What needs a dep and was skipped shows nothing, and must not look as if it did. Pure.

Of any other test, a skip with a reason is a gap that the report tells. What proves that a recipe works together with
its deps (above all, that a person can log in) is the reason why these were deployed at all: there, a skip is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ccci.plan.tiers import TIERS
from ccci.report.model import ERROR, SKIP, Assertion

FAILURE = "skip-goes-green"


def with_unverified(judged: Sequence[Assertion], plan: dict[str, Any]) -> list[Assertion]:
    """Tests that need deps, logins through one, and what is judged of a dep itself: skipped becomes error."""
    kinds = {str(dep["key"]): str(dep["kind"]) for dep in plan.get("deps") or ()}
    needs = {str(test["id"]): list(test.get("needs") or ()) for test in plan.get("tests") or ()}
    return [_judged(item, kinds, needs.get(item.id) or _own(item, plan)) for item in judged]


def _own(item: Assertion, plan: dict[str, Any]) -> list[str]:
    login = plan.get("login")
    if login and item.id == f"{item.tier}.login":
        return [str(login["through"])]
    # What a warm dep has to forget afterwards proves nothing about the recipe.
    return [item.dep] if item.dep and item.tier != TIERS[-1] else []


def _judged(item: Assertion, kinds: dict[str, str], needs: Sequence[str]) -> Assertion:
    if item.outcome == SKIP and item.failure_id == FAILURE:  # pytest saw that it asks for deps, whatever its text says
        needs = needs or list(kinds)
    if item.outcome != SKIP or not needs:
        return item
    what = " AND ".join(dict.fromkeys(kinds.get(key, key).upper() for key in needs))
    return replace(
        item, outcome=ERROR, failure_id=FAILURE, cause=f"{what} UNVERIFIED: {item.id} was skipped ({item.cause})",
        expected="it runs, for nothing else shows that the recipe works with its deps", observed="skipped",
        hint="Repair what it was skipped for, or take the test away",
    )  # fmt: skip
