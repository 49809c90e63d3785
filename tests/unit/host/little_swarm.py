"""A swarm of one node that exists on paper only: services that boot, wait for each other and die, as frames of the API.

It does what swarm does as far as the watcher sees it: a task is starting until its container is healthy (or at once
running, where nothing checks that), a task that ended is followed by another one after the restart delay, and five
tasks a slot are kept. Frames have the shape of `snapshot.Frame`.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STACK = "paper"
BEGAN = 1_000_000.0
KEPT = 5
NANO = 1_000_000_000


@dataclass(frozen=True)
class Plan:
    """How one service behaves. Seconds. `boot` is from the container's start until it serves (on `port`).

    It `needs` other services: a try that finds one of them not serving after `patience` seconds ends with `code` and
    `words`. `dies` are tries that end like that anyway, with 137. `checked`: it has a healthcheck.
    """

    name: str
    boot: float = 1.0
    checked: bool = False
    port: int | None = None
    exposes: bool = False
    needs: tuple[str, ...] = ()
    patience: float = 0.5
    code: int = 1
    words: str = ""
    env: tuple[str, ...] = ()
    dies: int = 0
    delay: float = 5.0
    image: str = ""
    never: bool = False  # it never serves


@dataclass
class Try:
    """One task and its container."""

    id: str
    created: float
    starts: float
    state: str = "ready"
    changed: float = 0.0
    ended: float = 0.0
    code: int = 0
    log: str = ""

    @property
    def alive(self) -> bool:
        return not self.ended


@dataclass
class LittleSwarm:
    plans: Sequence[Plan]
    now: float = BEGAN
    tries: dict[str, list[Try]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ids = (f"task{number:04d}" for number in itertools.count())
        for plan in self.plans:
            self.tries[plan.name] = [Try(next(self._ids), self.now, self.now + 0.5, changed=self.now)]

    def frames(self, seconds: float, step: float = 1.0) -> Iterator[dict[str, Any]]:
        until = self.now + seconds
        while self.now < until:
            self.now += step
            for plan in self.plans:
                self._advance(plan)
            yield self.frame()

    def serves(self, name: str) -> bool:
        """The service answers those who need it."""
        plan = next(plan for plan in self.plans if plan.name == name)
        last = self.tries[name][-1]
        return last.alive and last.state != "ready" and not plan.never and self.now - last.starts >= plan.boot

    def settled(self) -> bool:
        return all(self.serves(plan.name) and not self._missing(plan) for plan in self.plans)

    def _missing(self, plan: Plan) -> list[str]:
        return [name for name in plan.needs if not self.serves(name)]

    def _advance(self, plan: Plan) -> None:
        tries = self.tries[plan.name]
        last = tries[-1]
        age = self.now - last.starts
        if not last.alive:
            tries.append(Try(next(self._ids), self.now, last.ended + plan.delay, changed=self.now))
            del tries[:-KEPT]
        elif last.state == "ready":
            if age >= 0:
                self._into(last, "starting" if plan.checked else "running")
                self._tell(plan, last, "start")
        elif len(tries) + self._gone(tries) <= plan.dies and age >= plan.boot / 2:
            self._end(plan, last, 137, "loading")
        elif age >= plan.patience and age < plan.boot + plan.patience + 1 and self._missing(plan):
            name = self._missing(plan)[0]
            port = next(other.port for other in self.plans if other.name == name)
            self._end(plan, last, plan.code, plan.words.format(host=name, port=port, address=self.address(name)))
        elif last.state == "starting" and self.serves(plan.name) and not self._missing(plan):
            self._into(last, "running")

    def _gone(self, tries: Sequence[Try]) -> int:
        return 0 if len(tries) < KEPT else 1000

    def _into(self, last: Try, state: str) -> None:
        last.state, last.changed = state, self.now

    def _end(self, plan: Plan, last: Try, code: int, log: str) -> None:
        last.ended, last.code, last.log = self.now, code, log
        self._into(last, "failed")
        self._tell(plan, last, "die", exitCode=str(code))

    def _tell(self, plan: Plan, last: Try, action: str, **more: str) -> None:
        names = {"com.docker.swarm.service.name": f"{STACK}_{plan.name}", "com.docker.swarm.task.id": last.id}
        self.events.append(
            {
                "Type": "container",
                "Action": action,
                "timeNano": int(self.now * NANO),
                "Actor": {"Attributes": {**names, **more}},
            }
        )

    def address(self, name: str) -> str:
        return f"10.0.1.{10 + [plan.name for plan in self.plans].index(name)}"

    def frame(self) -> dict[str, Any]:
        events, self.events = self.events, []
        containers, inspected, logs, kernel = [], {}, {}, {}
        for plan in self.plans:
            for one in self.tries[plan.name]:
                if one.state == "ready":
                    continue
                status = "Up 3 seconds"
                if plan.checked:
                    status += " (health: starting)" if one.state == "starting" else " (healthy)"
                id = f"c{one.id}"
                containers.append(
                    {"Id": id, "State": "running" if one.alive else "exited",
                     "Status": status if one.alive else f"Exited ({one.code}) 1 second ago",
                     "Labels": {"com.docker.swarm.task.id": one.id, "com.docker.swarm.service.id": plan.name}}
                )  # fmt: skip
                ended = stamp(one.ended) if one.ended else "0001-01-01T00:00:00Z"
                exposed = {f"{plan.port}/tcp": {}} if plan.exposes else {}
                inspected[id] = {
                    "State": {"Running": one.alive, "StartedAt": stamp(one.starts), "FinishedAt": ended,
                              "ExitCode": one.code, "OOMKilled": False},
                    "Config": {"ExposedPorts": exposed},
                }  # fmt: skip
                if not one.alive:
                    logs[id] = one.log
                else:
                    listens = [plan.port] if plan.port and self.serves(plan.name) else []
                    kernel[id] = {"oom_kills": 0, "listens": listens}
        return {
            "at": self.now, "services": [self._service(plan) for plan in self.plans],
            "tasks": [self._task(plan, one) for plan in self.plans for one in self.tries[plan.name]],
            "containers": containers, "inspected": inspected, "logs": logs, "kernel": kernel, "events": events,
            "nodes": [{"Status": {"State": "ready"}, "Spec": {"Availability": "active"},
                       "Description": {"Hostname": "node"}}],
            "disk": None,
        }  # fmt: skip

    def _service(self, plan: Plan) -> dict[str, Any]:
        return {
            "ID": plan.name, "CreatedAt": stamp(BEGAN),
            "Endpoint": {"VirtualIPs": [{"NetworkID": "n", "Addr": f"{self.address(plan.name)}/24"}]},
            "Spec": {"Name": f"{STACK}_{plan.name}", "Mode": {"Replicated": {"Replicas": 1}},
                     "TaskTemplate": self._template(plan)},
        }  # fmt: skip

    def _template(self, plan: Plan) -> dict[str, Any]:
        container: dict[str, Any] = {"Image": plan.image or f"image-of-{plan.name}:1", "Env": list(plan.env)}
        if plan.checked:
            container["Healthcheck"] = {"Test": ["CMD", "check"], "Interval": NANO, "StartPeriod": 600 * NANO}
        return {"ContainerSpec": container, "RestartPolicy": {"Condition": "any", "Delay": int(plan.delay * NANO)}}

    def _task(self, plan: Plan, one: Try) -> Mapping[str, Any]:
        status: dict[str, Any] = {"Timestamp": stamp(one.changed), "State": one.state, "Message": "started"}
        if one.state == "starting":
            status["Message"] = "starting"
        if not one.alive:
            status |= {"Err": f"task: non-zero exit ({one.code})", "ContainerStatus": {"ExitCode": one.code}}
        return {
            "ID": one.id, "ServiceID": plan.name, "Slot": 1, "CreatedAt": stamp(one.created),
            "Spec": self._template(plan), "Status": status, "DesiredState": "running" if one.alive else "shutdown",
        }  # fmt: skip


def stamp(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
