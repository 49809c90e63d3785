"""What belongs to a run, and what a difference between two inventories means."""

from __future__ import annotations

import pytest

from ccci_host import inventory, preflight
from ccci_host.inventory import Objects, attributable, compare
from ccci_host.journal import Journal

STACK = "cust-c12afe_ci_test"
DOMAIN = "cust-c12afe.ci.test"
SCOPE = {"run": "r1", "domain": DOMAIN, "stack": STACK, "apps": [{"stack": STACK, "domain": DOMAIN}]}
ANONYMOUS = "0a" * 32


def objects(**kinds: list[tuple[str, str]]) -> Objects:
    """`volume=[(name, stack label)]` and so on; ids are the names."""
    return {
        kind: {name: {"name": name, "stack": stack} for name, stack in kinds.get(kind, [])} for kind in inventory.KINDS
    }


@pytest.mark.parametrize(
    ("kind", "name", "stack", "ours"),
    [
        ("service", f"{STACK}_app", STACK, True),
        ("secret", f"{STACK}_password_v1", "", True),
        ("container", "renamed-by-hand", STACK, True),
        ("network", "proxy", "", False),
        ("volume", f"{STACK}x_data", "", False),
        # Another stack whose name begins like ours: its label decides, not the name.
        ("volume", f"{STACK}_two_data", f"{STACK}_two", False),
        ("volume", ANONYMOUS, "", True),
        ("volume", "0b" * 32, "", False),
        ("config", ANONYMOUS, "", False),
    ],
)
def test_what_belongs_to_the_run(kind: str, name: str, stack: str, ours: bool) -> None:
    assert attributable(kind, {"name": name, "stack": stack}, SCOPE, mounts=[ANONYMOUS]) is ours


def test_a_scope_without_apps_owns_nothing() -> None:
    assert not attributable("service", {"name": "_app", "stack": ""}, {"run": "r1", "apps": []})


def test_only_what_is_ours_is_left_behind_and_the_rest_is_foreign() -> None:
    before = objects(service=[("old_app", "old")], network=[("proxy", "")], config=[("ccci-lock", "")])
    after = objects(
        service=[("new_app", "new")], network=[("proxy", "")], volume=[(f"{STACK}_data", STACK), (ANONYMOUS, "")],
        config=[("ccci-run-r2", "")], env=[("/x/cust-c12afe.ci.test.env", "")],
    )  # fmt: skip
    found = compare(before, after, SCOPE, mounts=[ANONYMOUS])
    assert found.left_behind == [
        {"kind": "volume", "name": ANONYMOUS},
        {"kind": "volume", "name": f"{STACK}_data"},
        {"kind": "env", "name": "/x/cust-c12afe.ci.test.env"},
    ]
    assert found.foreign == [
        {"kind": "service", "name": "new_app", "change": "appeared"},
        {"kind": "service", "name": "old_app", "change": "gone"},
    ]


def test_nothing_is_called_foreign_when_the_inventory_before_is_lost() -> None:
    assert compare({}, objects(service=[("new_app", "new")]), SCOPE).foreign == []


def test_a_dead_runs_objects_leave_the_inventory_before() -> None:
    seen = objects(service=[(f"{STACK}_app", STACK), ("old_app", "old")])
    assert list(inventory.without(seen, SCOPE)["service"]) == ["old_app"]


def occupied(seen: Objects, *journals: Journal) -> list[preflight.Problem]:
    return list(preflight._occupied(SCOPE, seen, journals))


def test_objects_of_our_stack_that_no_run_made_are_never_touched() -> None:
    problem = occupied(objects(service=[(f"{STACK}_app", STACK)]))[0]
    assert problem.observed == f"service {STACK}_app"
    assert "does not touch them" in problem.hint


def test_objects_of_a_dead_run_are_no_obstacle() -> None:
    seen = objects(service=[(f"{STACK}_app", STACK)], volume=[(f"{STACK}_data", "")])
    assert occupied(seen, Journal("i", 1, "r0", "live", {**SCOPE, "run": "r0"})) == []


def test_a_kept_run_is_named_with_the_way_out() -> None:
    kept = Journal("i", 1, "r0", "kept", {**SCOPE, "run": "r0"})
    problem = occupied(objects(service=[(f"{STACK}_app", STACK)]), kept)[0]
    assert "r0 was kept" in problem.observed
    assert "ccci clean --run r0" in problem.hint


def test_available_memory_is_read_in_bytes() -> None:
    assert preflight.memory_available("MemTotal: 100 kB\nMemAvailable:    2048 kB\n") == 2 * 1024**2
