"""Is Docker still the one that the run began with? Played with processes of our own in Docker's place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ccci_host import engine, lock, state, teardown
from ccci_host.answer import Answer
from ccci_host.docker import Client
from ccci_host.docker_errors import DockerError, is_outage


@pytest.fixture
def scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(engine, "PID_FILE", tmp_path / "docker.pid")
    (tmp_path / "docker.pid").write_text(f"{os.getpid()}\n")
    return {"run": "r", "node_dir": str(tmp_path), "apps": [], "deploys": 1}


@pytest.fixture
def another(tmp_path: Path):
    """Puts another process into Docker's place."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield lambda: (tmp_path / "docker.pid").write_text(str(process.pid))
    process.communicate(b"\n")


def test_the_same_docker_is_no_restart(scope: dict[str, Any]) -> None:
    engine.remember(scope)
    assert engine.identity()
    assert not engine.restarted(scope)
    engine.demand_same(scope)


def test_another_process_is_a_restart_and_every_module_says_so(scope: dict[str, Any], another: Any) -> None:
    engine.remember(scope)
    another()
    assert engine.restarted(scope)
    with pytest.raises(engine.EngineRestarted, match="Docker on the node was restarted"):
        lock.renew(Client("/nonexistent"), scope)  # before it asks Docker anything


def test_the_same_id_in_another_life_is_a_restart(scope: dict[str, Any]) -> None:
    state.update(scope, engine=engine.identity().rpartition(" ")[0] + " 1")
    assert engine.restarted(scope)


def test_what_cannot_be_compared_is_no_restart(scope: dict[str, Any], tmp_path: Path) -> None:
    assert not engine.restarted(scope)  # a run that died before it remembered
    assert not engine.restarted({"run": "r"})
    engine.remember(scope)
    for content in ("", "no number", "0", "999999999"):  # Docker is down, or writes its id somewhere else
        (tmp_path / "docker.pid").write_text(content)
        assert not engine.restarted(scope)
    (tmp_path / "docker.pid").unlink()
    assert not engine.restarted(scope)


def test_a_teardown_after_a_restart_is_an_error_of_the_node(scope: dict[str, Any], another: Any) -> None:
    engine.remember(scope)
    state.update(scope, deploys={"s": 1})
    answer = Answer("teardown")
    teardown.judge(answer, scope, {"s"})
    assert [(one["id"], one["outcome"]) for one in answer.results] == [("teardown.deploy_count", "pass")]
    another()
    answer = Answer("teardown")
    teardown.judge(answer, scope, {"s"})
    result = next(one for one in answer.results if one["id"] == "teardown.engine")
    assert (result["outcome"], result["failure_id"]) == ("error", "docker-down")


@pytest.mark.parametrize(
    ("status", "words", "away"),
    [
        (0, "Docker does not answer on /var/run/docker.sock", True),
        (503, "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state.", True),
        (500, "rpc error: code = Unknown desc = The swarm does not have a leader.", True),
        (500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded", True),
        (503, 'This node is not a swarm manager. Use "docker swarm init" to connect this node to swarm.', False),
        (500, "invalid mount config", False),
        (404, "no such service", False),
        (409, "volume is in use", False),
    ],
)
def test_what_may_come_back_by_itself(status: int, words: str, away: bool) -> None:
    assert is_outage(DockerError(status, words)) is away
