"""Kills runs at every tier in every way and compares the node before and after. Long; run with `make soak`.

Results are appended to `soak.jsonl` in the runs folder, and trials that are there already are not repeated, so the
command can be interrupted and started again. Exits 1 when any trial left something or touched something foreign.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import killing
from playing import Node, Player

Ending = Callable[["subprocess.Popen[str]"], None]


def by_signal(number: int) -> Ending:
    return lambda process: process.send_signal(number)


ENDINGS: dict[str, Ending] = {
    "kill -9 of the command line": killing.kill_command_line,
    "kill -9 of ansible-playbook": killing.kill_ansible,
    "SIGINT": by_signal(signal.SIGINT),
    "SIGTERM": by_signal(signal.SIGTERM),
}


def trial(player: Player, node: Node, tier: str, ending: str) -> str:
    """What went wrong, or an empty text. The foreign volume must be there before and after."""
    before = node.objects()
    process = killing.play_until(player, tier)
    try:
        ENDINGS[ending](process)
        process.communicate(timeout=180)
        killing.clean_and_compare(player, node, before)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        return str(error)[-2000:] or "the node differs from before"
    finally:
        if process.poll() is None:
            process.kill()
    return ""


def main() -> int:
    runs = Path(os.environ.get("CCCI_RUNS_DIR") or "runs").resolve() / "soak"
    runs.mkdir(parents=True, exist_ok=True)
    player, node = Player("nested", runs), Node(["docker", "exec", "ccci-nested", "sh", "-c"])
    set_up = player.run("bootstrap", "--yes", limit=1200)
    if set_up.code != 0:
        sys.stderr.write(set_up.err)
        return 3
    node.run("docker volume create foreign-volume && docker config rm foreign-config 2>/dev/null; "
             "echo kept | docker config create foreign-config -")  # fmt: skip
    book = runs / "soak.jsonl"
    done = [json.loads(line) for line in book.read_text().splitlines()] if book.exists() else []
    seen = {(row["tier"], row["ending"]) for row in done}
    wanted = [(tier, ending) for tier in killing.TIERS for ending in ENDINGS]
    for number, (tier, ending) in enumerate(wanted, 1):
        if (tier, ending) in seen:
            continue
        began = time.monotonic()
        problem = trial(player, node, tier, ending)
        done.append({"tier": tier, "ending": ending, "problem": problem, "seconds": round(time.monotonic() - began, 1)})
        with book.open("a") as file:
            file.write(json.dumps(done[-1]) + "\n")
        print(f"{number}/{len(wanted)} {ending} in {tier}: {problem or 'nothing left'}", flush=True)
    bad = [row for row in done if row["problem"]]
    print(f"{len(done) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
