"""How abra is started and what its words mean. The process edge is tried on small programs called `abra`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ccci_host import abra_call
from ccci_host.abra_call import AbraError, Done

Program = Callable[[str], dict[str, Any]]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Puts a shell script called abra in front of the PATH; returns the scope to call it with."""

    def make(script: str) -> dict[str, Any]:
        path = tmp_path / "bin" / "abra"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
        monkeypatch.setenv("SECRET_OF_THE_CALLER", "x")
        return {"run": "r1", "node_dir": str(tmp_path)}

    return make


def test_output_comes_apart_and_the_environment_is_the_runs_own(program: Program) -> None:
    scope = program('echo "$ABRA_DIR|$CCCI_RUN_ID|$SECRET_OF_THE_CALLER|$*"; echo words >&2; [ -t 0 ] || exit 3')
    done = abra_call.abra(scope, ["app", "ls"], limit=10)
    assert done == Done(3, f"{scope['node_dir']}/abra|r1||app ls\n", "words\n")


def test_a_terminal_where_one_is_needed(program: Program) -> None:
    scope = program("[ -t 0 ] && [ \"$(stty size)\" = '50 250' ] && printf '\\033[32mgreen\\033[0m\\nline\\n'")
    assert abra_call.abra(scope, ["x"], limit=10, pty=True) == Done(0, "green\nline\n")
    assert abra_call.abra(scope, ["x"], limit=10).rc == 1


def test_of_what_is_said_without_end_the_end_is_kept(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abra_call, "MOST_OUTPUT", 1000)
    done = abra_call.abra(program("seq 1 100000; echo FATA the end"), ["x"], limit=20, pty=True)
    assert len(done.stdout) <= 1000
    assert done.stdout.endswith("100000\nFATA the end\n")


@pytest.mark.parametrize("pty", [False, True])
def test_a_call_that_hangs_is_ended_with_all_that_it_started(program: Program, tmp_path: Path, pty: bool) -> None:
    scope = program(f"echo asking; (sleep 2; touch {tmp_path}/late) & sleep 30")
    before = time.monotonic()
    with pytest.raises(AbraError, match=r"`abra app restore` did not end within 1 s; last said: asking"):
        abra_call.abra(scope, ["app", "restore"], limit=1, pty=pty)
    assert time.monotonic() - before < 5
    time.sleep(2.2)
    assert not (tmp_path / "late").exists()


def test_flags_that_this_abra_does_not_know_are_dropped(program: Program) -> None:
    script = """case " $* " in *" -D "*) echo "FATA unknown shorthand flag: 'D' in -D" >&2; exit 1;;
        *" --hooks "*) echo "FATA unknown flag: --hooks" >&2; exit 1;; esac; echo "ran $*" """
    scope = program(script)
    done = abra_call.abra(scope, ["app", "deploy", "-c"], limit=10, optional=("-D", "--hooks", "-f"))
    assert (done.rc, done.stdout) == (0, "ran app deploy -c -f\n")
    assert abra_call.abra(scope, ["app", "deploy", "-D"], limit=10).rc == 1


def test_without_abra_the_next_step_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abra_call, "_environment", lambda scope: {"PATH": str(tmp_path)})
    with pytest.raises(AbraError, match=r"no abra on this node .*bootstrap"):
        abra_call.abra({"run": "r", "node_dir": str(tmp_path)}, ["app", "ls"], limit=5)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("INFO x\nFATA secret not generated: db_password\n", "secret not generated: db_password"),
        ("FATA[0000] deploy failed\n", "deploy failed"),
        ("FATA one\nINFO x\nFATA two\n  details\n", "two details"),
        ("something else", "something else"),
        ("", "no word, return code 1"),
    ],
)
def test_abras_own_reason(output: str, words: str) -> None:
    assert abra_call.fatal_words(Done(1, "", output)) == words


@pytest.mark.parametrize(
    ("words", "node"),
    [
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", True),
        ("swarm mode not enabled on default?", True),
        ("rpc error: code = Unavailable desc = connection error", True),
        ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", True),
        ("rpc error: code = InvalidArgument desc = expanding env failed: template: expansion:1", False),
        ("rpc error: code = InvalidArgument desc = only updates to Labels are allowed", False),
        ("secret not inserted (#generate=false): key", False),
        ("R014: only annotated tags used for recipe version", False),
    ],
)
def test_whose_fault_abras_words_speak_of(words: str, node: bool) -> None:
    assert abra_call.is_nodes_fault(words) is node
