"""Plays recipes with the real command line on a real node, and looks at what is left there."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
LIMIT = 420.0  # seconds for one play; a green one takes about half a minute


@dataclass(frozen=True)
class Played:
    """What a command answered: its exit code, its JSON (None when it printed none), and both streams."""

    code: int
    json: Any
    out: str
    err: str

    def tier(self, name: str) -> dict[str, Any]:
        found = [tier for tier in self.json["tiers"] if tier["tier"] == name]
        assert found, f"no tier {name} in {[tier['tier'] for tier in self.json['tiers']]}\n{self.err}"
        return dict(found[0])

    def assertion(self, name: str) -> dict[str, Any]:
        everything = [item for tier in self.json["tiers"] for item in tier["assertions"]]
        found = [item for item in everything if item["id"] == name]
        assert found, f"no assertion {name} in {[item['id'] for item in everything]}\n{self.err}"
        return dict(found[0])

    @property
    def run_dir(self) -> Path:
        return Path(self.json["run"]["dir"])

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.run_dir / "events.jsonl").read_text().splitlines()]


class Player:
    """The command line against one inventory, with a runs folder of its own."""

    def __init__(self, inventory: str, runs: Path, environment: Mapping[str, str] | None = None) -> None:
        self.inventory = inventory
        self.runs = runs
        self.environment = {**os.environ, "CCCI_RUNS_DIR": str(runs), **(environment or {})}

    def command(self, *words: str) -> list[str]:
        return [str(PROJECT / "ccci"), *words, "-i", self.inventory]

    def run(self, *words: str, limit: float = LIMIT) -> Played:
        done = subprocess.run(
            self.command(*words), cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=limit,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        try:
            data = json.loads(done.stdout)
        except ValueError:
            data = None
        return Played(done.returncode, data, done.stdout, done.stderr)

    def play(self, recipe: str, *words: str, limit: float = LIMIT) -> Played:
        return self.run("play", recipe, "--format", "json", "--yes", *words, limit=limit)

    def start(self, recipe: str, *words: str) -> subprocess.Popen[str]:
        """A play in the background, in a process group of its own."""
        return subprocess.Popen(
            self.command("play", recipe, "--format", "json", "--yes", *words),
            cwd=PROJECT, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip


def green(played: Played, deploys: int) -> None:
    assert (played.code, played.json["verdict"]) == (0, "pass"), played.err
    assert {tier["verdict"] for tier in played.json["tiers"]} == {"pass"}
    assert played.json["deploys"] == {"due": deploys, "made": deploys}


def red(played: Played, tier: str, deploys: int) -> None:
    """The recipe's fault, in this tier and in none before it."""
    assert (played.code, played.json["verdict"]) == (1, "fail"), played.err
    verdicts = {one["tier"]: one["verdict"] for one in played.json["tiers"]}
    assert verdicts[tier] == "fail", verdicts
    earlier = list(verdicts)[: list(verdicts).index(tier)]
    assert [name for name in earlier if verdicts[name] != "pass"] == [], verdicts
    assert verdicts["teardown"] == "pass", verdicts
    # What is red before the deploy was never deployed.
    assert played.json["deploys"] == {"due": deploys, "made": None if tier == "prepare" else deploys}


class Node:
    """A node's Docker objects, seen by `docker` on the node itself: nothing of ccci has a say in it."""

    KINDS = ("service", "volume", "secret", "config", "network", "container")

    def __init__(self, shell: list[str]) -> None:
        self._shell = shell  # what runs `sh -c TEXT` on the node

    def run(self, text: str, limit: float = 60.0) -> str:
        done = subprocess.run([*self._shell, text], capture_output=True, text=True, timeout=limit, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def objects(self) -> dict[str, list[str]]:
        """Everything that a run could leave: names by kind (containers by id, because task names change)."""
        listed: dict[str, list[str]] = {}
        for kind in self.KINDS:
            words = "-a --format '{{.ID}}'" if kind == "container" else "--format '{{.Name}}'"
            listed[kind] = sorted(self.run(f"docker {kind} ls {words}").split())
        listed["folder"] = sorted(self.run("ls /var/lib/ccci/runs 2>/dev/null || true").split())
        return listed
