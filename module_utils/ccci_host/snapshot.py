"""What a stack looked like at one moment, read from the Docker Engine's answers. Pure: `watch.py` does the asking.

A *frame* is what was asked, as plain JSON, so that frames can be recorded and replayed:

    {"at": epoch seconds,
     "services":   [GET /services],            "tasks": [GET /tasks],
     "containers": [GET /containers/json],     "nodes": [GET /nodes],
     "inspected":  {container id: {"State": …} of GET /containers/<id>/json},
     "logs":       {container id: last lines}}

Shapes are those of Engine API 1.41 and newer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .docker import service_name, timestamp

Frame = Mapping[str, Any]

# Task states of swarm, in the order in which a task goes through them.
BEFORE_RUNNING = ("new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting")
LIVE = (*BEFORE_RUNNING, "running")
SERVICE_ID = "com.docker.swarm.service.id"
TASK_ID = "com.docker.swarm.task.id"
# Swarm's own words, seen in Status.Err of a task that it killed because its healthcheck failed.
UNHEALTHY = "unhealthy container"


@dataclass(frozen=True)
class Check:
    """One run of a healthcheck."""

    at: float
    exit_code: int
    output: str


@dataclass(frozen=True)
class Container:
    """`health` is `none`, `starting`, `healthy` or `unhealthy`; times are 0.0 where the engine did not say."""

    id: str
    state: str
    health: str
    started: float = 0.0
    finished: float = 0.0
    exit_code: int | None = None
    oom_killed: bool = False
    failing_streak: int = 0
    checks: tuple[Check, ...] = ()
    log: str | None = None


@dataclass(frozen=True)
class Task:
    """`changed` is when it came into its present state; `current` says that it runs what the service now asks for."""

    id: str
    slot: str
    state: str
    desired: str
    message: str
    error: str
    exit_code: int | None
    created: float
    changed: float
    current: bool
    container: Container | None

    @property
    def wanted(self) -> bool:
        """Swarm wants it to run, or will want that after the restart delay."""
        return self.desired in ("running", "ready")

    @property
    def ended_by_itself(self) -> bool:
        """Died, was refused or finished without having been asked to stop."""
        return self.state in ("failed", "rejected", "complete")


@dataclass(frozen=True)
class Healthcheck:
    """Seconds; swarm's defaults where the recipe says nothing."""

    interval: float
    timeout: float
    retries: int
    start_period: float
    test: str


@dataclass(frozen=True)
class Service:
    """`wanted` is the number of tasks that should run; None for a global service, where nodes decide."""

    id: str
    name: str
    mode: str  # replicated | global | job
    wanted: int | None
    image: str
    healthcheck: Healthcheck | None
    restart: str  # any | on-failure | none
    max_attempts: int
    restart_delay: float
    update_state: str
    update_message: str
    update_started: float
    created: float
    tasks: tuple[Task, ...]

    @property
    def has_update_trouble(self) -> bool:
        return self.update_state == "paused" or self.update_state.startswith("rollback")


@dataclass(frozen=True)
class Snapshot:
    at: float
    services: tuple[Service, ...]
    nodes_ready: int
    nodes_not_ready: tuple[str, ...]  # "name: why"


def read(frame: Frame, stack: str) -> Snapshot:
    """The one reader of a frame."""
    containers = _containers(frame)
    services = [_service(raw, stack, frame, containers) for raw in frame["services"]]
    return Snapshot(
        at=float(frame["at"]),
        services=tuple(sorted(services, key=lambda service: service.name)),
        nodes_ready=sum(1 for node in frame["nodes"] if not _node_trouble(node)),
        nodes_not_ready=tuple(
            f"{node['Description']['Hostname']}: {trouble}"
            for node in frame["nodes"]
            if (trouble := _node_trouble(node))
        ),
    )


def epoch(text: str | None) -> float:
    """0.0 for a time that has not come, or that the engine leaves out."""
    return timestamp(text) if text else 0.0


def _node_trouble(node: Mapping[str, Any]) -> str:
    if node["Status"]["State"] != "ready":
        return f"{node['Status']['State']} {node['Status'].get('Message', '')}".strip()
    availability = str(node["Spec"]["Availability"])
    return "" if availability == "active" else availability


