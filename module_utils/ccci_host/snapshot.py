"""What a stack looked like at one moment, read from the Docker Engine's answers. Pure: `watch.py` does the asking.

A *frame* is what was asked, as plain JSON, so that frames can be recorded and replayed:

    {"at": epoch seconds,
     "services":   [GET /services],            "tasks": [GET /tasks],
     "containers": [GET /containers/json],     "nodes": [GET /nodes],
     "inspected":  {container id: {"State": …, "Config": …} of GET /containers/<id>/json},
     "logs":       {container id: last lines},
     "events":     [GET /events, those of containers, since the frame before],
     "kernel":     {container id: {"oom_kills": count | None, "listens": [ports] | None}},
     "disk":       {"path", "free", "size", "files_free"} of Docker's root, or None}

Shapes are those of Engine API 1.41 and newer. The last three may be absent: they are evidence, and no state of swarm.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .docker import service_name, timestamp

Frame = Mapping[str, Any]

# Task states of swarm, in the order in which a task goes through them.
BEFORE_RUNNING = ("new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting")
LIVE = (*BEFORE_RUNNING, "running")
SERVICE_ID = "com.docker.swarm.service.id"
TASK_ID = "com.docker.swarm.task.id"
SERVICE_NAME = "com.docker.swarm.service.name"
MIB = 2**20
# Variables that hold a name which only looks like the name of another service (POSTGRES_USER=postgres).
NO_HOSTS = re.compile(r"(USER|USERNAME|NAME|PASSWORD|PASS|DATABASE|SCHEMA|PREFIX|_DB)$", re.IGNORECASE)
MOST_ERROR = 2000  # characters of what swarm says of a task: it repeats a command of any length
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
    """`health` is `none`, `starting`, `healthy` or `unhealthy`; times are 0.0 where the engine did not say.

    `oom_kills` counts processes inside that the kernel killed for want of memory. `listens` are the TCP ports on which
    something inside listens, `exposes` those that its image speaks of; None where nobody looked.
    """

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
    oom_kills: int | None = None
    listens: tuple[int, ...] | None = None
    exposes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Event:
    """Something that happened to the container of a task. `action` is the engine's: start, kill, oom, die, …"""

    at: float
    nano: int
    action: str
    service: str
    task: str
    signal: int | None
    exit_code: int | None


@dataclass(frozen=True)
class Disk:
    """The file system of Docker's root; sizes in bytes, `files_free` in inodes (0 where they are not counted)."""

    path: str
    free: int
    size: int
    files_free: int

    @property
    def is_full(self) -> bool:
        """So little is left that a write of ordinary size fails."""
        return self.free < max(100 * MIB, self.size // 500) or 0 < self.files_free < 100

    def __str__(self) -> str:
        return f"{self.path} has {self.free // MIB} MiB of {self.size // MIB} MiB free"


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
    """`wanted` is the number of tasks that should run; None for a global service, where nodes decide.

    `needs` are the services of the stack that its environment or command names as hosts, `addresses` those under which
    others reach it. `memory_limit` is in bytes, 0 for none. `small` are its mounts that have a size of their own.
    """

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
    needs: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    command: str = ""
    memory_limit: int = 0
    small: tuple[str, ...] = ()

    @property
    def has_update_trouble(self) -> bool:
        return self.update_state == "paused" or self.update_state.startswith("rollback")


@dataclass(frozen=True)
class Snapshot:
    at: float
    services: tuple[Service, ...]
    nodes_ready: int
    nodes_not_ready: tuple[str, ...]  # "name: why"
    events: tuple[Event, ...] = ()
    disk: Disk | None = None


def read(frame: Frame, stack: str) -> Snapshot:
    """The one reader of a frame."""
    containers = _containers(frame)
    services = [_service(raw, stack, frame, containers) for raw in frame["services"]]
    others = [service.name for service in services]
    services = [
        replace(service, needs=_needs(raw["Spec"]["TaskTemplate"]["ContainerSpec"], service.name, others, stack))
        for service, raw in zip(services, frame["services"], strict=True)
    ]
    disk = frame.get("disk")
    return Snapshot(
        at=float(frame["at"]),
        services=tuple(sorted(services, key=lambda service: service.name)),
        nodes_ready=sum(1 for node in frame["nodes"] if not _node_trouble(node)),
        nodes_not_ready=tuple(
            f"{node['Description']['Hostname']}: {trouble}"
            for node in frame["nodes"]
            if (trouble := _node_trouble(node))
        ),
        events=tuple(_events(frame.get("events") or [], stack)),
        disk=Disk(disk["path"], disk["free"], disk["size"], disk["files_free"]) if disk else None,
    )


def epoch(text: str | None) -> float:
    """0.0 for a time that has not come, or that the engine leaves out."""
    return timestamp(text) if text else 0.0


def names(text: str, service: str) -> bool:
    """Does the text speak of this service? Part of a longer word is another word."""
    return bool(re.search(rf"(?<![\w-]){re.escape(service)}(?![\w-])", text))


def _events(raw: Iterable[Mapping[str, Any]], stack: str) -> Iterable[Event]:
    """Those of the tasks of this stack, in their order."""
    for event in raw:
        told = event["Actor"]["Attributes"]
        service = str(told.get(SERVICE_NAME, ""))
        if event["Type"] != "container" or not service.startswith(f"{stack}_") or TASK_ID not in told:
            continue
        yield Event(
            at=event["timeNano"] / 1e9,
            nano=event["timeNano"],
            action=event["Action"],
            service=service.removeprefix(f"{stack}_"),
            task=told[TASK_ID],
            signal=int(told["signal"]) if event["Action"] == "kill" else None,
            exit_code=int(told["exitCode"]) if event["Action"] == "die" else None,
        )


def _needs(spec: Mapping[str, Any], own: str, services: Iterable[str], stack: str) -> tuple[str, ...]:
    """The services that a container's environment or command names in a place where a host stands."""
    pairs = [pair.partition("=") for pair in spec.get("Env") or []]
    values = [value for name, _, value in pairs if not NO_HOSTS.search(name)]
    words = [*(spec.get("Command") or []), *(spec.get("Args") or [])]
    found = []
    for name in services:
        host = rf"(?:{re.escape(stack)}_)?{re.escape(name)}"
        beside = rf"(?:@|//){host}(?=[:/?]|$)|(?<![\w./-]){host}[: ]\d|(?<![\w-])--?[\w-]*host[ =]{host}(?![\w-])"
        if name != own and (
            any(re.fullmatch(host, value.strip()) or re.search(beside, value) for value in values)
            or re.search(beside, " ".join(words))
        ):
            found.append(name)
    return tuple(found)


def _node_trouble(node: Mapping[str, Any]) -> str:
    if node["Status"]["State"] != "ready":
        return f"{node['Status']['State']} {node['Status'].get('Message', '')}".strip()
    availability = str(node["Spec"]["Availability"])
    return "" if availability == "active" else availability


def _containers(frame: Frame) -> dict[str, Container]:
    """By task id."""
    found = {}
    for raw in frame["containers"]:
        inspected = frame["inspected"].get(raw["Id"]) or {}
        state, exposed = inspected.get("State") or {}, (inspected.get("Config") or {}).get("ExposedPorts") or {}
        kernel = (frame.get("kernel") or {}).get(raw["Id"]) or {}
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
            oom_kills=kernel.get("oom_kills"),
            listens=None if kernel.get("listens") is None else tuple(kernel["listens"]),
            exposes=tuple(int(port.partition("/")[0]) for port in exposed if port.endswith("/tcp")),
        )
    return found


