"""Asks Docker for what `snapshot.py` reads: when something happens, and every second, until the outcome is certain."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import kernel, registry
from .answer import Answer, cut
from .converge import Decision, Memory, give_up, look, moments, pause, restarts
from .diagnose import evidence_of
from .docker import Client, DockerError
from .docker_events import Events
from .known_words import Finding
from .snapshot import SERVICE_NAME, TASK_ID, Frame, Snapshot, read

# Events that come together are looked at together: seconds to wait for more of them.
TOGETHER = 0.05
# How far back (seconds) the first slice asks for events: a deploy may have taken so long.
BEFORE = 60.0
LOG_LINES = 30
LONG_QUIET = 9  # looks since something last happened, when that was in another slice
LOG_BYTES = 3000
EXPECTED = "every service up, stable and up to date"
_NO_IMAGE = re.compile(r"no such image:? *(\S+)", re.IGNORECASE)


class Eye:
    """Looks at one stack, again and again. What does not change is asked once: how a container ended, whose process."""

    def __init__(self, client: Client, stack: str) -> None:
        self.client = client
        self.stack = stack
        self._inspected: dict[tuple[str, str], dict[str, Any]] = {}  # by id and state
        self._logs: dict[tuple[str, str], str] = {}  # likewise: it says more until it ends
        self._counters: dict[str, Path | None] = {}
        self._mounts = kernel.mounts()
        self._root = ""

    def frame(
        self, known_dead: Sequence[str] = (), curious: bool = False, whole: bool = False,
        events: Sequence[Mapping[str, Any]] = (),
    ) -> Frame:  # fmt: skip
        """One frame (see snapshot.py). Containers of the tasks `known_dead` are not asked about again.

        `curious` also reads the logs of containers that are starting; `whole` inspects every container anew, for the
        timeline.
        """
        client = self.client
        containers = client.containers(self.stack)
        inspected: dict[str, Any] = {}
        logs: dict[str, str] = {}
        for container in containers:
            status, id, state = container["Status"], container["Id"], container["State"]
            over = state in ("exited", "dead")
            sick, starting = "(unhealthy)" in status, "(health: starting)" in status
            if over and container["Labels"].get(TASK_ID) in known_dead:
                continue
            if over or sick or starting or whole or state == "running":
                inspected[id] = self._inspect(id, state, anew=sick or starting or whole)
            if over or sick or (starting and curious):
                logs[id] = self._log(id, state, anew=not over)
        # Tasks are read last: a task that is dead here has a container that was asked about, or will be in the next
        # frame.
        services, tasks = client.services(self.stack), client.tasks(self.stack)
        sick = any("(unhealthy)" in one["Status"] for one in containers)
        died = sick or bool(known_dead) or any(task["Status"]["State"] in ("failed", "rejected") for task in tasks)
        return {
            "at": time.time(),
            "services": services,
            "tasks": tasks,
            "containers": containers,
            "nodes": client.get("/nodes"),
            "inspected": inspected,
            "logs": logs,
            "events": list(events),
            "kernel": self._kernel(inspected, ports=died),
            "disk": self._disk() if died or curious else None,
        }

    def _inspect(self, id: str, state: str, anew: bool) -> dict[str, Any]:
        """Only what is read later. One that is gone by now is no error: the memory keeps what it said before."""
        if anew or (id, state) not in self._inspected:
            try:
                raw = self.client.get(f"/containers/{id}/json")
            except DockerError as error:
                if error.status != 404:
                    raise
                return {}
            exposed = raw["Config"].get("ExposedPorts") or {}
            self._inspected[id, state] = {"State": raw["State"], "Config": {"ExposedPorts": exposed}}
        return self._inspected[id, state]

    def _log(self, id: str, state: str, anew: bool) -> str:
        """Log drivers that cannot be read answer with an error; then there is simply no output to show."""
        if anew or (id, state) not in self._logs:
            try:
                self._logs[id, state] = cut(self.client.logs("containers", id, tail=LOG_LINES), LOG_BYTES) or ""
            except DockerError as error:
                if error.status == 0:
                    raise
                self._logs[id, state] = ""
        return self._logs[id, state]

    def _kernel(self, inspected: Mapping[str, Any], ports: bool) -> dict[str, Any]:
        found = {}
        for id, one in inspected.items():
            pid = int((one.get("State") or {}).get("Pid") or 0)
            if not pid:
                continue
            if id not in self._counters:
                self._counters[id] = kernel.oom_file(id, pid, self._mounts)
            counter = self._counters[id]
            found[id] = {
                "oom_kills": kernel.oom_kills(counter) if counter else None,
                "listens": kernel.listening(id, pid) if ports else None,
            }
        return found

    def _disk(self) -> dict[str, Any] | None:
        self._root = self._root or str(self.client.info()["DockerRootDir"])
        return kernel.disk(self._root)


def frame(client: Client, stack: str) -> Frame:
    """One frame, without a watch."""
    return Eye(client, stack).frame()


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
    eye = Eye(client, stack)
    since = memory.heard + 1 if memory.heard else int((time.time() - BEFORE) * 1e9)
    events = Events(client, since, seconds, lambda event: concerns(event, stack))
    happened, first = events.wait(TOGETHER), bool(cursor)
    quiet = LONG_QUIET if cursor and not happened else 0
    while True:
        dead = [death.task for death in memory.deaths if death.log is not None]
        curious = first or time.monotonic() >= deadline
        snapshot = read(eye.frame(dead, curious, events=happened), stack)
        memory, decision = look(snapshot, memory)
        if decision.outcome == "pass":
            snapshot = read(eye.frame(whole=True), stack)
        left = deadline - time.monotonic()
        if decision.outcome != "waiting" or (curious and left <= 0):
            return Seen(memory, decision, snapshot)
        happened, first = events.wait(min(pause(snapshot, memory, quiet), max(left, 0.0))), False
        quiet = 0 if happened else quiet + 1
        if happened:
            time.sleep(TOGETHER)
            happened += events.rest()


def concerns(event: Mapping[str, Any], stack: str) -> bool:
    """Does this event of the engine say that the stack should be looked at?"""
    attributes = event["Actor"]["Attributes"]
    name = {"container": attributes.get(SERVICE_NAME, ""), "service": attributes.get("name", "")}.get(event["Type"])
    return name is None or str(name).startswith(f"{stack}_")


def vanished(finding: Finding, memory: Memory, here: Collection[str]) -> Finding:
    """A missing image is no mistake of the recipe's when it was `here` before the deploy. Pure."""
    if finding.failure_id != "missing-image":
        return finding
    errors = [death.error for death in memory.deaths if death.service == finding.service]
    missing = next((found[1] for error in reversed(errors) if (found := _NO_IMAGE.search(error))), "")
    if not any(same_image(missing, image) for image in here):
        return finding
    return replace(
        finding, failure_id="prune-mid-deploy", outcome="error",
        sentence=f"{finding.service}: its image {missing} was pulled before this deploy and is gone: something removed "
                 "it on the node",
        hint="Something on the node removes images while a run needs them",
    )  # fmt: skip


