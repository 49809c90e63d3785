"""Where a case is played: the real command line, the nested node, and an independent record of what happened there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from playing import PROJECT, Node, Played, Player  # noqa: E402

# Another nested node than the usual one, so that two can be played on at once.
INVENTORY = os.environ.get("CCCI_FAULTS_INVENTORY", "nested")
CONTAINER = os.environ.get("CCCI_FAULTS_CONTAINER", "ccci-nested")
ON_NODE = "/tmp/ccci-faults"
SETTINGS = HERE / "settings"
PLAY_LIMIT = 300.0  # seconds; nothing here may take so long
HELPER_LIMIT = 20.0  # seconds until a program on the node says its first line
RECIPE = "faultbox"
Line = dict[str, Any]


class HungError(AssertionError):
    """A command that should have ended by itself long ago; it was killed."""


@dataclass
class Record:
    """What was seen without asking ccci. Lines are dicts with `at`, in epoch seconds.

    `docker`: the node's events; `registry`: requests to the registry in front; `hands`: what was done by the suite
    itself; `play`: the run's own event file, which only says when the verdict was known; `before`: the node's objects,
    where they were looked at.
    """

    began: float
    stack: str = ""
    docker: list[Line] = field(default_factory=list)
    registry: list[Line] = field(default_factory=list)
    hands: list[Line] = field(default_factory=list)
    play: list[Line] = field(default_factory=list)
    before: dict[str, list[str]] = field(default_factory=dict)


class Stage:
    """One case at a time. `folder` keeps what the case leaves to be looked at."""

    def __init__(self, runs: Path, folder: Path, settings: str = "") -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings = SETTINGS / (settings or "none")
        self.player = Player(INVENTORY, runs, {"CCCI_RECIPE_TESTS_DIR": str(self.settings)})
        self.node = Node(["docker", "exec", CONTAINER, "sh", "-c"])
        self.record = Record(time.time())

    def own_settings(self) -> Path:
        """A copy of the case's settings, which is played with from now on: it may be spoiled."""
        copy = self.folder / "recipe_tests"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.settings, copy)
        self.player.environment["CCCI_RECIPE_TESTS_DIR"] = str(copy)
        return copy

    def play(self, *words: str, recipe: str = RECIPE) -> Played:
        return self.command("play", recipe, "--format", "json", "--yes", *words)

    def stack(self, *words: str) -> str:
        """The name of the stack that a play with these words deploys: it is the same each time."""
        planned = self.command("plan", RECIPE, "--format", "json", *words)
        assert planned.code == 0, planned.err
        return str(planned.json["app"]["stack"])

    def command(self, *words: str) -> Played:
        """Any verb; its process group is killed when it does not end."""
        with self.started(*words) as process:
            return self.ended(process)

    @contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            self.player.command(*words), cwd=PROJECT, env=self.player.environment, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()  # a run that is told to stop takes itself away
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, 9)
                    process.wait(10)

    def ended(self, process: subprocess.Popen[str], limit: float = PLAY_LIMIT) -> Played:
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise HungError(f"`{' '.join(map(str, process.args[1:4]))} …` did not end within {limit:.0f} s") from None
        try:
            data = json.loads(out)
        except ValueError:
            data = None
        return Played(process.returncode, data, out, err)

    def runs(self) -> set[Path]:
        return set(self.player.runs.glob("*-*-*"))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Docker's events, as long as this lasts. The engine itself keeps only the last few."""
        self.record = Record(time.time())
        # The shell ends `docker events` when its own input ends: killing the client here would leave it running there.
        script = "docker events --format '{{json .}}' & cat >/dev/null; kill $!"
        with self.on_node(["sh", "-c", script], self.folder / "docker.jsonl", ready=False):
            time.sleep(0.5)  # nothing says when it listens
            yield
        self.record.docker = [{**event, "at": event["timeNano"] / 1e9} for event in lines(self.folder / "docker.jsonl")]

    @contextmanager
    def helper(self, program: str, *words: str, into: str) -> Iterator[None]:
        """A program of node/, running on the node; its lines end up in the record's list `into`."""
        path = self.folder / f"{into}.jsonl"
        self.node.run(f"mkdir -p {ON_NODE}")
        subprocess.run(["docker", "cp", "-q", str(HERE / "node" / program), f"{CONTAINER}:{ON_NODE}/"], check=True)
        with self.on_node(["python3", "-B", f"{ON_NODE}/{program}", *words], path):
            yield
        getattr(self.record, into).extend(line for line in lines(path) if "at" in line)

    @contextmanager
    def on_node(self, command: Sequence[str], output: Path, ready: bool = True) -> Iterator[None]:
        """A program that ends with its standard input. `ready`: it says a line once it is."""
        with output.open("w") as file:
            process = subprocess.Popen(
                ["docker", "exec", "-i", CONTAINER, *command], stdin=subprocess.PIPE, stdout=file, text=True
            )
            try:
                end = time.monotonic() + HELPER_LIMIT
                while ready and not output.stat().st_size:
                    assert process.poll() is None, f"{command} ended at once"
                    assert time.monotonic() < end, f"{command} said nothing for {HELPER_LIMIT:.0f} s"
                    time.sleep(0.05)
                yield
            finally:
                assert process.stdin is not None
                process.stdin.close()
                process.wait(HELPER_LIMIT)

    def hand(self, text: str) -> None:
        """Notes something that the suite itself did."""
        self.record.hands.append({"at": time.time(), "did": text})

    def read_run(self, played: Played) -> None:
        """The run's own events, for the moment of its verdict."""
        run = (played.json or {}).get("run") or {} if isinstance(played.json, dict) else {}
        if run.get("dir"):
            self.record.play = lines(Path(run["dir"]) / "events.jsonl")
            self.record.stack = str(run.get("domain") or "").replace(".", "_")


def lines(path: Path) -> list[Line]:
    """The whole JSON lines of a file."""
    found = []
    for line in path.read_text(errors="replace").splitlines() if path.is_file() else ():
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if isinstance(data, dict):
            found.append(data)
    return found
