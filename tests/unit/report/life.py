"""Plans and event streams of whole lives, for the tests of the report."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from ccci.plan.expected import Shape, expected
from ccci.plan.tiers import TIERS

Event = dict[str, Any]
START = 1_800_000_000.0
RUN = "20261124-162501-cust-c12afe"
TESTS = ("custom-html.fetch_back", "custom-html.test_page")
OPERATIONS = {"install": "ccci_app", "upgrade": "ccci_app", "prepare": "ccci_prepare", "teardown": "ccci_teardown"}


def plan(tags: tuple[str, ...] = ("all",), keep: str = "never", **shape: Any) -> dict[str, Any]:
    chosen = Shape(tags=tags, tests=TESTS, **shape)
    return {
        "run": {"id": RUN, "dir": "/nowhere", "keep": keep, "tags": list(tags), "node": "here"},
        "recipe": {"name": "custom-html", "tests_dir": None},
        "base": {"version": "1.10.0+1.22.1", "commit": "b" * 40, "reason": "the newest", "chaos": False},
        "head": {
            "kind": "pr", "label": "pull request 2", "pr": 2, "commit": "a" * 40, "version": None, "subject": "Break",
        },
        "app": {"domain": "cust-c12afe.ci.test", "stack": "cust-c12afe_ci_test", "server": "default"},
        "scope": {"deploys": 1},
        "marker": {"kind": "file", "reason": "a volume"},
        "expected": [item.to_json() for item in expected(chosen)],
        "not_planned": [],
        "untrusted_tests": [],
    }  # fmt: skip


def green(plan: dict[str, Any], keep_id: Callable[[str], bool] = lambda name: True) -> list[Event]:
    """A life in which every expected id passes; ids for which `keep_id` is false leave no result."""
    clock = itertools.count(START, 1.0)
    stream: list[Event] = [
        {
            "at": next(clock),
            "type": "play_start",
            "playbook": "play.yml",
            "pid": 1,
            "tags": plan["run"]["tags"],
            "node": "here",
        }
    ]
    for tier in TIERS:
        names = [item["id"] for item in plan["expected"] if item["tier"] == tier]
        for name in names:
            if name == "teardown.no_secret_leak":
                continue
            at = next(clock)
            if keep_id(name):
                stream.append(result(name, tier, "pass", at))
            stream.append(task(tier, at, "ok", OPERATIONS.get(tier, "ccci_assert_http")))
    stream.append({"at": next(clock), "type": "fact", "tier": "teardown", "name": "deploys", "value": {"stack": 1}})
    stream.append({"at": next(clock), "type": "fact", "tier": "teardown", "name": "left_behind", "value": []})
    stream.append({"at": next(clock), "type": "leaks", "files": {}})
    stream.append({"at": next(clock), "type": "play_end", "playbook": "play.yml", "rc": 0})
    return stream


def result(name: str, tier: str, outcome: str, at: float = START, **more: Any) -> Event:
    return {
        "at": at,
        "type": "result",
        "tier": tier,
        "id": name,
        "outcome": outcome,
        "start": at - 0.5,
        "end": at,
        **more,
    }


def moment(tier: Any, service: Any, what: Any, at: Any, **more: Any) -> Event:
    return {"type": "timeline", "tier": tier, "service": service, "what": what, "at": at, **more}


def fact(tier: str, name: str, value: Any, at: float = START) -> Event:
    return {"at": at, "type": "fact", "tier": tier, "name": name, "value": value}


def task(tier: str | None, at: float, outcome: str, module: str = "ccci_app", **more: Any) -> Event:
    event = {"at": at, "type": "task", "name": f"do | {module}", "module": module, "host": "here", "on": "node",
             "start": at - 0.5, "end": at, "outcome": outcome, **more}  # fmt: skip
    return event if tier is None else {**event, "tier": tier}


def stopped_at(plan: dict[str, Any], name: str, outcome: str = "fail", **more: Any) -> list[Event]:
    """A life that an operation ended: nothing after it but the teardown."""
    order = [item["id"] for item in plan["expected"]]
    tier = name.partition(".")[0]
    kept = green(plan, lambda other: order.index(other) < order.index(name) or other.startswith("teardown."))
    stream = []
    for event in kept:
        if event["type"] == "task" and TIERS.index(event["tier"]) >= TIERS.index(tier) and event["tier"] != "teardown":
            continue
        stream.append(event)
    place = next(index for index, event in enumerate(stream) if event.get("tier") == "teardown")
    at = stream[place]["at"] - 0.2
    failed = [result(name, tier, outcome, at, **more), task(tier, at, "failed", msg=f"{name} did not pass")]
    return [*stream[:place], *failed, *stream[place:]]
