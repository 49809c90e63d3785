"""Whether Docker is still the one that the run began with. A restart ends every container of the node, and what is seen
of the app afterwards says nothing about the recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import processes, state

PID_FILE = Path("/var/run/docker.pid")  # Docker's default; one that is elsewhere is not watched
KEY = "engine"
FAILURE_ID = "docker-down"
RESTARTED = "Docker on the node was restarted during the run, which ended every container"
HINT = "Play again; the daemon's log on the node says why it was restarted"


class EngineRestarted(Exception):  # noqa: N818 - says what happened
    """Docker is another process than at the beginning of the run."""

    def __init__(self) -> None:
        super().__init__(RESTARTED)


def identity() -> str:
    """Which process Docker is: `<boot> <pid> <start>`. Empty when it does not run, or keeps its id somewhere else."""
    try:
        pid = int(PID_FILE.read_text())
    except (OSError, ValueError):
        return ""
    one = processes.identity(pid)
    return f"{one['boot_id']} {pid} {one['start_time']}" if one["start_time"] else ""


def remember(scope: Mapping[str, Any]) -> None:
    """To be called once, when the run begins."""
    state.update(scope, **{KEY: identity()})


def restarted(scope: Mapping[str, Any]) -> bool:
    """Whether Docker is provably another one than what `remember` saw."""
    if not scope.get("node_dir"):
        return False
    try:
        before = state.load(scope).get(KEY)
    except (OSError, ValueError):
        return False
    now = identity()
    return bool(before and now and before != now)


def demand_same(scope: Mapping[str, Any]) -> None:
    """EngineRestarted when it is another one."""
    if restarted(scope):
        raise EngineRestarted
