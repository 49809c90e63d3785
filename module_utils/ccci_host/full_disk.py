"""Whose disk is full when a program's words say so: the words are no evidence, the file systems are.

A mount of the app's that is full is the recipe's fault, a full disk of the node is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import kernel
from .docker import SERVICE_LABEL, Client
from .docker_errors import DockerError
from .snapshot import MIB, Disk

ID = "disk-full"
# Too many watched files bear the same error: such lines speak of no disk, nor does the `code` of Node.js after them.
SAID = re.compile(
    r"^(?![^\n]*(?:inotify|file watchers))[^\n]*?"
    r"(no space left on device|(?<!code: ')\bENOSPC\b|disk quota exceeded|database or disk is full)",
    re.IGNORECASE | re.MULTILINE,
)
NODE_HINT = "Make room on the node: `docker system df` shows what takes it"
OWN_HINT = "Give that mount more room, or write less into it"
UNKNOWN_HINT = "Nothing is full by now: look at how much it writes, and where"
# What a container has besides its mounts: its layer, which is the node's, and shared memory, which is the app's.
LAYER, MEMORY = "/", "/dev/shm"  # noqa: S108 - asked for its size alone


@dataclass(frozen=True)
class Room:
    """`node` is the disk of Docker's root, or a full one of containers; None when it could not be asked. `full` are the
    app's mounts that are full, in words; `suspects` those that nobody measured, and that have a size of their own."""

    node: Disk | None = None
    full: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Blame:
    """`proven`: something is full at this moment. `told` and `hint` are for people."""

    outcome: str
    told: str
    hint: str
    proven: bool


def look(client: Client, stack: str, said: str) -> Room | None:
    """What is full now; None when `said` does not speak of it. What cannot be asked is no evidence, and no error."""
    if not SAID.search(said):
        return None
    try:
        found = kernel.disk(str(client.info()["DockerRootDir"]))
        containers = client.containers(stack, all=False)
    except DockerError:
        return Room()
    if found is None:
        return Room()
    root = node = _disk(found)
    full = []
    for container in containers:
        try:
            inspected = client.get(f"/containers/{container['Id']}/json")
        except DockerError:
            continue  # over meanwhile
        service = str(container["Labels"].get(SERVICE_LABEL, "")).removeprefix(f"{stack}_")
        for disk in _inside(inspected):
            if disk.path == LAYER:  # containerd may keep these on another disk than Docker's root
                node = replace(disk, path=f"the file system of {service}'s container") if disk.is_full else node
            elif disk.size != root.size and _is_full(disk):
                full.append(f"{disk} in {service}")
    return Room(node, tuple(full))


def blame(room: Room) -> Blame:
    """Pure."""
    node = room.node
    if node is not None and node.is_full:
        return Blame("error", f"the node's disk is full: {node}", NODE_HINT, True)
    rest = "the node's disk could not be asked" if node is None else f"on the node {node}"
    if room.full:
        full = ", ".join(room.full)
        return Blame("fail", f"the full one is a mount with a size of its own, {full}; {rest}", OWN_HINT, True)
    if room.suspects:
        own = "a mount with a size of its own" if len(room.suspects) == 1 else "mounts with a size of their own"
        return Blame("fail", f"the full one may be {' or '.join(room.suspects)} ({own}); {rest}", OWN_HINT, False)
    return Blame("fail", f"it says itself that no space is left; {rest}", UNKNOWN_HINT, False)


def _inside(inspected: Mapping[str, Any]) -> list[Disk]:
    """The file systems of a container, seen through its first process: so a tmpfs is seen as well."""
    pid = int((inspected.get("State") or {}).get("Pid") or 0)
    mounts = [str(one["Destination"]) for one in inspected.get("Mounts") or []
              if one.get("RW") and one.get("Type") in ("volume", "tmpfs")]  # fmt: skip
    if not pid:
        return []
    seen = {path: kernel.disk(f"{kernel.PROC}/{pid}/root{path}") for path in (LAYER, MEMORY, *mounts)}
    return [_disk({**found, "path": path}) for path, found in seen.items() if found]


def _is_full(disk: Disk) -> bool:
    """Of a mount that may be small: what is left is a rest that no write of ordinary size fits into."""
    return disk.size > 0 and disk.free < min(100 * MIB, disk.size // 20)


def _disk(found: Mapping[str, Any]) -> Disk:
    return Disk(found["path"], found["free"], found["size"], found["files_free"])
