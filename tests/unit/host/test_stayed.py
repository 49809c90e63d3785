"""A service that passed its convergence and ends afterwards, judged before the stack is taken away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_diagnose import NOW, service, snapshot, task

from ccci_host import state, stayed, watch
from ccci_host.answer import Answer
from ccci_host.docker import Client
from ccci_host.docker_errors import DockerError
from ccci_host.snapshot import Container, Service, Task
from ccci_host.stayed import Look

SINCE = NOW - 100


def dead(age: float, code: int | None = 3, log: str = "bad setting", **more: Any) -> Task:
    """It ended so many seconds ago, 25 s after its start."""
    end = NOW - age
    box = Container(f"c{age}", "exited", "none", started=end - 25, finished=end, exit_code=code, log=log)
    fields = {"id": f"dead{age}", "exit_code": code, "error": f"task: non-zero exit ({code})", "container": box}
    return replace(task("failed", age + 26), changed=end, **{**fields, **more})


def alive(age: float) -> Task:
    return task("running", age, id="now", container=Container("now", "running", "none", started=NOW - age))


def judged(*services: Service, prefix: str = "", unseen: tuple[str, ...] = ()) -> dict[str, Any]:
    answer = Answer("teardown")
    stayed.report([Look(snapshot(*services), SINCE, prefix)], unseen, answer)
    (result,) = answer.results
    assert result["id"] == "teardown.stayed_up"
    return result


def test_a_worker_that_ends_every_25_seconds_is_a_crash_loop_in_the_words_of_a_wait() -> None:
    found = judged(service("worker", dead(65), dead(35), dead(5), alive(1)), service("app", alive(300)))
    assert (found["outcome"], found["failure_id"], found["service"]) == ("fail", "crash-loop", "worker")
    assert found["observed"] == (
        "worker ended 3 times, each time with exit code 3 after 25 s; last words: bad setting"
    )  # fmt: skip
    assert "last log lines:\nbad setting" in found["evidence"]


def test_two_deaths_count_while_it_is_not_up_for_as_long_as_it_lived_before() -> None:
    assert judged(service("worker", dead(40), dead(10), alive(5)))["outcome"] == "fail"
    found = judged(service("worker", dead(80), dead(50), alive(45)))
    assert (found["outcome"], found["observed"]) == (
        "pass", "worker ended 2 times after it had converged (exit code 3)",
    )  # fmt: skip
    assert judged(service("worker", dead(90), dead(80), dead(50), alive(45)))["outcome"] == "fail"


def test_one_death_is_told_and_is_no_crash_loop() -> None:
    found = judged(service("worker", dead(5), task("ready", 3)))
    assert (found["outcome"], found["observed"]) == (
        "pass", "worker ended once after it had converged (exit code 3)",
    )  # fmt: skip
    assert "bad setting" in found["evidence"]
    assert judged(service("worker", alive(300)))["observed"] == "every service stayed up"


def test_one_death_is_enough_where_swarm_does_not_start_it_again() -> None:
    found = judged(service("worker", dead(5), restart="none"))
    assert (found["outcome"], found["failure_id"]) == ("fail", "crash-loop")
    assert "does not start it again" in found["observed"]


def test_what_came_before_the_convergence_or_by_swarms_will_does_not_count() -> None:
    before = [dead(100 + age) for age in (5, 35, 65)]
    stopped = [dead(age, state="shutdown", error="", desired="shutdown") for age in (20, 30, 40)]
    assert judged(service("worker", *before, *stopped, alive(1)))["observed"] == "every service stayed up"


def test_a_kill_for_memory_keeps_its_own_name() -> None:
    boxes = [replace(dead(age, 137), container=replace(dead(age).container, oom_killed=True)) for age in (40, 10)]
    found = judged(service("worker", *boxes, task("ready", 3), memory_limit=64 * 2**20))
    assert (found["outcome"], found["failure_id"]) == ("fail", "oom")


def test_a_dep_that_does_not_stay_up_is_an_error_and_comes_first() -> None:
    answer, bad = Answer("teardown"), service("worker", dead(40), dead(10), alive(5))
    stayed.report([Look(snapshot(bad), SINCE), Look(snapshot(bad), SINCE, "sso-")], [], answer)
    (found,) = answer.results
    assert (found["outcome"], found["failure_id"], found["service"]) == ("error", "crash-loop", "sso-worker")
    assert found["observed"].startswith("sso-worker ended 2 times")
    assert "also: worker ended 2 times" in found["evidence"]


def test_without_a_look_at_every_stack_there_is_no_pass() -> None:
    found = judged(service("app", alive(300)), unseen=("s (it had not converged)",))
    assert found["outcome"] == "skip"
    assert "s (it had not converged)" in found["evidence"]
    assert judged(service("app", dead(40), dead(10), alive(5)), unseen=("s (x)",))["outcome"] == "fail"


@pytest.fixture
def scope(tmp_path: Path) -> dict[str, Any]:
    return {"run": "r", "stack": "s", "node_dir": str(tmp_path)}


def looked(
    scope: dict[str, Any], there: set[str], monkeypatch: pytest.MonkeyPatch, error: Exception | None = None
) -> Any:
    def frame(client: Client, stack: str) -> dict[str, Any]:
        if error:
            raise error
        return {"at": NOW, "services": [], "tasks": [], "containers": [], "nodes": [], "inspected": {}, "logs": {}}

    monkeypatch.setattr(watch, "frame", frame)
    answer = Answer("teardown")
    stayed.judge(Client("/nonexistent"), scope, {"dep": "sso-", "s": ""}, there, answer)
    (result,) = answer.results
    return result


def test_each_stack_remembers_its_last_convergence(scope: dict[str, Any]) -> None:
    state.update(scope, deploys={"s": 1})
    stayed.remember({**scope, "stack": "dep"}, 1.0)
    stayed.remember(scope, 2.0)
    stayed.remember(scope, 3.0)
    assert state.load(scope) == {"deploys": {"s": 1}, "converged": {"dep": 1.0, "s": 3.0}}


def test_a_run_that_never_converged_is_a_skip_and_asks_docker_nothing(
    scope: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    away = AssertionError("asked")
    assert looked(scope, {"s"}, monkeypatch, away)["outcome"] == "skip"
    stayed.remember({**scope, "stack": "dep"}, 1.0)
    stayed.remember(scope, 2.0)
    assert looked(scope, set(), monkeypatch, away)["outcome"] == "skip"
    assert looked(scope, {"s"}, monkeypatch)["outcome"] == "skip"
    assert looked(scope, {"dep", "s"}, monkeypatch)["outcome"] == "pass"


def test_a_docker_that_is_away_is_waited_for_and_one_that_refuses_is_an_error(
    scope: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stayed.remember(scope, 2.0)
    with pytest.raises(DockerError):
        looked(scope, {"s"}, monkeypatch, DockerError(0, "Docker does not answer"))
    assert looked(scope, {"s"}, monkeypatch, DockerError(500, "no such thing"))["outcome"] == "error"
    (Path(scope["node_dir"]) / state.STATE_FILE).write_text("{")
    assert looked(scope, {"s"}, monkeypatch)["outcome"] == "error"
