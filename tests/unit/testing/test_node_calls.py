"""What the fixture `app` makes of the node's answers."""

from __future__ import annotations

import base64
import socket
from dataclasses import replace
from typing import Any

import pytest

from ccci.testing import node
from ccci.testing.app import App
from ccci.testing.context import Context
from ccci.testing.node import NodeError, NotConverged, StillRunning, WrongService

CONTEXT = Context("demo", "app.ci.test", "https://app.ci.test", "s", None, "", scope={"run": "r", "stack": "s"})


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The node's next answers, as `_play` gives them; what was called comes after them."""
    kept: list[Any] = []

    def play(context: Context, call: dict[str, Any], limit: float) -> dict[str, Any]:
        kept.append(call)
        return dict(kept.pop(0))

    monkeypatch.setattr(node, "_play", play)
    return kept


def output(rc: int, stdout: str) -> dict[str, Any]:
    return {"ccci_exec": {"rc": rc, "stdout": base64.b64encode(stdout.encode()).decode(), "stderr": ""}}


def test_a_connection_goes_to_the_ingress_whatever_the_name_resolves_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        context = replace(CONTEXT, domain="nowhere.invalid", ingress_address="127.0.0.1")
        with App(context).connect(server.getsockname()[1]) as ours, server.accept()[0] as theirs:
            ours.sendall(b"ping")
            assert theirs.recv(4) == b"ping"


def test_a_command_and_a_sidecar_give_what_they_said(answers: list[Any]) -> None:
    answers.append(output(3, "ümlaut\n"))
    assert App(CONTEXT).exec_in("app", ["cat"], stdin="x") == node.Done(3, "ümlaut\n", "")
    assert answers.pop() == {
        "what": "exec", "service": "app", "argv": ["cat"], "user": "", "limit": 60, "stdin": "eA==",
    }  # fmt: skip
    answers.append(output(0, "PONG"))
    assert App(CONTEXT).sidecar("redis:7", ["redis-cli", "-h", "cache", "ping"]).stdout == "PONG"
    assert answers.pop() == {
        "what": "sidecar", "image": "redis:7", "argv": ["redis-cli", "-h", "cache", "ping"], "service": "app",
        "limit": 60,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "kind", "failure_id", "service"),
    [
        (
            {"msg": "no service 'db'; it has: postgres", "failure_id": "wrong-service"},
            WrongService,
            "wrong-service",
            "db",
        ),
        ({"msg": "`sh` did not end", "failure_id": "interactive-hang"}, StillRunning, "interactive-hang", "db"),
        ({"msg": "Docker does not answer"}, NodeError, None, None),
    ],
)
def test_what_goes_wrong_has_its_name(
    answers: list[Any], answer: dict[str, Any], kind: type[node.Named], failure_id: str | None, service: str | None
) -> None:
    answers.append(answer)
    with pytest.raises(kind, match=answer["msg"].replace("`", ".")) as error:
        App(CONTEXT).exec_in("db", ["sh"])
    assert (error.value.failure_id, error.value.service) == (failure_id, service)


def test_a_stack_that_comes_up_and_one_that_does_not(answers: list[Any]) -> None:
    up = {"id": "custom.converged", "outcome": "pass", "observed": "2 of 2 services up"}
    answers.append({"ccci": {"results": [up]}})
    assert App(CONTEXT).converges(limit=20) == "2 of 2 services up"
    assert answers.pop() == {"what": "converge", "limit": 20}
    down = {**up, "outcome": "fail", "observed": "worker exits with 1 again and again", "evidence": "the last lines",
            "failure_id": "crash-loop", "service": "worker"}  # fmt: skip
    answers.append({"ccci": {"results": [down]}})
    with pytest.raises(NotConverged, match="worker exits with 1 again and again\nthe last lines") as error:
        App(CONTEXT).converges()
    assert (error.value.failure_id, error.value.service) == ("crash-loop", "worker")
    answers[:] = [{"ccci": {"results": [{**down, "outcome": "error"}]}}]
    with pytest.raises(NodeError):
        App(CONTEXT).converges()
    answers[:] = [{"msg": "the lock was lost"}]
    with pytest.raises(NodeError, match="the lock was lost"):
        App(CONTEXT).converges()
