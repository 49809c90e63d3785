"""What the kernel knows of a container, and Docker does not say: kills for want of memory, ports, room on the disk.

Evidence only: whatever cannot be read is None. Processes are asked about by id; a container may end at any moment and
its id be given to another process, so what is read counts only if that process is still in a cgroup of the container.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .resources import CgroupMount, cgroup_folders, memory_mounts

PROC = Path("/proc")
LISTENING = "0A"
# Of a cgroup's folder: version 2, whose counters include those below it, then version 1. Both hold a line `oom_kill N`.
OOM_FILES = ("memory.events", "memory.oom_control")


def mounts() -> list[CgroupMount]:
    """Inside a node in a container the same mount may be listed many times."""
    return list(dict.fromkeys(memory_mounts(_text(PROC / "self/mountinfo"))))


def oom_file(container: str, pid: int, mounts: Sequence[CgroupMount]) -> Path | None:
    """Where the kernel counts the processes of a running container that it kills for want of memory."""
    for folder in cgroup_folders(_text(PROC / str(pid) / "cgroup"), mounts):
        own = _own_folder(folder, container)
        for name in OOM_FILES:
            if own is not None and oom_kills(own / name) is not None:
                return own / name
    return None


def oom_kills(file: Path) -> int | None:
    """The count so far; None once the container has ended, and its cgroup with it."""
    for line in _text(file).splitlines():
        key, _, count = line.partition(" ")
        if key == "oom_kill" and count.isdigit():
            return int(count)
    return None


def listening(container: str, pid: int) -> list[int] | None:
    """TCP ports on which something in a running container listens, except on its loopback device.

    Takes some milliseconds: the kernel walks through the table of the whole machine.
    """
    if container not in _text(PROC / str(pid) / "cgroup"):
        return None
    tables = [_text(PROC / str(pid) / "net" / name) for name in ("tcp", "tcp6")]
    return sorted({port for table in tables for port in listening_ports(table)}) if any(tables) else None


def listening_ports(table: str) -> list[int]:
    """From /proc/<pid>/net/tcp or tcp6: `sl local_address rem_address st …`, addresses as hexadecimal words. Pure."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 4 or fields[3] != LISTENING:
            continue
        address, _, port = fields[1].rpartition(":")
        # 127.x.y.z and ::1; words are in the byte order of the machine, which is little-endian wherever Docker runs.
        if not (address[-2:] == "7F" and len(address) == 8) and address != f"{0:024X}01000000":
            found.append(int(port, 16))
    return found


def disk(folder: str) -> dict[str, Any] | None:
    """`{"path", "free", "size", "files_free"}` of the file system below a folder, in bytes and inodes."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return {
        "path": folder,
        "free": status.f_bavail * status.f_frsize,
        "size": status.f_blocks * status.f_frsize,
        "files_free": status.f_favail,
    }


def _own_folder(folder: Path, container: str) -> Path | None:
    """The cgroup of the container itself: its first process may have made one below (systemd in a container does)."""
    for place, part in enumerate(folder.parts):
        if container in part:
            return Path(*folder.parts[: place + 1])
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
