"""`ccci sweep`: plays many recipes, one after the other on each node, goes on after a red one, and sums up.

Each play is a `ccci play` of its own, so that nothing of one can spoil the next; what it says comes from its result.
"""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ccci import errors, inventory, paths, runs
from ccci.errors import UsageError
from ccci.plan.load import EMBEDDED
from ccci.plan.recipe_settings import load_recipe_settings
from ccci.report import clean, words
from ccci.settings import Settings, load_settings
from ccci.source.catalogue import check_name, known_recipes

FOLDER, FILE, PAGE = "sweep-{stamp}", "sweep.json", "index.html"
TREND = 11  # plays before this one
SAID = 2000  # characters of what a play without a result said
ORDER = (errors.INTERRUPTED, errors.LEFT_BEHIND, errors.INFRASTRUCTURE, errors.USAGE, errors.RECIPE_FAILED, errors.PASS)
_WHAT = re.compile(r"([^#]+)(?:#([1-9][0-9]*))?")
_TIERS_WITH_PICTURES = ("custom", "restore", "upgrade", "install")
Play = dict[str, Any]


@dataclass(frozen=True)
class Wish:
    """One play: `what` was written on the command line (`gitea`, `gitea#2`)."""

    what: str
    recipe: str
    pr: int | None = None

    @classmethod
    def parse(cls, what: str) -> Wish:
        """UsageError for what is no recipe with or without a pull request."""
        found = _WHAT.fullmatch(what)
        if not found:
            raise UsageError(f"{what!r} is nothing to play", expected="RECIPE, or RECIPE#NUMBER for a pull request")
        check_name(found[1])
        return cls(what, found[1], int(found[2]) if found[2] else None)

    def words(self) -> list[str]:
        return [self.recipe, *(["--pr", str(self.pr)] if self.pr else [])]


@dataclass
class Running:
    """The plays that are under way. Once `over`, no further one begins."""

    processes: set[subprocess.Popen[str]] = field(default_factory=set)
    over: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, command: Sequence[str]) -> subprocess.Popen[str] | None:
        """In a session of its own: signals reach it through us alone. None when it is over."""
        with self.lock:
            if self.over:
                return None
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                start_new_session=True,
            )  # fmt: skip
            self.processes.add(process)
            return process

    def ended(self, process: subprocess.Popen[str]) -> None:
        with self.lock:
            self.processes.discard(process)

    def hand_on(self, number: int) -> None:
        """A signal for the sweep is one for each of its plays, which then clean up after themselves."""
        self.over = True
        for process in list(self.processes):
            process.send_signal(number)