def same_image(asked: str, name: str) -> bool:
    """Whether swarm, which writes the digest behind the tag, asked for the image of this name. Pure."""
    try:
        one, other = registry.parse(asked), registry.parse(name)
    except registry.BadReferenceError:
        return False
    same = one.digest == other.digest if other.digest else one.tag == other.tag
    return same and one.repository == other.repository


def report(answer: Answer, seen: Seen, limit: float, assert_restarts: bool, here: Collection[str] = ()) -> None:
    """The results of a look that is over, or whose time is up. `here` are the images that were on the node before."""
    memory, decision, snapshot = seen.memory, seen.decision, seen.snapshot
    # All of it is one wait: between two slices Docker was waited for as well.
    answer.waits.append({"what": "docker", "start": round(memory.since, 3), "end": round(time.time(), 3)})
    answer.timeline += moments(snapshot)
    if decision.outcome == "pass":
        answer.result("converged", "pass", expected=EXPECTED, observed=decision.progress)
        if assert_restarts:
            deaths = memory.restarts
            observed, evidence = restarts(deaths), evidence_of(deaths) if deaths else None
            answer.result("no_restart_loop", "pass", expected="no restart loop", observed=observed, evidence=evidence)
        return
    first = vanished(decision.findings[0], memory, here) if seen.over else give_up(snapshot, memory, decision, limit)
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
