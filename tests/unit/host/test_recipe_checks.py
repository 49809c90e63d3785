from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ccci_host import command_checks, swarm_checks
from ccci_host.docker import ExecResult
from ccci_host.snapshot import read

RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture
def stack() -> list[swarm_checks.Deployed]:
    """The converged stack of `mixed-modes`, with labels and environment, which recordings leave out."""
    head, *frames = (RECORDED / "mixed-modes.docker-20.10.24.jsonl").read_text().splitlines()
    frame = json.loads(frames[-1])
    for service in frame["services"]:
        service["Spec"]["Labels"] = {"backupbot.backup": "true"}
        service["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] = ["MODE=fast", "EMPTY="]
    raw = {one["ID"]: one for one in frame["services"]}
    services = read(frame, json.loads(head)["stack"]).services
    return [swarm_checks.Deployed(one, raw[one.id]) for one in services]


@pytest.mark.parametrize(
    ("check", "outcome", "observed"),
    [
        ({"service": "job", "replicas": 0, "running": 0}, "pass", "replicas 0; running 0"),
        ({"service": "job", "replicas": 1}, "fail", "replicas 0"),
        ({"service": "agent", "running": 1}, "pass", "running 1"),
        ({"service": "agent", "image": "ccci-w-busybox:1"}, "pass", "image ccci-w-busybox:1"),
        ({"service": "agent", "image": "busybox:1"}, "fail", "image ccci-w-busybox:1"),
        ({"service": "agent", "labels": {"backupbot.backup": "true"}}, "pass", "labels backupbot.backup=true"),
        ({"service": "agent", "labels": {"backupbot.restore": "true"}}, "fail", "labels no backupbot.restore"),
        ({"service": "agent", "env": {"MODE": "slow", "EMPTY": ""}}, "fail", "env MODE=fast"),
        ({"service": "agent", "env": {"EMPTY": ""}}, "pass", "env EMPTY="),
        ({"service": "agent"}, "error", "the check names none"),
        ({"service": "web", "running": 1}, "fail", "no service 'web'; the stack has agent, init, job"),
    ],
)
def test_swarm(stack: list[swarm_checks.Deployed], check: dict[str, Any], outcome: str, observed: str) -> None:
    one = swarm_checks.judge({"id": "x", **check}, stack)
    assert (one.outcome, one.observed) == (outcome, observed)


def test_an_image_matches_without_its_registry_but_not_by_half_a_name() -> None:
    matches = swarm_checks._image_matches
    assert matches("127.0.0.1:5000/ccci/nginx:1.22.1", "nginx:1.22.1")
    assert matches("127.0.0.1:5000/ccci/nginx:1.22.1", "ccci/nginx:1.22.1")
    assert not matches("127.0.0.1:5000/ccci/nginx:1.22.1", "nginx:1.22")
    assert not matches("127.0.0.1:5000/ccci/mynginx:1.22.1", "nginx:1.22.1")


@pytest.mark.parametrize(
    ("check", "result", "outcome"),
    [
        ({}, ExecResult(0, b"", b""), "pass"),
        ({}, ExecResult(1, b"", b"boom"), "fail"),
        ({"rc": 3}, ExecResult(3, b"", b""), "pass"),
        ({"rc": 3}, ExecResult(0, b"", b""), "fail"),
        ({"stdout_contains": "b"}, ExecResult(0, b"abc", b""), "pass"),
        ({"stdout_contains": "d"}, ExecResult(0, b"abc", b"d"), "fail"),
        ({"stdout_contains": "a"}, ExecResult(2, b"abc", b""), "fail"),
        ({"stdout_equals": "1"}, ExecResult(0, b"1\n", b""), "pass"),
        ({"stdout_equals": ""}, ExecResult(0, b"x", b""), "fail"),
        ({"stdout_equals": "1"}, ExecResult(0, b" 1", b""), "fail"),
    ],
)
def test_command(check: dict[str, Any], result: ExecResult, outcome: str) -> None:
    one = command_checks.judge({"id": "x", "service": "app", "argv": ["true"], **check}, result)
    assert one.outcome == outcome


def test_a_miss_of_a_command_shows_both_streams() -> None:
    check = {"id": "x", "service": "app", "argv": ["true"], "stdout_equals": "1"}
    one = command_checks.judge(check, ExecResult(1, b"0\n", b"no such table"))
    assert one.expected == "`true` in app: rc 0, stdout is '1'"
    assert one.observed == "rc 1, stdout '0\\n', stderr 'no such table'"
