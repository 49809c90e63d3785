"""Times what deps and services cost, two ways in turn, and prints the tables of docs/performance.md.

    bench/deps.py warm gitea --pr 1 [-i nested]       with a dep of its own (--cold), and with one that is kept warm
    bench/deps.py services [-i nested]                custom-html alone, and with eleven services more

Seconds depend on the machine and on its neighbours; the ratios and differences are what to look at.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LIMIT = 1800.0  # seconds for one play
EXTRA = 11
SERVICE = """  extra{number}:
    image: 127.0.0.1:5000/ccci/nginx:1.22.1
    entrypoint: [sleep, infinity]
    networks: [proxy]
"""
Play = dict[str, float]


def play(words: Sequence[str], inventory: str, environment: Mapping[str, str] | None = None) -> Play:
    """Seconds: `wall`, `app` (waiting for Docker, the app, the browser …) and `harness` (the rest)."""
    command = [str(PROJECT / "ccci"), "play", *words, "-i", inventory, "--format", "json", "--yes"]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=LIMIT, env={**os.environ, **(environment or {})}
    )
    result = json.loads(done.stdout) if done.stdout else {"verdict": "none", "cause": done.stderr[-2000:]}
    if result["verdict"] != "pass":
        raise SystemExit(f"bench: {' '.join(command[1:])} was not green: {result['cause']}")
    print(f"  {' '.join(words)}: {result['time']['wall']:.1f} s", file=sys.stderr)
    return {name: float(result["time"][name]) for name in ("wall", "app", "harness")}


def warm(words: Sequence[str], inventory: str, rounds: int) -> None:
    ways = {"cold": ["--cold"], "warm": []}
    plays: dict[str, list[Play]] = {"cold": [], "warm": []}
    for _ in range(rounds):
        for way, more in ways.items():
            plays[way].append(play([*words, *more], inventory))
    table(f"ccci play {' '.join(words)}", plays)


def services(inventory: str, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="ccci-bench-") as folder:
        many = Path(folder) / "custom-html"
        shutil.copytree(PROJECT / "recipe_tests" / "custom-html", many)
        extra = "".join(SERVICE.format(number=number) for number in range(EXTRA))
        (many / "compose.ccci.yml").write_text(f'version: "3.8"\nservices:\n{extra}')
        plays: dict[str, list[Play]] = {"1 service": [], f"{EXTRA + 1} services": []}
        for _ in range(rounds):
            for way, own in zip(plays, ({}, {"CCCI_RECIPE_TESTS_DIR": folder}), strict=True):
                plays[way].append(play(["custom-html", "--pr", "1"], inventory, own))
    few, more = (statistics.median(one["harness"] for one in found) for found in plays.values())
    table("ccci play custom-html --pr 1", plays)
    print(f"\nharness for each service more: {(more - few) / EXTRA:.2f} s")


def table(title: str, plays: Mapping[str, Sequence[Play]]) -> None:
    """Medians, with least and most behind them."""
    print(f"\n| {title} | wall | app | harness |\n|---|---:|---:|---:|")
    for way, found in plays.items():
        cells = [_cell([one[name] for one in found]) for name in ("wall", "app", "harness")]
        print(f"| {way} | {' | '.join(cells)} |")


def _cell(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} s ({min(values):.1f} to {max(values):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["warm", "services"])
    parser.add_argument("-i", "--inventory", default="local")
    parser.add_argument("--rounds", type=int, default=3)
    options, words = parser.parse_known_args()
    if options.what == "warm":
        warm(words or ["gitea", "--pr", "1"], options.inventory, options.rounds)
    else:
        services(options.inventory, options.rounds)


if __name__ == "__main__":
    main()
