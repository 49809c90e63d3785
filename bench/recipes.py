"""Plays real recipes several times in a row, and prints the table of docs/recipes/README.md.

    bench/recipes.py --state FILE [--plays 5] [--inventory nested] [RECIPE…]

Each play is `ccci play RECIPE --pr 1`: the good change, from the version before. What was played already is in FILE,
so an interrupted round goes on where it was. The first play of a recipe on a node also builds its images: those seconds
are read from what ccci prints, and do not count as the play's. Peak memory is the sum of the services' own peaks, as
the kernel counts them (page cache included).
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
RECIPES = ("mumble", "bluesky-pds", "matrix-synapse", "uptime-kuma", "ghost", "n8n")
LIMIT = 3600.0  # seconds for one play, with all its images
_TASK = re.compile(r"^\s+(\d+) s  (.*)$")
_BUILD = re.compile(r"round \| Build (\S+:\S+)$")
Play = dict[str, Any]


def built(said: str) -> dict[str, int]:
    """`{image: seconds}` out of the lines that the node's set-up prints as each of its tasks begins. Pure."""
    tasks = [(int(match[1]), match[2]) for line in said.splitlines() if (match := _TASK.match(line))]
    following = [*tasks[1:], (tasks[-1][0], "")] if tasks else []
    return {
        found[1]: after - at
        for (at, name), (after, _) in zip(tasks, following, strict=True)
        if (found := _BUILD.search(name))
    }


def play(recipe: str, inventory: str) -> Play:
    command = [str(PROJECT / "ccci"), "play", recipe, "--pr", "1", "-i", inventory, "--yes", "--format", "json"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=LIMIT, check=False)
    try:
        result = json.loads(done.stdout)
    except ValueError:
        sys.stderr.write(done.stderr[-2000:])
        return {"verdict": "no result", "built": built(done.stderr)}
    peaks: dict[str, int] = {}
    for use in result["resources"]:
        if use["memory_peak"] is not None:
            peaks[use["service"]] = max(peaks.get(use["service"], 0), use["memory_peak"])
    time = {name: result["time"][name] for name in ("wall", "app", "harness")}
    return {"verdict": result["verdict"], "cause": result["cause"], **time, "memory": sum(peaks.values()),
            "run": result["run"]["id"], "built": built(done.stderr)}  # fmt: skip


def row(recipe: str, plays: list[Play]) -> str:
    green = [one for one in plays if one["verdict"] == "pass"]
    seconds: dict[str, int] = {}
    for one in plays:
        seconds |= one["built"]
    images = ", ".join(f"{name} {spent} s" for name, spent in sorted(seconds.items())) or "-"
    if not green:
        return f"| {recipe} | 0 of {len(plays)} | - | - | - | - | {images} |"
    wall, app, harness = ([one[name] for one in green] for name in ("wall", "app", "harness"))
    share = statistics.median(own / whole for own, whole in zip(harness, wall, strict=True))
    cells = (
        recipe, f"{len(green)} of {len(plays)}",
        f"{statistics.median(wall):.0f} s ({min(wall):.0f} to {max(wall):.0f})", f"{statistics.median(app):.0f} s",
        f"{statistics.median(harness):.0f} s, {share:.0%}",
        f"{max(one['memory'] for one in green) / 2**20:.0f} MiB", images,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=list(RECIPES))
    parser.add_argument("--plays", type=int, default=5, help="of each recipe (default 5)")
    parser.add_argument("--inventory", default="nested")
    parser.add_argument("--state", type=Path, required=True, help="a JSON file with what was played")
    given = parser.parse_args()
    known: dict[str, list[Play]] = json.loads(given.state.read_text()) if given.state.is_file() else {}
    for recipe in given.recipes:
        plays = known.setdefault(recipe, [])
        while len(plays) < given.plays:
            plays.append(play(recipe, given.inventory))
            part = given.state.with_suffix(".part")
            part.write_text(json.dumps(known, indent=1))
            part.replace(given.state)
            sys.stderr.write(f"{recipe} {len(plays)} of {given.plays}: {plays[-1]['verdict']}\n")
    print("| recipe | green | wall | app | harness | peak memory | images, built from nothing |")
    print("|---|---|---|---|---|---|---|")
    for recipe in given.recipes:
        print(row(recipe, known[recipe]))


if __name__ == "__main__":
    main()
