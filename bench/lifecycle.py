"""Times the life of custom-html three ways in one run, in turn, and prints the table of docs/performance.md.

(a) raw Docker, (b) a shell script over the same abra, (c) `ccci play custom-html --pr 1`. Seconds depend on the machine
and on its neighbours; the ratios are what to look at. Run with `make bench`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
LIMIT = 900.0  # seconds for one life


def raw_docker() -> float:
    output = _run(["sh", str(HERE / "raw_docker.sh")])
    return sum(float(line.split()[1]) for line in output.splitlines())


def shell_script(repository: Path, ca: Path) -> float:
    began = time.monotonic()
    _run(["sh", str(HERE / "abra_life.sh"), str(repository), str(ca)])
    return time.monotonic() - began


def ccci() -> tuple[float, float, int]:
    """Wall seconds, the harness's own seconds, and the tasks of the life itself that ran on the node."""
    began = time.monotonic()
    output = _run([str(PROJECT / "ccci"), "play", "custom-html", "--pr", "1", "--format", "json"])
    result = json.loads(output)
    if result["verdict"] != "pass":
        raise SystemExit(f"bench: the play was not green: {result['cause']}")
    events = Path(result["run"]["dir"], "events.jsonl").read_text().splitlines()
    tasks = [event for event in map(json.loads, events) if event["type"] == "task" and event.get("on") == "node"]
    tasks = [task for task in tasks if task.get("tier") != "custom"]  # the recipe's own tests are its own affair
    return time.monotonic() - began, float(result["time"]["harness"]), len(tasks)


def start_time(words: list[str], rounds: int) -> float:
    def once() -> float:
        began = time.monotonic()
        _run([str(PROJECT / "ccci"), *words])
        return time.monotonic() - began

    return statistics.median(once() for _ in range(rounds))


def _run(command: list[str]) -> str:
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stdout[-2000:] + done.stderr[-2000:])
        raise SystemExit(f"bench: {' '.join(command[:3])} ended with {done.returncode}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="lives of each kind (default 3)")
    rounds = parser.parse_args().rounds
    cache = Path(os.environ.get("CCCI_CACHE_DIR") or Path.home() / ".cache" / "ccci")
    _run([str(PROJECT / "ccci"), "plan", "custom-html"])  # builds the embedded recipe when it is not there
    raw, shell, wall, harness, calls = [], [], [], [], []
    for number in range(1, rounds + 1):
        print(f"round {number} of {rounds} …", file=sys.stderr)
        raw.append(raw_docker())
        shell.append(shell_script(cache / "recipes" / "custom-html.git", cache / "nodes" / "here" / "ca.crt"))
        seconds, own, tasks = ccci()
        wall.append(seconds)
        harness.append(own)
        calls.append(tasks)
    a, b, c = (statistics.median(values) for values in (raw, shell, wall))
    print(f"Median of {rounds} rounds, in turn, on {os.cpu_count()} cores.\n")
    print("| what | median | least | most |\n|---|---:|---:|---:|")
    for name, values in (
        ("(a) raw Docker: deploy, upgrade, removal", raw),
        ("(b) shell script over abra", shell),
        ("(c) `ccci play custom-html --pr 1`", wall),
        ("harness share of (c)", harness),
    ):
        print(f"| {name} | {statistics.median(values):.1f} s | {min(values):.1f} s | {max(values):.1f} s |")
    print(f"\nc/a = {c / a:.2f}, c/b = {c / b:.2f}; calls to the node for the life itself: {max(calls)} (at most 14)")
    for words in (["--help"], ["plan", "custom-html"]):
        print(f"`ccci {' '.join(words)}`: {start_time(words, 5):.2f} s")


if __name__ == "__main__":
    main()
