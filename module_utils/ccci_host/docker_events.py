"""What the engine tells as it happens. It wakes the watcher up; what is true, only a look says.

The engine keeps its last 256 events and gives those since a moment first, so that nothing is missed between two slices
of a module (on a node where not too much happens).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from .docker import Client, DockerError

# Of the containers' events only these: a healthcheck is three others at each run (exec_create, exec_start, exec_die).
ACTIONS = ("create", "start", "kill", "oom", "die", "stop", "destroy", "health_status", "update", "remove")
TYPES = ("container", "service", "node")


class Events:
    """Listens in the background from `since` (nanoseconds since the epoch) on, for `seconds`."""

    def __init__(
        self, client: Client, since: int, seconds: float, wanted: Callable[[dict[str, Any]], bool] | None = None
    ) -> None:
        self._queue: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._wanted = wanted or (lambda event: True)
        # The engine ends its answer at `until` by itself, and with it the thread.
        until = time.time_ns() + int(seconds * 1e9)
        query = {
            "since": _moment(since), "until": _moment(until),
            "filters": {"type": list(TYPES), "event": list(ACTIONS)},
        }  # fmt: skip
        threading.Thread(target=self._listen, args=(client, query, seconds + 5), daemon=True).start()

    def wait(self, seconds: float) -> list[dict[str, Any]]:
        """What happened since the last call: at once when there is something, else after at most so long."""
        try:
            found = [self._queue.get(timeout=max(seconds, 0.0))]
        except queue.Empty:
            return []
        return found + self.rest()

    def rest(self) -> list[dict[str, Any]]:
        """What is there already."""
        found = []
        while True:
            try:
                found.append(self._queue.get_nowait())
            except queue.Empty:
                return found

    def _listen(self, client: Client, query: dict[str, Any], limit: float) -> None:
        try:
            for event in client.stream("GET", "/events", query, timeout=limit):
                if self._wanted(event):
                    self._queue.put(event)
        except (DockerError, OSError):
            pass  # the looks go on, and will say what is wrong with the engine


def _moment(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"
