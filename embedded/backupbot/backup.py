#!/usr/bin/env python3
"""The backup service of the embedded platform. Usage, inside its container:

    backup create      one snapshot of the stack, between its pre-hooks and its post-hooks
    backup snapshots   what there is                  backup ls        what a snapshot holds
    backup restore     puts a snapshot back           backup forget    removes every snapshot of the stack
    backup serve       makes the repository, then waits (the container's own command)

Environment: SERVICE (stack or domain; ALL or nothing: every stack), SNAPSHOT (an id; latest), INCLUDE_PATH (ls: only
what is below), NO_COMMANDS (no hooks), MACHINE_LOGS or `-m` (JSON from snapshots and ls), HOOK_LIMIT (seconds).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import engine
import repository
import selection

VERBS = ("create", "snapshots", "ls", "restore", "forget", "serve")


class BackupError(Exception):
    """What was asked for cannot be done; the text says why and names what there is."""


def chosen_stack() -> str | None:
    """The stack that SERVICE names, as a stack or as a domain; None for all of them."""
    name = os.environ.get("SERVICE", "").strip()
    return None if name in ("", "ALL") else name.replace(".", "_")


def create(stack: str | None) -> None:
    known = engine.stacks()
    if stack is None:
        wanted = [name for name, services in sorted(known.items()) if selection.enabled(services)]
    elif stack not in known:
        raise BackupError(f"there is no stack {stack}; there is: {', '.join(sorted(known)) or 'none'}")
    else:
        wanted = [stack]
    if not wanted:
        raise BackupError("no stack has a service with the label backupbot.backup=true")
    for name in wanted:
        create_one(name, known[name])
    say("backup finished")


def create_one(stack: str, services: Sequence[engine.Service]) -> None:
    if not selection.enabled(services):
        names = ", ".join(service.name for service in services)
        raise BackupError(f"no service of {stack} has the label backupbot.backup=true (looked at: {names})")
    paths = selection.paths(services)
    if not paths:
        raise BackupError(f"{stack} has no volume to back up")
    try:
        run_hooks(services, "backupbot.backup.pre-hook")
        missing = [path for path in paths if not Path(path).exists()]
        if missing:
            raise BackupError(f"not there after all pre-hooks: {', '.join(missing)}")
        say(f"{stack}: snapshot {repository.create(stack, paths)} of {', '.join(paths)}")
    finally:
        # Also after a failure: a pre-hook may have switched the application to read-only.
        run_hooks(services, "backupbot.backup.post-hook")


def restore(stack: str | None) -> None:
    if stack is None:
        raise BackupError("restore needs SERVICE, the stack that is restored")
    services = engine.stacks().get(stack, [])
    if not services:
        raise BackupError(f"{stack} is not deployed; its hooks need it to run")
    snapshot = os.environ.get("SNAPSHOT") or "latest"
    found = repository.snapshots(stack)
    ids = [one["id"] for one in found]
    if not ids:
        raise BackupError(f"there is no snapshot of {stack}")
    if snapshot == "latest":
        snapshot = ids[-1]
    elif not any(snapshot.startswith(one) for one in ids):
        raise BackupError(f"{stack} has no snapshot {snapshot}; it has: {', '.join(ids)}")
    run_hooks(services, "backupbot.restore.pre-hook")
    repository.restore(snapshot)
    say(f"{stack}: the files of snapshot {snapshot} are back")
    run_hooks(services, "backupbot.restore.post-hook")
    say("restore finished")


def snapshots(stack: str | None, machine: bool) -> None:
    found = repository.snapshots(stack)
    if machine:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    for one in found:
        say(f"{one['time'].partition('.')[0]}  {one['id']}  {','.join(one['tags'])}")
    if not found:
        say("there are no snapshots")


def ls(stack: str | None, machine: bool) -> None:
    below = os.environ.get("INCLUDE_PATH", "").rstrip("/")
    snapshot, nodes = repository.files(os.environ.get("SNAPSHOT") or "latest", stack)
    chosen = [one for one in nodes if not below or one["path"] == below or one["path"].startswith(f"{below}/")]
    if machine:
        sys.stdout.write(json.dumps({"snapshot": snapshot, "files": chosen}) + "\n")
        return
    for one in chosen:
        say(one["path"])


def forget(stack: str | None) -> None:
    if stack is None:
        raise BackupError("forget needs SERVICE, the stack whose snapshots go")
    say(f"{stack}: {repository.forget(stack)} snapshots removed")


def serve() -> None:
    repository.prepare()
    say("the repository is ready")
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()


def run_hooks(services: Sequence[engine.Service], label: str) -> None:
    if os.environ.get("NO_COMMANDS"):
        return
    limit = float(os.environ.get("HOOK_LIMIT", "240"))
    for service in services:
        command = service.labels.get(label, "").strip()
        if command:
            say(f"{service.name}: {label} `{command}`")
            for line in engine.run_hook(service, command, limit).splitlines():
                say(f"  {line}")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="backup", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("-m", "--machine", action="store_true", default=bool(os.environ.get("MACHINE_LOGS")))
    given = parser.parse_args([argument for argument in arguments if argument != "--"])
    stack = chosen_stack()
    try:
        if given.verb == "serve":
            serve()
        elif given.verb in ("snapshots", "ls"):
            {"snapshots": snapshots, "ls": ls}[given.verb](stack, given.machine)
        else:
            {"create": create, "restore": restore, "forget": forget}[given.verb](stack)
    except (BackupError, engine.EngineError, repository.RepositoryError, selection.SelectionError) as error:
        sys.stderr.write(f"backup {given.verb} failed: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
