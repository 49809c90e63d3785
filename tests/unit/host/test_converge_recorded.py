"""The watcher's decisions on what Docker really said (recorded/*.jsonl, made by record.py)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ccci_host import watch
from ccci_host.answer import Answer
from ccci_host.converge import Decision, Memory, give_up, look, moments, restarts
from ccci_host.deaths import up
from ccci_host.diagnose import diagnose
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


GREEN = ["green", "no-healthcheck", "upgrade-green", "no-op-upgrade", "mixed-modes", "start-first"]


@pytest.mark.parametrize("name", GREEN)
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
        ("oom", "oom", ["killed for want of memory", "limit is 16 MiB"]),
        ("oom-child", "oom", ["lost a process", "exit code 0"]),
        ("oom-alive", "oom", ["app runs", "3 times so far"]),
        ("lock-held", "killed-while-booting", ["2 times", "the first cause: it was stopped by swarm", "still booting"]),
    ],
)
def test_faults_are_named(name: str, failure_id: str, words: list[str]) -> None:
    _, _, decision = verdict(name)
    first = decision.findings[0]
    assert (decision.outcome, first.failure_id, first.service) == ("fail", failure_id, "app")
    for word in words:
        assert word in first.sentence


@pytest.mark.parametrize(
    ("here", "outcome", "failure_id"),
    [
        ((), "fail", "missing-image"),
        (["127.0.0.1:5000/ccci/no-such:2", "no-such:1", "Not An Image"], "fail", "missing-image"),
        (["nginx:1", "127.0.0.1:5000/ccci/no-such:1"], "error", "prune-mid-deploy"),
    ],
)
def test_an_image_that_was_here_before_the_deploy_is_no_mistake_of_the_recipe(
    here: list[str], outcome: str, failure_id: str
) -> None:
    snapshot, memory, decision = verdict("missing-image")
    answer = Answer("install")
    watch.report(answer, watch.Seen(memory, decision, snapshot), 30, assert_restarts=True, here=here)
    (told,) = answer.results
    assert (told["outcome"], told["failure_id"], told["service"]) == (outcome, failure_id, "app")
    gone = "127.0.0.1:5000/ccci/no-such:1 was pulled before this deploy and is gone: something removed it on the node"
    assert (gone in told["observed"]) == (outcome == "error")


DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("asked", "name", "same"),
    [
        (f"docker.io/library/nginx:1@{DIGEST}", "nginx:1", True),
        (f"nginx:1@{DIGEST}", f"nginx@{DIGEST}", True),
        (f"nginx:1@{OTHER}", f"nginx:1@{DIGEST}", False),
        ("nginx:2", "nginx:1", False),
        ("other/nginx:1", "nginx:1", False),
        ("nginx:latest", "nginx", True),
        ("", "nginx", False),
    ],
)
def test_swarms_name_of_an_image_and_the_recipes(asked: str, name: str, same: bool) -> None:
    assert watch.same_image(asked, name) == same


def test_a_small_mount_is_suspected_once_and_the_same_end_again_is_proof() -> None:
    snapshot, memory, decision = list(replay("tmpfs-full"))[-1]
    first, last = decision.findings[0], memory.deaths[-1]
    assert (decision.outcome, first.failure_id, first.certain) == ("waiting", "disk-full", False)
    for word in ("No space left on device", "may be /data (a mount with a size of its own)", "MiB free"):
        assert word in first.sentence
    again = diagnose(snapshot, [replace(last, task="before", at=last.at - 6), last])[0]
    assert (again.failure_id, again.outcome, again.certain) == ("disk-full", "fail", True)


def test_half_made_data_is_named_at_once_and_with_what_broke_it_off() -> None:
    _, memory, decision = verdict("db-killed-in-init")
    first = decision.findings[0]
    assert (decision.outcome, first.failure_id, first.service) == ("fail", "db-killed-in-init", "db")
    assert "Missing MLOG_CHECKPOINT; the first cause: it was stopped by swarm, for an update" in first.sentence
    assert [death.how for death in memory.deaths] == ["stopped", "exit"]
    assert "Shutdown requested while starting up" in first.evidence
    assert restarts(memory.restarts) == "db restarted once (exit code 1), then stayed up"


def test_a_kill_from_outside_is_no_crash() -> None:
    _, memory, decision = verdict("killed-in-boot")
    first = decision.findings[0]
    assert (decision.outcome, first.failure_id, first.service) == ("fail", "killed-while-booting", "side")
    assert "signal 15 from outside" in first.sentence
    assert "exit code 70: Shutdown requested while starting up" in first.sentence
    assert [death.how for death in memory.deaths] == ["killed", "killed"]


def test_a_port_that_another_service_has_is_no_fault_of_the_recipe() -> None:
    _, _, decision = verdict("port-taken")
    first = decision.findings[0]
    assert (decision.outcome, first.failure_id, first.service) == ("error", "port-taken", "side")


@pytest.mark.parametrize(("name", "how"), [("killed-once", "killed"), ("once-137", "exit")])
def test_one_end_and_then_a_try_that_stays_is_green(name: str, how: str) -> None:
    decisions = list(replay(name))
    assert {decision.outcome for _, _, decision in decisions[:-1]} == {"waiting"}
    _, memory, last = decisions[-1]
    assert last.outcome == "pass"
    assert [death.how for death in memory.deaths] == [how]
    assert memory.deaths[0].exit_code == 137


def test_a_database_without_a_healthcheck_is_starting_until_it_listens() -> None:
    decisions = list(replay("slow-db"))
    assert all(decision.outcome in ("waiting", "pass") for _, _, decision in decisions)
    _, memory, last = decisions[-1]
    assert last.outcome == "pass"
    assert len(memory.deaths) >= 3
    assert all(death.excused == ("db",) for death in memory.deaths[:2])
    running = [snapshot for snapshot, _, _ in decisions if up(snapshot.services[1], snapshot.at, ())]
    assert running[0].at < memory.deaths[1].at, "db must count as up before, else this shows nothing"


def test_who_waits_for_a_file_that_never_comes_is_named_at_the_limit() -> None:
    *_, (snapshot, memory, decision) = replay("acme-missing")
    assert decision.outcome == "waiting"
    finding = give_up(snapshot, memory, decision, 12)
    assert (finding.failure_id, finding.service) == ("acme-missing", "certdumper")
    assert "not certain" in finding.sentence


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
    told = [decision.progress for _, _, decision in decisions]
    line = r"restarted 2 times \(exit code 1, connect ECONNREFUSED db:3306\), may be waiting for db, starting \d s"
    assert any(re.search(line, one) for one in told)
    assert restarts(memory.deaths) == f"app restarted {len(memory.deaths)} times (exit code 1), then stayed up"


def test_the_first_cause_is_named_and_not_who_waits_for_it() -> None:
    _, _, decision = verdict("first-cause")
    assert (decision.findings[0].failure_id, decision.findings[0].service) == ("crash-loop", "db")
    assert "data directory is broken" in decision.findings[0].evidence


def test_when_time_is_up_the_likeliest_cause_and_every_state_are_told() -> None:
    snapshot, memory, decision = list(replay("legit-restarts"))[20]
    finding = give_up(snapshot, memory, decision, 10)
    # Who is waited for comes before who waits.
    assert (finding.failure_id, finding.service) == ("not-converged", "db")
    assert "not certain" in finding.sentence
    assert "2. app ended" in finding.sentence
    assert "it may be waiting for db" not in finding.hint
    assert "db 0/1" in finding.evidence
    assert "app 0/1" in finding.evidence


def test_moments_are_in_order() -> None:
    snapshot, _, _ = list(replay("green"))[-1]
    whats = [moment["what"] for moment in moments(snapshot)]
    assert (whats[0], whats[-1]) == ("created", "healthy")
