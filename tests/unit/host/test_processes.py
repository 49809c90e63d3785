"""Real processes of a run are found by their environment and ended; nobody else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ccci_host import processes

RUN = f"test-{os.getpid()}"
SLEEP = "import time; print(flush=True); time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def run(code: str, mark: str | None = RUN, own_session: bool = True) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **({processes.MARK: mark} if mark else {})}
        process = subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, start_new_session=own_session
        )
        started.append(process)
        assert process.stdout
        process.stdout.readline()  # it is up
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_an_identity_says_where_and_when_a_process_lives() -> None:
    me = processes.identity()
    assert me["pid"] == os.getpid()
    assert me["start_time"] > 0
    assert me["boot_id"]
    assert me["pid_ns"].startswith("pid:[")
    assert processes.is_gone(me, me) is False


def test_only_the_runs_processes_are_found(start: Start) -> None:
    ours, theirs, nobodys = start(SLEEP), start(SLEEP, mark=f"{RUN}-2"), start(SLEEP, mark=None)
    found = processes.of_run(RUN)
    assert ours.pid in found
    assert theirs.pid not in found
    assert nobodys.pid not in found


def test_a_spared_process_and_what_it_started_are_left_alone(start: Start) -> None:
    parent = start(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])")
    end = time.monotonic() + 30
    while len(found := processes.of_run(RUN)) < 2:
        assert time.monotonic() < end, found
        time.sleep(0.05)
    assert processes.of_run(RUN, spared=[parent.pid]) == []
    processes.end(RUN)


def test_we_and_our_ancestors_are_never_ended() -> None:
    code = (
        "import sys; sys.path.insert(0, 'module_utils');"
        "from ccci_host import processes; print(processes.of_run(sys.argv[1]))"
    )
    shell = ["sh", "-c", '"$0" -c "$1" "$2"; true', sys.executable, code, RUN]
    done = subprocess.run(shell, env={**os.environ, processes.MARK: RUN}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_process_that_ignores_sigterm_is_killed(start: Start) -> None:
    polite, deaf = start(SLEEP), start(DEAF)
    ended = processes.end(RUN, grace=0.5)
    assert len(ended) == 2
    assert (polite.wait(5), deaf.wait(5)) == (-15, -9)
    assert processes.of_run(RUN) == []


def test_a_module_of_ansible_is_known_by_how_it_was_started(tmp_path: Path) -> None:
    wrapped = tmp_path / "AnsiballZ_setup.py"
    wrapped.write_text("input()")
    started = [
        subprocess.Popen([sys.executable], stdin=subprocess.PIPE),
        subprocess.Popen([sys.executable, str(wrapped)], stdin=subprocess.PIPE),
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE),
    ]
    try:
        deadline = time.monotonic() + 10
        while not {started[0].pid, started[1].pid} <= set(processes.modules()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert started[2].pid not in processes.modules()
        assert os.getpid() not in processes.modules()
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_tree_is_interrupted_from_its_leaves_and_what_hangs_is_killed(tmp_path: Path) -> None:
    """The child tidies up and ends; its parent sees that and ends by itself, without a signal of its own."""
    tidy, told = tmp_path / "tidy", tmp_path / "told"
    child = (
        "import pathlib, time\n"
        "try:\n    print(flush=True); time.sleep(60)\n"
        f"except KeyboardInterrupt:\n    pathlib.Path({str(tidy)!r}).touch(); raise SystemExit(7)\n"
    )
    parent = (
        "import pathlib, subprocess, sys\n"
        f"code = subprocess.run([sys.executable, '-c', {child!r}]).returncode\n"
        f"pathlib.Path({str(told)!r}).write_text(str(code))\n"
    )
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    trees = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, preexec_fn=hear_interrupts)
        for program in (parent, deaf)
    ]
    try:
        for process in trees:
            assert process.stdout is not None
            process.stdout.readline()
        below = [pid for pid, above in processes._parents().items() if above == trees[0].pid]
        began = time.monotonic()
        processes.interrupt([*(process.pid for process in trees), *below], grace=1.0)
        assert [trees[0].wait(10), trees[1].wait(10)] == [0, -9]
        assert (tidy.exists(), told.read_text()) == (True, "7")
        assert time.monotonic() - began < 8
    finally:
        for process in trees:
            process.kill()


def hear_interrupts() -> None:
    """What a shell started in the background ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
