"""What is told of each service: its times in each tier, the pulls, and what it used. Odd events break none of it."""

from __future__ import annotations

from typing import Any

import pytest
from life import START, fact, green, moment, plan

from ccci.report import services
from ccci.report.result import compute
from ccci.schemas import check


def came_up(tier: str, at: float, service: str = "app", last: str = "healthy") -> list[dict[str, Any]]:
    whats = {"created": 0.0, "started": 0.5, last: 4.1}
    return [moment(tier, service, what, at + after) for what, after in whats.items()]


def test_each_tier_says_how_long_a_service_took() -> None:
    stream = [*came_up("install", START), *came_up("upgrade", START + 20, last="running")]
    install, upgrade = services.times(stream)
    assert (install.tier, install.service, install.up) == ("install", "app", "healthy")
    assert install.seconds == {"started": 0.5, "healthy": 4.1}
    assert list(install.moments) == ["created", "started", "healthy"]
    assert (upgrade.up, upgrade.seconds["running"]) == ("running", 4.1)


def test_a_tier_that_changed_nothing_says_nothing_new() -> None:
    """A watch at the end of the restore sees the very tasks that the upgrade made."""
    again = [{**event, "tier": "restore"} for event in came_up("upgrade", START)]
    assert [one.tier for one in services.times([*came_up("upgrade", START), *again])] == ["upgrade"]


def test_the_try_that_came_up_counts() -> None:
    stream = [*came_up("install", START)[:2], *came_up("install", START + 30)]
    (only,) = services.times(stream)
    assert only.moments["created"] == START + 30
    assert only.seconds["healthy"] == 4.1


def test_a_pull_stands_where_its_image_came_up() -> None:
    """The base's image in the install, the head's in the upgrade; one that both have, in the install only."""
    looks = [
        fact(tier, "resources", {"app": {"image": f"r/a:{number}"}, "db": {"image": "r/db:1"}})
        for tier, number in (("install", 1), ("upgrade", 2))
    ]
    moments = [
        moment("prepare", image, what, START - 60 + at)
        for image, begins, takes in (("r/a:1", 0, 3), ("r/a:2", 3, 5), ("r/db:1", 0, 8))
        for what, at in (("pull", begins), ("pulled", begins + takes))
    ]
    up = [*came_up("install", START), *came_up("install", START, "db"), *came_up("upgrade", START + 20),
          *came_up("upgrade", START + 20, "db")]  # fmt: skip
    found = {(one.tier, one.service): one.seconds.get("pulled") for one in services.times([*moments, *up, *looks])}
    assert found == {("install", "app"): 3, ("install", "db"): 8, ("upgrade", "app"): 5, ("upgrade", "db"): None}


def test_every_pull_is_told() -> None:
    stream = [
        moment("prepare", "r/a:1", "pull", START), moment("prepare", "r/a:1", "pulled", START + 3),
        moment("prepare", "nginx", "pull", START + 1),
        fact("prepare", "pulled", {"each": {"r/a:1": {"bytes": 10, "size": 30, "seconds": 2.5}, "r/c:1": {}}}),
    ]  # fmt: skip
    first, second, third = services.pulls(stream)
    assert (first.image, first.seconds, first.bytes, first.size) == ("r/a:1", 2.5, 10, 30)
    assert (second.image, second.seconds) == ("nginx", None)
    assert (third.image, third.start) == ("r/c:1", None)
    assert services.times(stream) == []


def use(peak: int | None, died: list[str] = [], disk: int | None = None) -> dict[str, Any]:  # noqa: B006
    return {"memory_peak": peak, "memory_limit": 100, "disk": disk, "restarts": len(died), "died": died}


def test_the_looks_of_all_tiers_are_joined() -> None:
    """The most counts, in the tier that reached it; a death that two looks saw is one death."""
    stream = [
        fact("install", "resources", {"app": use(50, ["t1"]), "db": use(None)}),
        fact("upgrade", "resources", {"app": use(70, ["t1", "t2"])}),
        {"type": "task", "tier": "custom", "at": START},
        fact("teardown", "resources", {"app": use(60, ["t2"], 5), "db": use(9, disk=7)}),
    ]
    app, db = services.resources(stream)
    most = {"memory_peak": 70, "memory_limit": 100, "disk": 5, "restarts": 2}
    assert app == {"service": "app", "tier": "upgrade", **most}
    assert (db["memory_peak"], db["tier"], db["disk"], db["restarts"]) == (9, "custom", 7, 0)


ODD: list[Any] = [None, [], {}, "x", -1, float("nan"), float("inf"), True, {"app": None}, {"app": {"memory_peak": "x"}}]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_events_break_nothing(odd: Any) -> None:
    more = [
        fact("install", "resources", odd), fact("install", "resources", {"app": {"died": odd, "disk": odd}}),
        fact("prepare", "pulled", odd), fact("prepare", "pulled", {"each": odd}),
        fact("prepare", "pulled", {"each": {"i": {"seconds": odd, "bytes": odd}}}),
        moment("install", odd, "created", START), moment("install", "app", odd, START),
        moment("install", "app", "pulled", odd), moment(odd, "app", "created", START),
    ]  # fmt: skip
    result = compute(plan(), [*green(plan()), *more])
    assert result.verdict == "pass"
    assert check.problems("result", result.to_json()) == []


def test_a_result_holds_all_of_it() -> None:
    stream = [*came_up("install", START), fact("install", "resources", {"app": use(50)}), *green(plan())]
    data = compute(plan(), stream).to_json()
    assert check.problems("result", data) == []
    assert data["service_times"][0]["seconds"] == {"started": 0.5, "healthy": 4.1}
    assert data["resources"][0]["memory_peak"] == 50
    assert "resources" not in data["facts"]