def sweep(recipes: Sequence[str], inventory_name: str | None, node: str | None, output: str, assume_yes: bool) -> int:
    """Plays `recipes` (all that can be played here when there are none) and returns the worst of their exit codes."""
    settings = load_settings(inventory_name, {"node": node} if node else None)
    nodes = [one.name for one in inventory.nodes(settings.inventory)]
    if node:
        nodes = [inventory.chosen(settings.inventory, node).name]
    wishes = [Wish.parse(what) for what in recipes or playable(settings)]
    began = time.time()
    folder = paths.runs_dir() / FOLDER.format(stamp=time.strftime("%Y%m%d-%H%M%S", time.gmtime(began)))
    folder.mkdir(parents=True)
    more = ["-i", str(settings.inventory), *(["--yes"] if assume_yes else [])]
    done: dict[int, Play] = {}
    running = Running()

    def say(text: str) -> None:
        if output != "json":
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def told() -> dict[str, Any]:
        plays = [done[index] for index in sorted(done)]
        return {
            "schema": "ccci/sweep/1", "began": began, "ended": None, "inventory": str(settings.inventory),
            "nodes": nodes, "plays": plays,
        }  # fmt: skip

    def keep(index: int, play: Play) -> None:
        with running.lock:
            done[index] = play
            _write(folder, told())
        say(line(play))

    with _signals(running):
        _work(wishes, nodes, more, running, say, keep)
    data = told() | {"ended": time.time()}
    _write(folder, data)
    if output == "json":
        sys.stdout.write(json.dumps(data | {"page": str(folder / PAGE)}, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join([*table(data["plays"]), "", f"page      {folder / PAGE}"]) + "\n")
    missing = [wish.what for index, wish in enumerate(wishes) if index not in done]
    if missing:
        sys.stderr.write(f"not played: {', '.join(missing)}\n")
    return exit_code([play["exit_code"] for play in data["plays"]], running.over or bool(missing))


def playable(settings: Settings) -> list[str]:
    """Every recipe that is known here, but those whose settings say that they are not run on this platform."""
    names = known_recipes(settings.recipe_url)
    return [name for name in names if settings.platform != EMBEDDED or not _not_run(name)]


def exit_code(codes: Sequence[int], interrupted: bool) -> int:
    """The worst of them. Pure."""
    found = {*codes, *([errors.INTERRUPTED] if interrupted else [])}
    return next((code for code in ORDER if code in found), errors.INFRASTRUCTURE if found else errors.PASS)


def of_result(wish: Wish, node: str, result: Mapping[str, Any]) -> Play:
    """What a sweep keeps of one play's result. Pure."""
    base, ref = result.get("base") or {}, result.get("ref") or {}
    to = ref.get("version") or str(ref.get("commit") or "")[:8]
    tiers = {tier["tier"]: tier["verdict"] for tier in result["tiers"] if not tier.get("prerequisite")}
    shots = [one for one in result["artefacts"] if one.get("kind") == "screenshot"]
    ordered = [one["path"] for tier in _TIERS_WITH_PICTURES for one in reversed(shots) if one.get("tier") == tier]
    return {
        "what": wish.what, "recipe": wish.recipe, "ref": ref.get("label"), "node": result["run"].get("node") or node,
        "versions": f"{base['version']} → {to}" if base else to, "verdict": result["verdict"],
        "exit_code": result["exit_code"], "cause": result["cause"], "failure_id": result["failure_id"],
        "wall": result["time"]["wall"], "harness": result["time"]["harness"], "run": result["run"]["id"],
        "began": result["run"].get("started"), "tiers": tiers, "pictures": ordered,
    }  # fmt: skip


def without_result(wish: Wish, node: str, code: int, said: str, began: float) -> Play:
    """A play that ended before it had a result: what it said is all there is. Pure."""
    cause = clean.one_line(said.strip()[-SAID:]) or f"it ended with exit code {code} and said nothing"
    return {
        "what": wish.what, "recipe": wish.recipe, "ref": None, "node": node, "versions": "", "verdict": "error",
        "exit_code": code or errors.INFRASTRUCTURE, "cause": cause, "failure_id": None, "wall": None, "harness": None,
        "run": None, "began": began, "tiers": {}, "pictures": [],
    }  # fmt: skip


def line(play: Play) -> str:
    """One play, when it ends. Pure."""
    took = f"  {words.seconds(play['wall'])}" if play["wall"] is not None else ""
    cause = f"  {play['cause']}" if play["cause"] else ""
    return f"{words.SYMBOLS.get(play['verdict'], '!')} {play['what']:<24} {play['verdict']:<6}{took}{cause}"


def table(plays: Sequence[Play]) -> list[str]:
    """All of them, at the end. Pure."""
    from ccci.overview import columns

    rows = [("RECIPE", "VERDICT", "VERSIONS", "TIME", "NODE", "CAUSE")]
    rows += [
        (play["what"], play["verdict"], play["versions"] or "-",
         words.seconds(play["wall"]) if play["wall"] is not None else "-", play["node"],
         clean.one_line(play["cause"] or "", 100) or "-")
        for play in plays
    ]  # fmt: skip
    passed = sum(play["verdict"] == "pass" for play in plays)
    return [*columns(rows), "", f"{passed} of {len(plays)} pass"]


def _not_run(recipe: str) -> bool:
    folder = paths.RECIPE_TESTS / recipe
    return bool(load_recipe_settings(folder if folder.is_dir() else None).embedded_not_run)


def _work(
    wishes: Sequence[Wish], nodes: Sequence[str], more: Sequence[str], running: Running, say: Callable[[str], None],
    keep: Callable[[int, Play], None],
) -> None:  # fmt: skip
    """Hands the plays to the nodes, each node one at a time."""
    waiting: queue.SimpleQueue[tuple[int, Wish]] = queue.SimpleQueue()
    for item in enumerate(wishes):
        waiting.put(item)

    def on(node: str) -> None:
        while not running.over:
            try:
                index, wish = waiting.get_nowait()
            except queue.Empty:
                return
            say(f"· {wish.what:<24} begins on {node}")
            play = _play(wish, node, more, running)
            if play is not None:
                keep(index, play)

    threads = [threading.Thread(target=on, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _play(wish: Wish, node: str, more: Sequence[str], running: Running) -> Play | None:
    """None when it was not begun."""
    command = [sys.executable, "-P", "-m", "ccci.cli.main", "play", *wish.words(), "--limit", node, *more]
    began = time.time()
    process = running.start([*command, "--format", "json"])
    if process is None:
        return None
    try:
        out, said = process.communicate()
    finally:
        running.ended(process)
    try:
        return of_result(wish, node, json.loads(out))
    except (ValueError, KeyError, TypeError):
        return without_result(wish, node, process.returncode, said, began)


def _write(folder: Path, data: Mapping[str, Any]) -> None:
    """After each play, so that a sweep that dies has said what it knew."""
    from ccci.report.sweep_page import render

    history = {play["what"]: _before(play, data["began"]) for play in data["plays"]}
    for name, text in ((FILE, json.dumps(data, indent=2, ensure_ascii=False) + "\n"),
                       (PAGE, render(data, history, paths.runs_dir()))):  # fmt: skip
        partial = folder / f".{name}.{os.getpid()}"
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / name)


def _before(play: Play, began: float) -> list[Play]:
    """Earlier plays of the same ref, oldest first."""
    wish = Wish.parse(play["what"])
    earlier = [
        of_result(wish, "", result)
        for result in runs.results_of(play["recipe"])
        if (result.get("ref") or {}).get("label") == play["ref"] and (result["run"].get("started") or 0) < began
    ]
    return earlier[:TREND][::-1]


@contextmanager
def _signals(running: Running) -> Iterator[None]:
    before = {
        number: signal.signal(number, lambda got, _: running.hand_on(got)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
