"""The restic repository, by RESTIC_REPOSITORY and RESTIC_PASSWORD_FILE. A snapshot carries its stack's name as tag."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LIMIT = float(os.environ.get("RESTIC_LIMIT", "1800"))  # seconds, for one command
LOCK_LIMIT = 30.0  # seconds to wait for another command that holds the repository


class RepositoryError(Exception):
    """restic failed; the text holds the command and the end of what it said."""


def prepare() -> None:
    """Makes the repository unless it is there. Nobody else works in it when the service starts, so a lock that is there
    is that of a command that died with the container before: restic would heed it for half an hour."""
    if (Path(os.environ["RESTIC_REPOSITORY"]) / "config").is_file():
        if any((Path(os.environ["RESTIC_REPOSITORY"]) / "locks").glob("*")):
            _restic("unlock", "--remove-all")
        return
    try:
        _restic("cat", "config")
    except RepositoryError:
        _restic("init")


def snapshots(stack: str | None) -> list[dict[str, Any]]:
    """Oldest first: {id, time, tags, paths}."""
    found = json.loads(_restic("snapshots", "--json", *_tagged(stack)) or "[]") or []
    return [
        {"id": one["short_id"], "time": one["time"], "tags": one.get("tags") or [], "paths": one["paths"]}
        for one in sorted(found, key=lambda one: one["time"])
    ]


def files(snapshot: str, stack: str | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The snapshot (its id, or `latest`) and what it holds: {path, type, size}; size in bytes, 0 for folders."""
    lines = [json.loads(line) for line in _restic("ls", "--json", snapshot, *_tagged(stack)).splitlines() if line]
    head = lines[0]
    about = {"id": head["short_id"], "time": head["time"], "tags": head.get("tags") or [], "paths": head["paths"]}
    nodes = [{"path": one["path"], "type": one["type"], "size": one.get("size", 0)} for one in lines[1:]]
    return about, nodes


def create(stack: str, paths: Sequence[str]) -> str:
    """One snapshot of these paths; returns its id."""
    printed = _restic("backup", "--json", "--tag", stack, "--host", stack, "--", *paths)
    for line in reversed(printed.splitlines()):
        message = json.loads(line)
        if message.get("message_type") == "summary":
            return str(message["snapshot_id"])[:8]
    raise RepositoryError("restic backup ended well but named no snapshot")


def restore(snapshot: str) -> None:
    """Puts the files of a snapshot back where they were. Files that it does not hold stay."""
    _restic("restore", snapshot, "--target", "/")


def forget(stack: str) -> int:
    """Removes every snapshot of a stack, with its data; returns how many there were."""
    ids = [one["id"] for one in snapshots(stack)]
    if ids:
        _restic("forget", "--prune", *ids)
    return len(ids)


def _tagged(stack: str | None) -> list[str]:
    return ["--tag", stack] if stack else []


def _restic(*arguments: str) -> str:
    """Its stdout. A lock of a process that was killed in this container is removed, that of a living one waited for."""
    deadline = time.monotonic() + LOCK_LIMIT
    while True:
        try:
            return _once(*arguments)
        except RepositoryError as error:
            if "already locked" not in str(error) or time.monotonic() > deadline:
                raise
        _once("unlock")
        time.sleep(0.5)


def _once(*arguments: str) -> str:
    # Without a cache of its own: the repository is local, and the container's own file system should not grow.
    command = ["restic", "--no-cache", *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise RepositoryError(f"restic {arguments[0]} did not end within {LIMIT:.0f} s") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-1500:] or "no word"
        raise RepositoryError(f"restic {arguments[0]} ended with {done.returncode}: {said}")
    return done.stdout
