"""Processes of this machine, found by a mark in their environment (Linux; where there is no /proc, none is found)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

PROC = Path("/proc")
POLL_SECONDS = 0.05
PR_SET_PDEATHSIG = 1


def marked(name: str, value: str) -> list[int]:
    """The processes whose environment says NAME=VALUE, without this one."""
    wanted = f"{name}={value}".encode()
    found = []
    for path in PROC.glob("[0-9]*"):
        pid = int(path.name)
        with contextlib.suppress(OSError):
            if pid != os.getpid() and wanted in (path / "environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def parent(pid: int) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        # The name in parentheses may hold anything, also blanks and parentheses.
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    return None


def die_with_parent(parent: int | None = None) -> None:
    """Asks the kernel for SIGTERM when the thread that started us ends (Linux; elsewhere there is nothing to ask).

    `parent` is who that should be, when it is known; without it, whoever it is now.
    """
    expected = os.getppid() if parent is None else parent
    try:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    except (OSError, AttributeError):
        return
    if os.getppid() != expected:  # it died before we could ask
        os.kill(os.getpid(), signal.SIGTERM)


def send(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end_marked(name: str, value: str, grace: float) -> list[int]:
    """SIGTERM, and SIGKILL after `grace` seconds, to every marked process. Returns those that were there."""
    found = marked(name, value)
    send(found, signal.SIGTERM)
    deadline = time.monotonic() + grace
    rest = found
    while rest and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        rest = marked(name, value)
    send(rest, signal.SIGKILL)
    return found
