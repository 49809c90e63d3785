"""The watcher on real stacks: slices as the module makes them, and seconds to the verdict."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import record

from ccci_host.docker import Client
from ccci_host.watch import Seen, watch

pytestmark = pytest.mark.docker
STACK = "ccci-test-watch"
IMAGE = {"image": "127.0.0.1:5000/ccci/nginx:1.22.1", "stop_signal": "SIGKILL"}
SLEEPS = {**IMAGE, "command": ["sleep", "1000"]}


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client()
    yield client
    record.remove(client, STACK)


def until_over(client: Client, limit: float = 60) -> tuple[Seen, int]:
    """The last slice, and how many there were. The cursor goes through JSON, as it does between two calls."""
    cursor: dict[str, Any] = {}
    deadline, slices = time.monotonic() + limit, 0
    while time.monotonic() < deadline:
        began = time.monotonic()
        seen = watch(client, STACK, cursor, 2)
        slices += 1
        assert time.monotonic() - began < 3
        if seen.over:
            return seen, slices
        cursor = json.loads(json.dumps(seen.memory.to_json()))
    raise AssertionError(f"no outcome within {limit:.0f} s: {seen.decision.progress}")


def test_a_healthy_service_counts_at_once(client: Client) -> None:
    record.deploy(STACK, {"app": {**SLEEPS, "healthcheck": {"test": ["CMD", "true"], "interval": "1s"}}})
    seen, _ = until_over(client)
    assert seen.decision.outcome == "pass"
    healthy = seen.snapshot.services[0].tasks[-1].changed
    assert time.time() - healthy < 1.0


def test_a_wrong_healthcheck_is_red_within_seconds_of_the_first_evidence(client: Client) -> None:
    good = {**SLEEPS, "healthcheck": {"test": ["CMD", "true"], "interval": "1s"},
            "deploy": {"update_config": {"order": "start-first", "failure_action": "rollback"}}}  # fmt: skip
    record.deploy(STACK, {"app": good})
    assert until_over(client)[0].decision.outcome == "pass"
    says = {"test": "echo nobody listens on port 81; exit 1", "interval": "1s", "start_period": "2s", "retries": 3}
    record.deploy(STACK, {"app": {**good, "healthcheck": says}})
    seen, slices = until_over(client)
    assert seen.decision.outcome == "fail"
    first = seen.decision.findings[0]
    assert (first.failure_id, first.service) == ("health-kill", "app")
    assert "nobody listens on port 81" in first.sentence
    assert slices > 1
    # The evidence is the third failed check; the verdict comes with the next look.
    assert time.time() - seen.memory.deaths[0].at < 5


def test_a_crash_loop_shows_the_last_words(client: Client) -> None:
    dies = {**IMAGE, "command": ["sh", "-c", "echo the key file is empty; exit 7"]}
    record.deploy(STACK, {"app": {**dies, "deploy": {"restart_policy": {"delay": "1s"}}}})
    seen, _ = until_over(client)
    first = seen.decision.findings[0]
    assert (seen.decision.outcome, first.failure_id) == ("fail", "crash-loop")
    assert "exit code 7" in first.sentence
    assert "the key file is empty" in first.evidence


def test_a_child_that_the_kernel_kills_is_seen_behind_exit_code_0(client: Client) -> None:
    limited = {"resources": {"limits": {"memory": "32M"}}, "restart_policy": {"condition": "on-failure"}}
    record.deploy(STACK, {"app": {**IMAGE, "command": ["sh", "-c", "tail /dev/zero; exit 0"], "deploy": limited}})
    seen, _ = until_over(client)
    first = seen.decision.findings[0]
    assert (seen.decision.outcome, first.failure_id, first.service) == ("fail", "oom", "app")
    assert "32 MiB" in first.sentence
    assert seen.memory.deaths[0].exit_code == 0


def test_a_kill_from_outside_is_told_from_a_crash_and_is_no_verdict(client: Client) -> None:
    checked = {"test": ["CMD", "test", "-e", "/tmp/up"], "interval": "1s", "start_period": "60s"}
    boots = {**IMAGE, "command": ["sh", "-c", "sleep 3; touch /tmp/up; sleep 1000"], "healthcheck": checked}
    record.deploy(STACK, {"app": {**boots, "deploy": {"restart_policy": {"delay": "1s"}}}})
    deadline = time.monotonic() + 30
    while not (running := client.containers(STACK, all=False)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    client.post(f"/containers/{running[0]['Id']}/kill", signal="KILL")
    seen, _ = until_over(client)
    assert seen.decision.outcome == "pass"
    assert [(one.how, one.signal, one.exit_code) for one in seen.memory.deaths] == [("killed", 9, 137)]


def test_a_stack_that_is_not_there_is_an_error(client: Client) -> None:
    assert until_over(client)[0].decision.outcome == "error"
