"""Processes: who holds the lock, whether that process still lives, and which processes belong to a run.

A process id alone says nothing: ids are reused, and a container has its own. So an identity names the machine, its
boot, the process-id namespace, the id and the time the process started.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

PROC = Path("/proc")
PLACE = ("machine_id", "boot_id", "pid_ns")
MARK = "CCCI_RUN_ID"


def identity(pid: int | None = None) -> dict[str, Any]:
    """Who a process is: {machine_id, boot_id, pid_ns, pid, start_time (ticks since the boot), host}."""
    pid = os.getpid() if pid is None else pid
    status = _stat(pid)
    return {
        "machine_id": _text(Path("/etc/machine-id")),
        "boot_id": _text(PROC / "sys/kernel/random/boot_id"),
        "pid_ns": _link(PROC / "self/ns/pid"),
        "pid": pid,
        "start_time": status[1] if status else 0,
        "host": socket.gethostname(),
    }


def caller(scope: Mapping[str, Any]) -> str:
    """The run that works: the one whose play called us, also where it works on the scope of another one (a dead run,
    a warm dep); outside of a play the scope's own."""
    return os.environ.get(MARK) or str(scope["run"])


def is_gone(holder: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Whether the holder is provably dead: it lived where we are, and its process is gone, a zombie, or another one."""
    if not holder.get("boot_id") or not holder.get("pid_ns") or any(holder.get(key) != here.get(key) for key in PLACE):
        return False
    status = _stat(int(holder.get("pid", 0)))
    return status is None or status[0] in "ZX" or status[1] != holder.get("start_time")


def of_run(run: str, spared: Collection[int] = ()) -> list[int]:
    """Ids of the processes whose environment holds CCCI_RUN_ID=<run>, without the `spared` ones and their descendants,
    without ourselves and our ancestors, and without ssh (a shared connection outlives the play that opened it)."""
    parents = _parents()
    untouchable = _ancestors(os.getpid(), parents)
    wanted = f"{MARK}={run}".encode()
    found = []
    for pid in parents:
        if pid in untouchable or _ancestors(pid, parents) & set(spared) or _text(PROC / str(pid) / "comm") == "ssh":
            continue
        try:
            environment = (PROC / str(pid) / "environ").read_bytes()
        except OSError:
            continue  # ended meanwhile, or not ours to look at
        if wanted in environment.split(b"\0"):
            found.append(pid)
    return found


def inside(container: str) -> list[int]:
    """Ids of the processes of a container, as the node sees them."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit() and container in _text(entry / "cgroup"):
            found.append(int(entry.name))
    return found


def variable(pid: int, name: str) -> str:
    """The value of a variable in a process's environment; empty when there is none."""
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return ""
    prefix = f"{name}=".encode()
    return next(
        (one[len(prefix) :].decode("utf-8", "replace") for one in environment.split(b"\0") if one.startswith(prefix)),
        "",
    )


def modules() -> list[int]:
    """Other processes that may be a module of Ansible: a bare interpreter that reads its program from stdin, or one
    with the program that Ansible wrote."""
    found = []
    for pid in _parents().keys() - {os.getpid()}:
        command = words(pid)
        if "python" in command[0] and (len(command) == 1 or "AnsiballZ_" in command[1]):
            found.append(pid)
    return found


def interrupt(pids: Collection[int], grace: float = 3.0) -> None:
    """Ends a tree of programs from its leaves, as Ctrl-C would: each can tidy up, and a parent learns of it and ends by
    itself. SIGKILL for what is still there after `grace` seconds."""
    parents = _parents()
    leaves = set(pids) - {parents.get(pid, 0) for pid in pids}
    for pid in leaves:
        _send(pid, signal.SIGINT)
    deadline = time.monotonic() + grace
    while (left := set(pids) & _parents().keys()) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in left:
        _send(pid, signal.SIGKILL)


def marks() -> set[str]:
    """The runs of which a process is on this machine, ourselves and our ancestors not counted."""
    parents = _parents()
    return {variable(pid, MARK) for pid in parents.keys() - _ancestors(os.getpid(), parents)} - {""}


def end(run: str, spared: Collection[int] = (), grace: float = 3.0) -> list[str]:
    """Ends the run's processes: SIGTERM, SIGKILL after `grace` seconds. Returns the command lines of what was ended."""
    ended: dict[int, str] = {}
    deadline = time.monotonic() + grace
    while pids := of_run(run, spared):
        late = time.monotonic() >= deadline
        for pid in pids:
            if pid not in ended or late:
                ended.setdefault(pid, _command(pid))
                _send(pid, signal.SIGKILL if late else signal.SIGTERM)
        if time.monotonic() >= deadline + grace:
            break  # a process that survives SIGKILL hangs in the kernel: nobody can end it
        time.sleep(0.1)
    return list(ended.values())


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _parents() -> dict[int, int]:
    parents = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (status := _stat(int(entry.name))) and status[0] not in "ZX":
            parents[int(entry.name)] = status[2]
    return parents


def _ancestors(pid: int, parents: Mapping[int, int]) -> set[int]:
    """The process itself and everything above it."""
    chain: set[int] = set()
    while pid and pid not in chain:
        chain.add(pid)
        pid = parents.get(pid, 0)
    return chain


def _stat(pid: int) -> tuple[str, int, int] | None:
    """State, start time and parent of a process. The name in brackets may itself hold blanks and brackets."""
    try:
        fields = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[19]), int(fields[1])


def words(pid: int) -> list[str]:
    """The command line of a process; empty when it is gone."""
    return _text(PROC / str(pid) / "cmdline").strip("\0").split("\0")


def is_below(pid: int, others: Collection[int]) -> bool:
    """Whether a process is one of the others, or was started by one of them."""
    return bool(_ancestors(pid, _parents()) & set(others))


def _command(pid: int) -> str:
    return " ".join(words(pid)).strip()[:200] or str(pid)


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""  # no Linux: such a holder can only be judged by its lease


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
