"""Whether the node is fit for a run: looked at under the lock, before the first change."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .backup_snapshots import BACKUPBOT_LABEL
from .docker import Client
from .inventory import Objects, named, own, without
from .journal import KEPT, Journal

LEAST_DISK = 2 * 1024**3  # bytes; below that Docker and the databases fail in ways that look like the recipe's fault

BOOTSTRAP = "`ccci bootstrap` sets the node up"


@dataclass(frozen=True)
class Problem:
    """What a run needs, what there is instead, what helps, and the id of the failure catalogue if there is one."""

    expected: str
    observed: str
    hint: str
    failure_id: str | None = None


@dataclass(frozen=True)
class Need:
    """`memory` and `disk` are in bytes, as the recipe's settings declare them; `backupbot`: the run makes a backup."""

    memory: int = 0
    disk: int = 0
    backupbot: bool = True


def problems(
    client: Client, scope: Mapping[str, Any], need: Need, objects: Objects, journals: Sequence[Journal]
) -> list[Problem]:
    """Everything that is wrong with the node at once. DockerError when there is no Docker at all."""
    info = client.info()
    swarm = info.get("Swarm") or {}
    if not swarm.get("ControlAvailable"):
        state = swarm.get("LocalNodeState", "unknown")
        return [Problem("this node is a swarm manager", f"its swarm state is {state}", BOOTSTRAP)]
    found = [*_platform(client, need), *_room(info, need), *_occupied(scope, objects, journals)]
    return [problem for problem in found if problem]


def _platform(client: Client, need: Need) -> Iterable[Problem]:
    networks = client.get("/networks", filters={"name": ["proxy"]}) or []
    if not any(network["Name"] == "proxy" and network["Driver"] == "overlay" for network in networks):
        yield Problem("an overlay network named proxy", "there is none", BOOTSTRAP)
    path = f"{os.environ.get('PATH', '')}:/usr/local/bin"
    if not shutil.which("abra", path=path):
        yield Problem("the command abra", "it is neither in PATH nor in /usr/local/bin", BOOTSTRAP)
    if need.backupbot and not client.get("/services", filters={"label": [BACKUPBOT_LABEL]}):
        yield Problem(f"a backup service (label {BACKUPBOT_LABEL})", "no service has it", BOOTSTRAP)


def _room(info: Mapping[str, Any], need: Need) -> Iterable[Problem]:
    root = Path(str(info.get("DockerRootDir") or "/var/lib/docker"))
    free = shutil.disk_usage(root if root.is_dir() else "/").free
    wanted = max(LEAST_DISK, need.disk)
    if free < wanted:
        yield Problem(
            f"{size(wanted)} free below {root}", f"{size(free)} are free",
            "Make room on the node: `docker system df` shows what takes it", "disk-full",
        )  # fmt: skip
    available = memory_available(Path("/proc/meminfo").read_text())
    if need.memory > available:
        yield Problem(
            f"{size(need.memory)} of memory, as the recipe's settings ask", f"{size(available)} are available",
            "Stop something on the node, or play on a bigger one", "oom-host",
        )  # fmt: skip


def _occupied(scope: Mapping[str, Any], objects: Objects, journals: Sequence[Journal]) -> Iterable[Problem]:
    """Objects of our stacks that no dead run explains. Dead runs are taken away next; the others we must not touch."""
    there = own({kind: entries for kind, entries in objects.items() if kind != "env"}, scope)
    for journal in journals:
        shared = own(there, journal.scope)
        if journal.state == KEPT and any(shared.values()):
            yield Problem(
                f"the domain {scope['domain']} is free", f"run {journal.run} was kept there",
                f"`ccci clean --run {journal.run}` takes it away", "leaked-dep",
            )  # fmt: skip
        there = without(there, journal.scope)
    left = named(there)
    if left:
        yield Problem(
            f"nothing of the stack {scope['stack']} on the node", ", ".join(left[:10]),
            "No run made these, so ccci does not touch them: remove them by hand, or choose another wildcard domain",
        )  # fmt: skip


def memory_available(meminfo: str) -> int:
    """Bytes that programs can still get, from the text of /proc/meminfo."""
    line = next((line for line in meminfo.splitlines() if line.startswith("MemAvailable:")), "MemAvailable: 0 kB")
    return int(line.split()[1]) * 1024


def size(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB"
