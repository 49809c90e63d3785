"""The watcher's decisions on what Docker really said (recorded/*.jsonl, made by record.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccci_host.converge import Decision, Memory, give_up, look, moments, restarts
from ccci_host.snapshot import Snapshot, read

RECORDED = Path(__file__).parent / "recorded"


def replay(name: str, engine: str = "20.10.24") -> Iterator[tuple[Snapshot, Memory, Decision]]:
    """Frame by frame, the memory going through JSON as it does between slices."""
    head, *frames = (RECORDED / f"{name}.docker-{engine}.jsonl").read_text().splitlines()
    stack, memory = json.loads(head)["stack"], None
    for line in frames:
        snapshot = read(json.loads(line), stack)
        memory = Memory.from_json(json.loads(json.dumps(memory.to_json())) if memory else {}, snapshot.at)
        memory, decision = look(snapshot, memory)
        yield snapshot, memory, decision


def verdict(name: str) -> tuple[Snapshot, Memory, Decision]:
    """The first decision that is not to wait."""
    for snapshot, memory, decision in replay(name):
        if decision.outcome != "waiting":
            return snapshot, memory, decision
    raise AssertionError(f"{name}: no decision in the whole recording")


@pytest.mark.parametrize("name", ["green", "no-healthcheck", "upgrade-green", "no-op-upgrade", "mixed-modes"])
def test_good_stacks_pass_without_a_finding(name: str) -> None:
    seen = list(replay(name))
    assert all(decision.findings == () for _, _, decision in seen)
    _, memory, last = seen[-1]
    assert last.outcome == "pass"
    assert restarts(memory.deaths) == "0 restarts"


@pytest.mark.parametrize(
    ("name", "failure_id", "words"),
    [
        ("health-kill-upgrade", "health-kill", ["start_period 2s", "can't connect to remote host", "still booting"]),
        ("health-kill-paused", "health-kill", ["start_period 2s", "can't connect to remote host"]),
        ("crash-loop", "crash-loop", ["2 times", "exit code 3", "configuration is wrong"]),
        ("crash-loop-silent", "crash-loop", ["3 times", "exit code 1", "no output"]),
        ("gives-up", "crash-loop", ["exit code 4", "restart policy (none)"]),
        ("missing-image", "missing-image", ["127.0.0.1:5000/ccci/no-such:1"]),
        ("missing-bind-source", "missing-bind-source", ["/no/such/path"]),
        ("no-such-command", "start-failed", ["serve"]),
        ("unschedulable", "unschedulable", ["no node"]),
    ],
)
def test_faults_are_named(name: str, failure_id: str, words: list[str]) -> None:
    _, _, decision = verdict(name)
    first = decision.findings[0]
    assert (decision.outcome, first.failure_id, first.service) == ("fail", failure_id, "app")
    for word in words:
        assert word in first.sentence


@pytest.mark.parametrize("name", ["health-kill-upgrade", "health-kill-paused"])
def test_an_unhealthy_task_is_judged_before_swarm_gives_the_update_up(name: str) -> None:
    snapshot, memory, _ = verdict(name)
    assert snapshot.services[0].update_state == "updating"
    assert snapshot.at - memory.deaths[0].at < 1


def test_a_rollback_that_is_over_keeps_its_cause() -> None:
    *_, (snapshot, _, decision) = replay("health-kill-upgrade")
    assert snapshot.services[0].update_state == "rollback_completed"
    assert decision.findings[0].failure_id == "health-kill"
    assert "swarm rolled the update back" in decision.findings[0].sentence


def test_a_watcher_that_comes_after_the_rollback_still_finds_the_cause() -> None:
    head, *frames = (RECORDED / "health-kill-upgrade.docker-20.10.24.jsonl").read_text().splitlines()
    states = [read(json.loads(line), json.loads(head)["stack"]) for line in frames]
    last = states[-1]
    _, decision = look(last, Memory(last.at))
    assert decision.outcome == "fail"
    assert "rolled the update back" in decision.findings[0].sentence
    # The first frame in which the rollback shows still has the log of its container.
    first = next(state for state in states if state.services[0].update_state.startswith("rollback"))
    _, decision = look(first, Memory(first.at))
    assert decision.findings[0].failure_id == "health-kill"


def test_a_service_that_waits_for_a_slow_one_is_no_crash_loop() -> None:
    decisions = list(replay("legit-restarts"))
    assert all(decision.outcome in ("waiting", "pass") for _, _, decision in decisions)
    _, memory, last = decisions[-1]
    assert last.outcome == "pass"
    assert len(memory.deaths) >= 3
    assert all(death.excused == ("db",) for death in memory.deaths)
    assert restarts(memory.deaths) == f"app restarted {len(memory.deaths)} times (exit code 1), then stayed up"


def test_the_first_cause_is_named_and_not_who_waits_for_it() -> None:
    _, _, decision = verdict("first-cause")
    assert (decision.findings[0].failure_id, decision.findings[0].service) == ("crash-loop", "db")
    assert "data directory is broken" in decision.findings[0].evidence


def test_when_time_is_up_the_likeliest_cause_and_every_state_are_told() -> None:
    snapshot, memory, decision = list(replay("legit-restarts"))[20]
    finding = give_up(snapshot, memory, decision, 10)
    assert finding.failure_id == "crash-loop"
    assert "not certain" in finding.sentence
    assert "db 0/1" in finding.evidence
    assert "app 0/1" in finding.evidence


def test_moments_are_in_order() -> None:
    snapshot, _, _ = list(replay("green"))[-1]
    whats = [moment["what"] for moment in moments(snapshot)]
    assert (whats[0], whats[-1]) == ("created", "healthy")
