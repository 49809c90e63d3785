"""What happens inside an app's containers: `app run`, `app cmd`, and the calls of the backup service."""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
import tarfile
from collections.abc import Mapping
from typing import Any

from ccci_host.docker import Client, running_container

from .apps import find
from .cli import Call
from .errors import FatalError

BACKUP_LABEL = "coop-cloud.backupbot.enabled=true"
BACKUP_LIMIT = 3600.0  # seconds
FUNCTIONS = "/tmp/abra.sh"  # noqa: S108  # in the container, where abra puts it
_FUNCTION = re.compile(r"^\s*(?:function\s+)?([A-Za-z_][\w-]*)\s*\(\)|^\s*function\s+([A-Za-z_][\w-]*)", re.MULTILINE)


def run(call: Call) -> None:
    """Becomes `docker exec`, so that input, output, signals and the return code are the command's own."""
    domain, service, *command = [*call.arguments, *call.rest]
    app = find(domain)
    container = running_container(Client(), app.stack, service)["Id"]
    terminal = ["-t"] if sys.stdin.isatty() and sys.stdout.isatty() and not call.has("no-tty") else []
    user = ["-u", call.options["user"]] if "user" in call.options else []
    sys.stdout.flush()
    os.execvp("docker", ["docker", "exec", "-i", *terminal, *user, container, *command])  # noqa: S606


def command(call: Call) -> None:
    """CMD-1. The recipe's abra.sh is only ever run inside the container; here it is just looked through."""
    if call.has("local"):
        raise FatalError("this abra does not run a recipe's functions on the machine itself (--local)")
    if len(call.arguments) < 3:
        raise FatalError("app cmd takes DOMAIN SERVICE FUNCTION [-- ARGUMENTS]")
    domain, service, function, *arguments = [*call.arguments, *call.rest]
    app = find(domain)
    script = app.recipe.file("abra.sh")
    if script is None:
        raise FatalError(f"{app.recipe.name} has no abra.sh")
    known = [one or other for one, other in _FUNCTION.findall(script)]
    if function not in known:
        raise FatalError(f"{app.recipe.name} doesn't have a {function} function; it has: {', '.join(known) or 'none'}")
    client = Client()
    container = running_container(client, app.stack, service)["Id"]
    client.request("PUT", f"/containers/{container}/archive", {"path": "/tmp"}, _archive(script))  # noqa: S108
    inner = f". {FUNCTIONS}; {shlex.join([function, *arguments])}"
    variables = {"TARGET": service, "APP_NAME": app.name, "STACK_NAME": app.stack}
    user = ["-u", call.options["user"]] if "user" in call.options else []
    environment = [word for key, value in variables.items() for word in ("-e", f"{key}={value}")]
    quoted = shlex.quote(inner)
    choose = f"if command -v bash >/dev/null 2>&1; then exec bash -c {quoted}; fi; exec sh -c {quoted}"
    sys.stdout.flush()
    os.execvp("docker", ["docker", "exec", "-i", *user, *environment, container, "sh", "-c", choose])  # noqa: S606


def backup_create(call: Call) -> int:
    return _backup(call, "create")


def backup_snapshots(call: Call) -> int:
    return _backup(call, "snapshots")


def backup_list(call: Call) -> int:
    return _backup(call, "ls")


def restore(call: Call) -> int:
    """The newest snapshot unless one is named (BKP-7)."""
    return _backup(call, "restore")


def _backup(call: Call, verb: str) -> int:
    app, client = find(call.arguments[0]), Client()
    environment = {"SERVICE": app.stack, "NONINTERACTIVE": "1"}
    if call.has("machine"):
        environment["MACHINE_LOGS"] = "1"
    if "snapshot" in call.options:
        environment["SNAPSHOT"] = call.options["snapshot"]
    service = backup_service(client)
    stack = service["Spec"]["Labels"].get("com.docker.stack.namespace", "")
    name = service["Spec"]["Name"].removeprefix(f"{stack}_")
    container = running_container(client, stack, name)["Id"]
    done = client.exec(container, ["/usr/bin/backup", "--", verb], env=environment, limit=BACKUP_LIMIT)
    call.say((done.stdout + done.stderr).decode("utf-8", "replace").rstrip("\n"))
    if done.rc:
        raise FatalError(f"backup {verb} of {app.name} failed with return code {done.rc}: {_last_line(done.stderr)}")
    return 0


def backup_service(client: Client) -> Mapping[str, Any]:
    found = client.get("/services", filters={"label": [BACKUP_LABEL]})
    if not found:
        raise FatalError("no backupbot discovered, is it deployed?")
    return dict(found[0])


def _last_line(raw: bytes) -> str:
    return (raw.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1][-300:]


def _archive(script: str) -> bytes:
    data = script.encode()
    entry = tarfile.TarInfo("abra.sh")
    entry.size, entry.mode = len(data), 0o755
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()
