"""The shape that every module answers with."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ccci_host.answer import Answer, cut, guarded
from ccci_host.docker_errors import DockerError, LimitReached
from ccci_host.lock import LockLost


class End(Exception):  # noqa: N818 - it is how a module ends
    def __init__(self, failed: bool, answer: dict[str, Any]) -> None:
        self.failed, self.answer = failed, answer


class Module:
    """The two ways out that AnsibleModule offers."""

    def exit_json(self, **answer: Any) -> None:
        raise End(False, answer)

    def fail_json(self, **answer: Any) -> None:
        raise End(True, answer)


def end_of(step: Any) -> End:
    with pytest.raises(End) as caught:
        step()
    return caught.value


def test_a_result_gets_the_tier_and_drops_what_was_not_said() -> None:
    answer = Answer("install")
    answer.result("deploy", "pass", observed="1/1")
    answer.result("upgrade.health", "fail")
    assert answer.results == [
        {"id": "install.deploy", "outcome": "pass", "observed": "1/1"},
        {"id": "upgrade.health", "outcome": "fail"},
    ]


@pytest.mark.parametrize(("outcome", "evidence"), [("ok", None), ("skip", None), ("skip", "")])
def test_unknown_outcomes_and_skips_without_a_reason_are_refused(outcome: str, evidence: str | None) -> None:
    with pytest.raises(ValueError, match=r"outcome 'ok'|without a reason"):
        Answer("x").result("y", outcome, evidence=evidence)


@pytest.mark.parametrize(("outcome", "failed"), [("pass", False), ("skip", False), ("fail", True), ("error", True)])
def test_an_operation_that_did_not_pass_fails_the_task(outcome: str, failed: bool) -> None:
    answer = Answer("install")
    answer.result("deploy", outcome, expected="green", observed="red", evidence="because")
    end = end_of(lambda: answer.leave(Module(), operation=["install.deploy"]))
    assert end.failed is failed
    if failed:
        assert end.answer["msg"] == f"install.deploy: {outcome} (expected green, observed red)"


def test_an_assertion_never_fails_its_task() -> None:
    answer = Answer("install")
    answer.result("health", "fail")
    assert end_of(lambda: answer.leave(Module(), operation=["install.deploy"])).failed is False


def test_secrets_and_files_stay_out_of_the_public_part() -> None:
    answer = Answer("install")
    answer.secrets["db"] = "hush-hush"
    answer.files.append({"path": "/a", "to": "logs/a"})
    end = end_of(lambda: answer.leave(Module()))
    assert "hush-hush" not in str(end.answer["ccci"])
    assert end.answer["ccci_secrets"] == {"db": "hush-hush"}
    assert end.answer["ccci_files"] == [{"path": "/a", "to": "logs/a"}]


def test_what_a_slice_found_out_travels_in_the_cursor_but_secrets_do_not() -> None:
    first = Answer("install")
    with first.waiting("docker"):
        pass
    first.facts["n"] = 1
    first.secrets["db"] = "hush-hush"
    first.timeline.append({"at": 1.0, "service": "app", "what": "healthy"})
    piece = end_of(lambda: first.slice(Module(), {"own": 7}, "half way")).answer["ccci_slice"]
    assert (piece["done"], piece["progress"], piece["cursor"]["own"]) == (False, "half way", 7)
    assert "hush-hush" not in str(piece)
    second = Answer("install", piece["cursor"])
    assert (second.waits, second.facts, second.timeline) == (first.waits, {"n": 1}, first.timeline)
    assert second.secrets == {}


def test_time_inside_waiting_is_recorded_even_when_it_ends_badly() -> None:
    answer = Answer()
    with pytest.raises(RuntimeError), answer.waiting("restic"):
        raise RuntimeError
    assert [wait["what"] for wait in answer.waits] == ["restic"]


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (DockerError(0, "Docker does not answer"), "look at its log"),
        (DockerError(503, "no manager", "GET /services"), "swarm manager"),
        (LockLost("run a lost it"), "ccci clean --dry-run"),
        (OSError(28, "No space left on device"), "disk is full"),
    ],
)
def test_what_the_world_does_to_us_is_an_error_with_a_next_step(error: Exception, hint: str) -> None:
    def work() -> None:
        raise error

    end = end_of(lambda: guarded(Module(), work, id="prepare.node"))
    result = end.answer["ccci"]["results"][0]
    assert (end.failed, result["id"], result["outcome"]) == (True, "prepare.node", "error")
    assert hint in result["hint"]
    assert str(error) in result["observed"]


@pytest.mark.parametrize(("alive", "failure_id"), [(True, None), (False, "docker-down")])
def test_what_took_too_long_is_docker_down_only_if_docker_answers_no_ping(
    alive: bool, failure_id: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccci_host.docker.Client.answers", lambda self: alive)

    def work() -> None:
        raise LimitReached("Docker did not answer GET /services within 60 s")

    result = end_of(lambda: guarded(Module(), work, id="prepare.node")).answer["ccci"]["results"][0]
    assert (result["outcome"], result.get("failure_id")) == ("error", failure_id)
    assert result["observed"].startswith("Docker did not answer GET /services within 60 s")
    assert ("Start Docker" in result["hint"], "nor a ping" in result["observed"]) == (not alive, not alive)


def test_a_mistake_of_our_own_keeps_its_traceback() -> None:
    with pytest.raises(KeyError):
        guarded(Module(), lambda: {}["nothing"])


def test_evidence_keeps_its_end_within_the_limit() -> None:
    text = "ä" * 5000 + "the end"
    short = cut(text)
    assert short is not None
    assert short.startswith("… ä")
    assert short.endswith("the end")
    assert len(short.encode()) <= 4096
    assert cut("short") == "short"


def test_a_module_that_is_told_to_end_tidies_up(tmp_path: Path) -> None:
    """Ansible's wrapper removes the module's files in a `finally`."""
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from ccci_host.answer import guarded\n"
        "def main():\n"
        "    print('here', flush=True)\n"
        "    time.sleep(60)\n"
        "try:\n"
        "    guarded(None, main)\n"
        "finally:\n"
        "    Path(sys.argv[1]).write_text('tidy')\n"
    )
    mark = tmp_path / "mark"
    process = subprocess.Popen([sys.executable, "-c", script, str(mark)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.terminate()
    assert process.wait(10) == 128 + signal.SIGTERM
    assert mark.read_text() == "tidy"