def _containers(frame: Frame) -> dict[str, Container]:
    """By task id."""
    found = {}
    for raw in frame["containers"]:
        state = (frame["inspected"].get(raw["Id"]) or {}).get("State") or {}
        health = state.get("Health") or {}
        found[raw["Labels"].get(TASK_ID, "")] = Container(
            id=raw["Id"],
            state=raw["State"],
            health=_health(raw["Status"]),
            started=epoch(state.get("StartedAt")),
            finished=epoch(state.get("FinishedAt")),
            exit_code=state.get("ExitCode"),
            oom_killed=bool(state.get("OOMKilled")),
            failing_streak=int(health.get("FailingStreak") or 0),
            checks=tuple(
                Check(epoch(entry["Start"]), int(entry["ExitCode"]), str(entry["Output"]).strip())
                for entry in health.get("Log") or []
            ),
            log=frame["logs"].get(raw["Id"]),
        )
    return found


def _health(status: str) -> str:
    """From a list's status column, such as `Up 4 seconds (health: starting)`."""
    for word, health in (("(unhealthy)", "unhealthy"), ("(health: starting)", "starting"), ("(healthy)", "healthy")):
        if word in status:
            return health
    return "none"


def _service(raw: Mapping[str, Any], stack: str, frame: Frame, containers: Mapping[str, Container]) -> Service:
    spec, update = raw["Spec"], raw.get("UpdateStatus") or {}
    template = spec["TaskTemplate"]
    policy = template.get("RestartPolicy") or {}
    mode, wanted = _mode(spec["Mode"])
    tasks = [
        _task(task, template, containers.get(task["ID"])) for task in frame["tasks"] if task["ServiceID"] == raw["ID"]
    ]
    return Service(
        id=raw["ID"],
        name=service_name(raw, stack),
        mode=mode,
        wanted=wanted,
        image=str(template["ContainerSpec"]["Image"]).partition("@")[0],
        healthcheck=_healthcheck(template["ContainerSpec"].get("Healthcheck") or {}),
        restart=policy.get("Condition") or "any",
        max_attempts=int(policy.get("MaxAttempts") or 0),
        restart_delay=int(policy.get("Delay", 5_000_000_000)) / 1e9,
        update_state=update.get("State") or "",
        update_message=update.get("Message") or "",
        update_started=epoch(update.get("StartedAt")),
        created=epoch(raw.get("CreatedAt")),
        tasks=tuple(sorted(tasks, key=lambda task: task.created)),
    )


def _mode(mode: Mapping[str, Any]) -> tuple[str, int | None]:
    if "Replicated" in mode:
        return "replicated", int(mode["Replicated"].get("Replicas", 1))
    if "ReplicatedJob" in mode:
        return "job", int(mode["ReplicatedJob"].get("TotalCompletions") or 1)
    return ("job", None) if "GlobalJob" in mode else ("global", None)


def _healthcheck(raw: Mapping[str, Any]) -> Healthcheck | None:
    """What the service itself declares; an image's own healthcheck shows in its containers only."""
    test = list(raw.get("Test") or [])
    if not test or test == ["NONE"]:
        return None
    return Healthcheck(
        interval=int(raw.get("Interval") or 30_000_000_000) / 1e9,
        timeout=int(raw.get("Timeout") or 30_000_000_000) / 1e9,
        retries=int(raw.get("Retries") or 3),
        start_period=int(raw.get("StartPeriod") or 0) / 1e9,
        test=" ".join(test[1:]),
    )


def _task(raw: Mapping[str, Any], template: Mapping[str, Any], container: Container | None) -> Task:
    status = raw["Status"]
    return Task(
        id=raw["ID"],
        slot=str(raw.get("Slot") or raw.get("NodeID") or ""),
        state=status["State"],
        desired=raw["DesiredState"],
        message=status.get("Message") or "",
        error=status.get("Err") or "",
        exit_code=(status.get("ContainerStatus") or {}).get("ExitCode"),
        created=epoch(raw.get("CreatedAt")),
        changed=epoch(status.get("Timestamp")),
        current=_same_work(raw["Spec"], template),
        container=container,
    )


def _same_work(task: Mapping[str, Any], template: Mapping[str, Any]) -> bool:
    """Swarm's own test of whether a task must be replaced: the whole specification, except where it may be placed."""
    keys = {*task, *template} - {"Placement", "Runtime"}
    return all(task.get(key) == template.get(key) for key in keys)