def _addresses(service: Mapping[str, Any], frame: Frame) -> tuple[str, ...]:
    """Its virtual addresses, and those of its containers, without the length of the network's prefix."""
    virtual = [entry.get("Addr") or "" for entry in (service.get("Endpoint") or {}).get("VirtualIPs") or []]
    own = [
        network.get("IPAddress") or ""
        for container in frame["containers"]
        if container["Labels"].get(SERVICE_ID) == service["ID"]
        for network in ((container.get("NetworkSettings") or {}).get("Networks") or {}).values()
    ]
    return tuple(sorted({address.partition("/")[0] for address in (*virtual, *own) if address}))


def _limited(mounts: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Mounts that can be full while the node's disk is not."""
    found = []
    for mount in mounts:
        volume = ((mount.get("VolumeOptions") or {}).get("DriverConfig") or {}).get("Options") or {}
        if mount.get("Type") == "tmpfs" or volume.get("type") == "tmpfs" or "size=" in str(volume.get("o", "")):
            found.append(str(mount.get("Target")))
    return tuple(found)


def _health(status: str) -> str:
    """From a list's status column, such as `Up 4 seconds (health: starting)`."""
    for word, health in (("(unhealthy)", "unhealthy"), ("(health: starting)", "starting"), ("(healthy)", "healthy")):
        if word in status:
            return health
    return "none"


def _service(raw: Mapping[str, Any], stack: str, frame: Frame, containers: Mapping[str, Container]) -> Service:
    spec, update = raw["Spec"], raw.get("UpdateStatus") or {}
    template = spec["TaskTemplate"]
    container = template["ContainerSpec"]
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
        image=str(container["Image"]).partition("@")[0],
        healthcheck=_healthcheck(container.get("Healthcheck") or {}),
        restart=policy.get("Condition") or "any",
        max_attempts=int(policy.get("MaxAttempts") or 0),
        restart_delay=int(policy.get("Delay", 5_000_000_000)) / 1e9,
        update_state=update.get("State") or "",
        update_message=update.get("Message") or "",
        update_started=epoch(update.get("StartedAt")),
        created=epoch(raw.get("CreatedAt")),
        tasks=tuple(sorted(tasks, key=lambda task: task.created)),
        addresses=_addresses(raw, frame),
        command=" ".join([*(container.get("Command") or []), *(container.get("Args") or [])]),
        memory_limit=int(((template.get("Resources") or {}).get("Limits") or {}).get("MemoryBytes") or 0),
        small=_limited(container.get("Mounts") or []),
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
        error=(status.get("Err") or "")[:MOST_ERROR],
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
