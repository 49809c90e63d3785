"""What each service of a stack uses: peak memory from its cgroup, disk of its containers and volumes, and its deaths.

A measurement decides nothing, so nothing here raises for what cannot be measured: that is None. Peaks are the kernel's
own and include the page cache, as a memory limit does. Kernels before 5.19 keep no peak for cgroup v2; there it is what
was in use at the moment of looking.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .answer import Answer
from .deaths import of_task
from .docker import SERVICE_LABEL, Client, DockerError
from .snapshot import Snapshot, read

PROC = Path("/proc")
FACT = "resources"
# Of a cgroup's folder, the first one that is there: version 2, then version 1.
PEAK_FILES = ("memory.peak", "memory.max_usage_in_bytes", "memory.current")
MOST_CONTAINERS = 40  # asked about one by one; a stack of more is measured in part
DISK_SECONDS = 2.0  # for the writable layers and volumes of a whole stack

Mounts = Sequence["CgroupMount"]


@dataclass(frozen=True)
class CgroupMount:
    """Where a hierarchy that may hold the memory controller is mounted; `root` is what of it is mounted there."""

    kind: str  # cgroup2 | cgroup
    root: str
    point: Path


@dataclass
class Use:
    """Bytes, or None where nobody knows. `died` are ids of tasks, so that two looks do not count a death twice; `image`
    is what the service runs, so that its pull is found."""

    image: str = ""
    memory_peak: int | None = None
    memory_limit: int | None = None
    disk: int | None = None
    died: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "died": list(self.died), "restarts": len(self.died)}


def note(client: Client, stack: str, answer: Answer, disk: bool = False, prefix: str = "") -> None:
    """Sets the fact `resources`: {service: {memory_peak, memory_limit, disk, restarts, died, image}}, as of now.

    Some milliseconds; with `disk`, which reads volumes, at most `DISK_SECONDS`. `prefix` goes before a service's name.
    """
    try:
        services, tasks, containers = client.services(stack), client.tasks(stack), client.containers(stack)
        frame = {"at": time.time(), "services": services, "tasks": tasks, "containers": containers,
                 "nodes": [], "inspected": {}, "logs": {}}  # fmt: skip
        found = {service["Spec"]["Name"]: _of_service(service) for service in services}
        short = {service["Spec"]["Name"]: service["Spec"]["Name"].removeprefix(f"{stack}_") for service in services}
        for service, died in deaths(read(frame, stack)).items():
            found[f"{stack}_{service}"].died = died
        _measure(client, containers[:MOST_CONTAINERS], found, disk)
    except (DockerError, OSError, ValueError, KeyError):
        return  # the stack went away under our eyes, or Docker did: whoever needs it will say so
    used = {prefix + short[name]: use.to_json() for name, use in sorted(found.items())}
    answer.facts[FACT] = {**answer.facts.get(FACT, {}), **used}


def deaths(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """The tasks of each service that ended by themselves, as far as swarm still lists them (five a slot). Pure."""
    return {
        service.name: tuple(task.id for task in service.tasks if of_task(service, task, snapshot.at))
        for service in snapshot.services
    }


def memory_mounts(mountinfo: str) -> list[CgroupMount]:
    """The hierarchies of /proc/self/mountinfo that may account for memory, version 2 first. Pure.

    Where both are mounted (a hybrid set-up) the controller is in one of them only: which one, its files say.
    """
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(" "), (*after.split(" "), "", "")[:3]
        if kind == "cgroup2" or (kind == "cgroup" and "memory" in options.split(",")):
            found.append(CgroupMount(kind, fields[3], Path(fields[4])))
    return sorted(found, key=lambda mount: mount.kind != "cgroup2")


def cgroup_folders(membership: str, mounts: Iterable[CgroupMount]) -> Iterator[Path]:
    """Where the memory files of a process may be, the likeliest first. Pure. `membership` is its /proc/<pid>/cgroup.

    Paths there begin at the root of the namespace of whoever reads them; a mount may begin deeper (inside a container
    that has no namespace of its own, for example), and then its own beginning is taken off.
    """
    paths: dict[str, str] = {}
    for line in membership.splitlines():
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if number == "0" and not controllers:
            paths["cgroup2"] = path
        elif "memory" in controllers.split(","):
            paths["cgroup"] = path
    for mount in mounts:
        path = paths.get(mount.kind, "..")
        if ".." in path.split("/"):  # outside of our namespace
            continue
        inside = path[len(mount.root.rstrip("/")) :] if _is_below(path, mount.root) else path
        yield mount.point / inside.lstrip("/")


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def peak_of(pid: int, mounts: Mounts) -> int | None:
    """Bytes; None for a process that is gone, or whose memory nobody accounts for."""
    try:
        membership = (PROC / str(pid) / "cgroup").read_text()
    except OSError:
        return None
    for folder in cgroup_folders(membership, mounts):
        for name in PEAK_FILES:
            try:
                return int((folder / name).read_text())
            except (OSError, ValueError):
                continue
    return None


def size_of(folder: Path, deadline: float, seen: set[tuple[int, int]] | None = None) -> int | None:
    """Bytes on the disk below `folder`; None when they were not counted by `deadline` (time.monotonic).

    A file with several names counts once (`seen`), and what another file system holds does not count.
    """
    seen = set() if seen is None else seen
    try:
        device = folder.stat().st_dev
    except OSError:
        return None
    total, waiting = 0, [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if time.monotonic() >= deadline:
                        return None
                    total += _bytes_of(entry, device, seen, waiting)
        except OSError:
            continue  # the app goes on deleting and renaming meanwhile
    return total


def _bytes_of(entry: os.DirEntry[str], device: int, seen: set[tuple[int, int]], waiting: list[Path]) -> int:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return 0
    identity = (status.st_dev, status.st_ino)
    if status.st_dev != device or identity in seen:
        return 0
    if entry.is_dir(follow_symlinks=False):
        waiting.append(Path(entry.path))
    elif status.st_nlink > 1:
        seen.add(identity)
    return status.st_blocks * 512


def _of_service(service: Mapping[str, Any]) -> Use:
    template = service["Spec"]["TaskTemplate"]
    limits = (template.get("Resources") or {}).get("Limits") or {}
    image = str(template["ContainerSpec"]["Image"]).partition("@")[0]
    return Use(image=image, memory_limit=int(limits.get("MemoryBytes") or 0) or None)


def _measure(client: Client, containers: Sequence[Mapping[str, Any]], found: Mapping[str, Use], disk: bool) -> None:
    """The peak of a service is that of its hungriest task; its disk is that of all its containers and volumes."""
    try:
        mounts = memory_mounts((PROC / "self/mountinfo").read_text())
    except OSError:
        mounts = []
    deadline = time.monotonic() + DISK_SECONDS
    incomplete: set[str] = set()
    volumes: dict[str, set[Path]] = {}
    for container in containers:
        name = str(container["Labels"].get(SERVICE_LABEL))
        if name not in found:
            continue
        use, inspected = found[name], _inspected(client, container["Id"])
        if pid := int((inspected.get("State") or {}).get("Pid") or 0):
            use.memory_peak = largest(use.memory_peak, peak_of(pid, mounts))
        if disk:
            layer = _layer(client, container["Id"], deadline - time.monotonic())
            use.disk = (use.disk or 0) + (layer or 0)
            volumes.setdefault(name, set()).update(_volumes(inspected))
            incomplete |= {name} if layer is None else set()
    for name, folders in volumes.items():
        for folder in folders:
            size = size_of(folder, deadline)
            found[name].disk = (found[name].disk or 0) + (size or 0)
            incomplete |= {name} if size is None else set()
    for name in incomplete:
        found[name].disk = None


def largest(*values: int | None) -> int | None:
    """The largest of those that are known."""
    return max((value for value in values if value is not None), default=None)


def _inspected(client: Client, container: str) -> dict[str, Any]:
    """Empty for a container that is gone meanwhile."""
    try:
        return dict(client.get(f"/containers/{container}/json"))
    except DockerError as error:
        if error.status != 404:
            raise
        return {}


def _layer(client: Client, container: str, seconds: float) -> int | None:
    """Bytes that a container wrote into its own layer. Docker counts them file by file, so its time is bounded."""
    if seconds <= 0:
        return None
    try:
        answer = client.request("GET", f"/containers/{container}/json", {"size": True}, timeout=seconds)
    except DockerError as error:
        return 0 if error.status == 404 else None
    return int(answer.get("SizeRw") or 0)


def _volumes(inspected: Mapping[str, Any]) -> set[Path]:
    mounts = inspected.get("Mounts") or []
    return {Path(mount["Source"]) for mount in mounts if mount.get("Type") == "volume" and mount.get("Source")}
