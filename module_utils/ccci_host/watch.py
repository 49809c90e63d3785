"""Asks Docker for what `snapshot.py` reads, again and again until there is an answer or the slice is over."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .answer import Answer
from .converge import Decision, Memory, give_up, look, moments, restarts
from .diagnose import evidence_of
from .docker import Client, DockerError
from .snapshot import TASK_ID, Frame, Snapshot, read

# Seconds between two looks. One look is four calls on a unix socket, some milliseconds.
PAUSE = 0.2
LOG_LINES = 30
EXPECTED = "every service up, stable and up to date"


def frame(
    client: Client, stack: str, known_dead: Sequence[str] = (), curious: bool = False, whole: bool = False
) -> Frame:
    """One frame (see snapshot.py). Containers of the tasks `known_dead` are not asked about again.

    `curious` also reads the logs of containers that are starting; `whole` inspects every container, for the timeline.
    """
    containers = client.containers(stack)
    inspected: dict[str, Any] = {}
    logs: dict[str, str] = {}
    for container in containers:
        status, id = container["Status"], container["Id"]
        over = container["State"] in ("exited", "dead") and container["Labels"].get(TASK_ID) not in known_dead
        sick, starting = "(unhealthy)" in status, "(health: starting)" in status
        if over or sick or starting or whole:
            inspected[id] = _inspect(client, id)
        if over or sick or (starting and curious):
            logs[id] = _log(client, id)
    # Tasks are read last: a task that is dead here has a container that was asked about, or will be in the next frame.
    return {
        "at": time.time(),
        "services": client.services(stack),
        "tasks": client.tasks(stack),
        "containers": containers,
        "nodes": client.get("/nodes"),
        "inspected": inspected,
        "logs": logs,
    }


@dataclass(frozen=True)
class Seen:
    """What a slice came to; the snapshot is the last one."""

    memory: Memory
    decision: Decision
    snapshot: Snapshot

    @property
    def over(self) -> bool:
        return self.decision.outcome != "waiting"


def watch(client: Client, stack: str, cursor: Mapping[str, Any], seconds: float) -> Seen:
    """Looks until the outcome is certain or `seconds` are over. `cursor` is the memory of the slice before."""
    deadline = time.monotonic() + seconds
    memory = Memory.from_json(cursor, time.time())
    while True:
        dead = [death.task for death in memory.deaths]
        snapshot = read(frame(client, stack, dead, curious=bool(dead)), stack)
        memory, decision = look(snapshot, memory)
        if decision.outcome == "pass":
            snapshot = read(frame(client, stack, whole=True), stack)
        if decision.outcome != "waiting" or time.monotonic() + PAUSE >= deadline:
            return Seen(memory, decision, snapshot)
        time.sleep(PAUSE)


def report(answer: Answer, seen: Seen, limit: float, assert_restarts: bool) -> None:
    """The results of a look that is over, or whose time is up."""
    memory, decision, snapshot = seen.memory, seen.decision, seen.snapshot
    # All of it is one wait: between two slices Docker was waited for as well.
    answer.waits.append({"what": "docker", "start": round(memory.since, 3), "end": round(time.time(), 3)})
    answer.timeline += moments(snapshot)
    if decision.outcome == "pass":
        answer.result("converged", "pass", expected=EXPECTED, observed=decision.progress)
        if assert_restarts:
            observed = restarts(memory.deaths)
            evidence = evidence_of(memory.deaths) if memory.deaths else None
            answer.result("no_restart_loop", "pass", expected="no restart loop", observed=observed, evidence=evidence)
        return
    first = decision.findings[0] if seen.over else give_up(snapshot, memory, decision, limit)
    others = [f"also: {one.sentence}" for one in decision.findings[1:] if one.certain]
    told: dict[str, Any] = {
        "observed": first.sentence,
        "evidence": "\n".join([*others, first.evidence]),
        "failure_id": first.failure_id,
        "service": first.service or None,
        "hint": first.hint or None,
    }
    answer.result("converged", first.outcome, expected=EXPECTED, **told)
    if assert_restarts and first.failure_id == "crash-loop":
        answer.result("no_restart_loop", "fail", expected="no restart loop", **told)


def _inspect(client: Client, id: str) -> dict[str, Any]:
    """Only what is read later. A container that is gone by now is no error: the memory keeps what it said before."""
    try:
        return {"State": client.get(f"/containers/{id}/json")["State"]}
    except DockerError as error:
        if error.status != 404:
            raise
        return {}


def _log(client: Client, id: str) -> str:
    """Log drivers that cannot be read answer with an error; then there is simply no output to show."""
    try:
        return client.logs("containers", id, tail=LOG_LINES)[-3000:]
    except DockerError as error:
        if error.status == 0:
            raise
        return ""
