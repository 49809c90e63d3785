"""Ends a play at a chosen moment, the hard way, and looks at what is left. Shared by the tests and `make soak`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from playing import Node, Player

REACH_LIMIT = 240.0  # seconds until the moment has come
TIERS = ("prepare", "install", "upgrade", "backup", "restore", "custom", "teardown")


def events_of(runs: Path, known: set[Path]) -> list[dict[str, object]]:
    """The events of the run that was started since `known` was taken."""
    files = [path for path in runs.glob("*/events.jsonl") if path.parent not in known]
    lines = files[0].read_text(errors="replace").splitlines() if files else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def play_until(player: Player, tier: str) -> subprocess.Popen[str]:
    """Starts a play and returns in the middle of `tier`: an event of that tier was seen, the next one was not."""
    known = set(player.runs.glob("*"))
    process = player.start("custom-html", "--pr", "1")
    deadline = time.monotonic() + REACH_LIMIT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            out, err = process.communicate()
            raise AssertionError(f"the play ended before {tier}\n{out[-2000:]}{err[-2000:]}")
        if any(event.get("tier") == tier for event in events_of(player.runs, known)):
            return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"the play did not reach {tier} within {REACH_LIMIT:.0f} s")


def kill_command_line(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


def kill_ansible(process: subprocess.Popen[str]) -> None:
    """SIGKILL to ansible-playbook itself; the command line lives on and has to deal with it."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    family, grown = {str(process.pid)}, True
    while grown:
        more = {pid for pid, parent, *_ in rows if parent in family} - family
        family, grown = family | more, bool(more)
    playbooks = [pid for pid, _, words in rows if pid in family and "ansible-playbook" in words]
    assert playbooks, "no ansible-playbook below the command line"
    for pid in playbooks:
        os.kill(int(pid), signal.SIGKILL)


def clean_and_compare(player: Player, node: Node, before: dict[str, list[str]]) -> None:
    cleaned = player.run("clean")
    assert cleaned.code == 0, cleaned.out + cleaned.err
    assert node.objects() == before
