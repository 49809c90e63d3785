"""Whether the node is fit for a run: looked at under the lock, before the first change."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import names
from .backup_snapshots import BACKUPBOT_LABEL
from .docker import Client
from .image_space import image_root, size
from .inventory import Objects, named, own, without
from .journal import KEPT, Journal, stacks_of

LEAST_DISK = 2 * 1024**3  # bytes; below that Docker and the databases fail in ways that look like the recipe's fault
LEAST_INODES = 50_000  # an image has some ten thousand files; without inodes a disk is full as well
# Seconds. The call itself takes a while to get here, and on a busy machine that is no clock's fault.
CLOCK_BEHIND, CLOCK_AHEAD = 5.0, 20.0

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


@dataclass(frozen=True)
class Seen:
    """The node as the controller sees it: whether `by_name`, because the inventory names no address of its ingress; the
    `address` by which Ansible reaches it; and the controller's `clock` (epoch) when it called."""

    by_name: bool = False
    address: str = ""
    clock: float | None = None


def problems(
    client: Client, scope: Mapping[str, Any], need: Need, seen: Seen, objects: Objects, journals: Sequence[Journal]
) -> list[Problem]:
    """Everything that is wrong with the node at once. DockerError when there is no Docker at all."""
    now, info = time.time(), client.info()
    found = [*_swarm(client, info, need), *_room(info, need), *_occupied(scope, objects, journals)]
    if seen.clock is not None:
        found += clock(now, seen.clock)
    if seen.by_name:
        found += _names([str(app["domain"]) for app in scope["apps"]], seen.address)
    return found


def _swarm(client: Client, info: Mapping[str, Any], need: Need) -> Iterable[Problem]:
    swarm = info.get("Swarm") or {}
    if not swarm.get("ControlAvailable"):
        state = swarm.get("LocalNodeState", "unknown")
        yield Problem("this node is a swarm manager", f"its swarm state is {state}", BOOTSTRAP)
        return
    yield from fitness(client.get(f"/nodes/{swarm['NodeID']}"))
    yield from _platform(client, need)


def fitness(node: Mapping[str, Any]) -> Iterable[Problem]:
    """Whether swarm would give this node tasks. Pure; `node` is what /nodes/<id> says."""
    state, availability = node["Status"]["State"], node["Spec"]["Availability"]
    if state != "ready":
        yield Problem(
            "this node is ready for swarm", f"its state is {state}: {node['Status'].get('Message') or 'no message'}",
            "Look at the daemon's log on the node; restarting Docker makes it report again", "node-not-ready",
        )  # fmt: skip
    if availability != "active":
        yield Problem(
            "this node takes tasks", f"its availability is {availability}",
            f"On the node: docker node update --availability active {node['ID']}", "node-not-ready",
        )  # fmt: skip


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
    root = image_root(info)
    files = os.statvfs(root)
    yield from room(root, shutil.disk_usage(root).free, files.f_favail if files.f_files else None, need)
    available = memory()
    if need.memory > available:
        yield Problem(
            f"{size(need.memory)} of memory, as the recipe's settings ask", f"{size(available)} are available",
            "Stop something on the node, or play on a bigger one", "oom-host",
        )  # fmt: skip


def room(root: Path, free: int, inodes: int | None, need: Need) -> Iterable[Problem]:
    """Pure. `free` is in bytes; `inodes` is None for a file system that makes them as it needs them."""
    wanted = max(LEAST_DISK, need.disk)
    if free < wanted:
        why = ", as the recipe's settings ask" if need.disk >= LEAST_DISK else ""
        yield Problem(
            f"{size(wanted)} free below {root}{why}", f"{size(free)} are free",
            "Make room on the node: `docker system df` shows what takes it", "disk-full",
        )  # fmt: skip
    if inodes is not None and inodes < LEAST_INODES:
        yield Problem(
            f"{LEAST_INODES} files can still be made below {root}", f"only {inodes} can (inodes)",
            "Remove what has many small files: `df -i` and `docker system df` on the node", "disk-full",
        )  # fmt: skip


def clock(node: float, controller: float) -> Iterable[Problem]:
    """Pure. Both are epochs; the controller's is from when it called, so the node's is a little later."""
    if -CLOCK_BEHIND <= node - controller <= CLOCK_AHEAD:
        return
    ahead = "ahead of" if node > controller else "behind"
    told = [time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(one)) for one in (node, controller)]
    yield Problem(
        "one time on the node and on the controller",
        f"the node's clock says {told[0]}, {abs(node - controller):.0f} s {ahead} the controller's {told[1]}",
        "Set the clock that is wrong, and let it follow a time server (timedatectl set-ntp true)",
    )


def _names(domains: Sequence[str], node: str) -> Iterable[Problem]:
    for one in names.troubles(domains, node):
        yield Problem(one.expected, one.observed, one.hint, "dns-cutover" if one.moving else None)


def _occupied(scope: Mapping[str, Any], objects: Objects, journals: Sequence[Journal]) -> Iterable[Problem]:
    """Objects of our stacks that no dead run explains. Dead runs are taken away next; the others we must not touch."""
    there = own({kind: entries for kind, entries in objects.items() if kind != "env"}, scope)
    for journal in journals:
        shared = own(there, journal.scope)
        if journal.state == KEPT and any(shared.values()):
            taken = {entry["stack"] for entries in shared.values() for entry in entries.values()}
            domains = [app["domain"] for app in scope["apps"] if app["stack"] in taken] or [scope["domain"]]
            yield Problem(
                f"free: {', '.join(domains)}", f"run {journal.run} was kept there",
                f"`ccci clean --run {journal.run}` takes it away", "leaked-dep",
            )  # fmt: skip
        there = without(there, journal.scope)
    left = named(there)
    if left:
        ours = stacks_of(scope)
        yield Problem(
            f"nothing of the stack{'' if len(ours) == 1 else 's'} {', '.join(ours)} on the node", ", ".join(left[:10]),
            "No run made these, so ccci does not touch them: remove them by hand, or choose another wildcard domain",
        )  # fmt: skip


def memory() -> int:
    """Bytes that programs can still get on this node."""
    return memory_available(Path("/proc/meminfo").read_text())


def memory_available(meminfo: str) -> int:
    """Bytes that programs can still get, from the text of /proc/meminfo."""
    line = next((line for line in meminfo.splitlines() if line.startswith("MemAvailable:")), "MemAvailable: 0 kB")
    return int(line.split()[1]) * 1024
