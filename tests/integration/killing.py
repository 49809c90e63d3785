"""Ends plays at chosen moments, the hard way, and looks at what is left. Shared by the tests and `make soak`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playing import PROJECT, Node, Played, Player

REACH_LIMIT = 240.0  # seconds until the moment has come
LOOK_EVERY = 0.02
TIERS = ("prepare", "install", "upgrade", "backup", "restore", "custom", "teardown")
Event = dict[str, Any]


class Command:
    """A ccci command in the background, in a process group of its own. Its output goes to files: nobody reads pipes
    while the moment is waited for, and a full pipe would stop the command."""

    def __init__(self, player: Player, *words: str) -> None:
        self._known = set(player.runs.glob("*"))
        self._runs = player.runs
        folder = player.runs / "output"
        folder.mkdir(parents=True, exist_ok=True)
        self._files = [folder / f"{time.time_ns()}-{words[0]}.{name}" for name in ("out", "err")]
        out, err = (path.open("wb") for path in self._files)
        with out, err:
            self.process = subprocess.Popen(
                player.command(*words), cwd=PROJECT, env=player.environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, preexec_fn=_hear_signals,
            )  # fmt: skip

    @property
    def run_dir(self) -> Path | None:
        """The folder of the run that this command made."""
        new = [path for path in self._runs.glob("*/plan.json") if path.parent not in self._known]
        return new[0].parent if new else None

    def events(self) -> list[Event]:
        """The complete lines so far."""
        folder = self.run_dir
        path = folder / "events.jsonl" if folder else None
        if path is None or not path.exists():
            return []
        complete = path.read_bytes().rpartition(b"\n")[0].decode("utf-8", "replace")
        return [json.loads(line) for line in complete.split("\n") if line]

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def end(self, limit: float) -> Played:
        """Waits for its end. AssertionError, and the end of the command, when that takes too long."""
        try:
            code = self.process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the command did not end within {limit:.0f} s\n{self.output()[-3000:]}") from None
        out, err = (path.read_text(errors="replace") for path in self._files)
        try:
            data = json.loads(out)
        except ValueError:
            data = None
        return Played(code, data, out, err)

    def output(self) -> str:
        return "".join(path.read_text(errors="replace") for path in self._files)

    def kill(self) -> None:
        if not self.ended:
            self.process.kill()
            self.process.wait(timeout=30)

    def discard(self) -> None:
        """Its output is not needed any more."""
        for path in self._files:
            path.unlink(missing_ok=True)


def _hear_signals() -> None:
    """What runs in the background of a shell ignores SIGINT, and so would its children."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def play(player: Player, *words: str) -> Command:
    return Command(player, "play", "custom-html", "--format", "json", "--yes", *(words or ("--pr", "1")))


def play_until(player: Player, tier: str) -> Command:
    """Starts a play and returns as soon as something of `tier` was seen."""
    command = play(player)
    reach(command, tier)
    return command


def reach(command: Command, tier: str) -> None:
    """Returns at the first event of a tier. AssertionError when the command ends before, or takes too long."""
    deadline = time.monotonic() + REACH_LIMIT
    while not any(event["type"] == "begin" and event.get("tier") == tier for event in command.events()):
        if command.ended:
            raise AssertionError(f"the play ended before {tier}\n{command.output()[-4000:]}")
        if time.monotonic() > deadline:
            command.kill()
            raise AssertionError(f"the play did not reach {tier} within {REACH_LIMIT:.0f} s")
        time.sleep(LOOK_EVERY)


def kill_command_line(command: Command) -> None:
    os.kill(command.process.pid, signal.SIGKILL)
    command.process.wait(timeout=30)


def kill_ansible(command: Command) -> bool:
    """SIGKILL to ansible-playbook itself, not to its workers; the command line lives on and has to deal with it.
    False when there was none any more."""
    children = [pid for pid, words in _below(command.process.pid) if "ansible-playbook" in words]
    for pid in children[:1]:  # the first below is the oldest: workers are its children
        _kill(pid)
    return bool(children)


def kill_family(command: Command) -> None:
    """SIGKILL to the command line and everything below it, as an end of the machine would do."""
    for pid, _ in [(command.process.pid, ""), *_below(command.process.pid)]:
        _kill(pid)
    command.process.wait(timeout=30)


def _below(root: int) -> Iterator[tuple[int, str]]:
    """The processes below one, with their command lines, parents before children."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [
        (int(pid), int(parent), words) for pid, parent, words in (r.split(None, 2) for r in listed.splitlines()[1:])
    ]
    generation = {root}
    while generation:
        found = [(pid, words) for pid, parent, words in rows if parent in generation]
        yield from found
        generation = {pid for pid, _ in found}


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def wait_for(question: Callable[[], bool], limit: float, what: str) -> None:
    deadline = time.monotonic() + limit
    while not question():
        assert time.monotonic() < deadline, f"{what}: not within {limit:.0f} s"
        time.sleep(0.5)


def clean_and_compare(player: Player, node: Node, before: dict[str, list[str]]) -> None:
    cleaned = player.run("clean")
    assert cleaned.code == 0, cleaned.out + cleaned.err
    assert node.objects() == before
