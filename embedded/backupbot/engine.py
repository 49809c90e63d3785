"""What the backup service asks of Docker: the services of a stack, and commands in their containers.

Standard library only. Paths carry no API version: the few calls here are the same in every engine.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

SOCKET = "/var/run/docker.sock"
STACK = "com.docker.stack.namespace"
OF_SERVICE = "com.docker.swarm.service.name"
# The first line that the hook prints is its process id, by which it can be ended. It leads a process group of its own.
WRAPPER = """echo "hook-process $$"
if command -v bash >/dev/null 2>&1; then exec bash -o pipefail -c "$1"; fi
exec sh -c "$1"
"""


class EngineError(Exception):
    """Docker refused a call, or did not answer in time."""


@dataclass(frozen=True)
class Service:
    """`name` is the compose name; `volumes` are full names of the named volumes that it mounts.

    `running`: a container of it ran at the moment of asking.
    """

    stack: str
    name: str
    labels: dict[str, str]
    volumes: tuple[str, ...]
    running: bool = True

    @property
    def full_name(self) -> str:
        return f"{self.stack}_{self.name}"


def stacks() -> dict[str, list[Service]]:
    """Every stack of the swarm with its services."""
    found: dict[str, list[Service]] = {}
    containers = _call("GET", f"/containers/json?{urlencode({'filters': json.dumps({'status': ['running']})})}")
    alive = {one["Labels"].get(OF_SERVICE) for one in containers}
    for raw in _call("GET", "/services"):
        spec = raw["Spec"]
        stack = spec["Labels"].get(STACK)
        if stack:
            mounts = spec["TaskTemplate"]["ContainerSpec"].get("Mounts") or []
            volumes = tuple(one["Source"] for one in mounts if one.get("Type") == "volume" and one.get("Source"))
            name, running = spec["Name"].removeprefix(f"{stack}_"), spec["Name"] in alive
            found.setdefault(stack, []).append(Service(stack, name, spec["Labels"], volumes, running))
    return found


def run_hook(service: Service, command: str, limit: float) -> str:
    """Runs a hook in the service's running container, without a terminal, and returns what it printed.

    EngineError when nothing runs, the hook fails, or it does not end within `limit` seconds (it is then killed).
    """
    query = {"filters": json.dumps({"label": [f"{OF_SERVICE}={service.full_name}"], "status": ["running"]})}
    running = _call("GET", f"/containers/json?{urlencode(query)}")
    if not running:
        raise EngineError(f"service {service.name} has no running container for the hook `{command}`")
    container = max(running, key=lambda one: one["Created"])["Id"]
    rc, output = _exec(
        container, ["sh", "-c", WRAPPER, "hook", command], limit, f"the hook `{command}` of {service.name}"
    )
    pid, printed = _own_line(output)
    if rc is None:
        # `-s` and `--` are what every shell's own kill understands; a negative number is the whole group.
        killed, _ = _exec(container, ["sh", "-c", 'kill -s KILL -- "-$1"', "kill", pid], 10, "kill")
        raise EngineError(
            f"the hook `{command}` of service {service.name} did not end within {limit:.0f} s and "
            f"{'was killed' if killed == 0 else 'could not be killed'}; "
            f"it printed: {printed.strip()[-500:] or 'nothing'}"
        )
    if rc != 0:
        told = printed.strip()[-1000:] or "it printed nothing"
        raise EngineError(f"the hook `{command}` of service {service.name} ended with {rc}: {told}")
    return printed


def _own_line(output: str) -> tuple[str, str]:
    """The wrapper's process id, and what the hook itself printed: Docker may hand out its errors before that line."""
    found = re.search(r"^hook-process (\d+)\n", output, re.MULTILINE)
    return (found[1], output[: found.start()] + output[found.end() :]) if found else ("", output)


def _exec(container: str, argv: list[str], limit: float, what: str) -> tuple[int | None, str]:
    """(return code, output with errors in it); the code is None when the command was still running after `limit`."""
    body = {"AttachStdout": True, "AttachStderr": True, "Tty": False, "Cmd": argv}
    exec_id = _call("POST", f"/containers/{container}/exec", body)["Id"]
    deadline = time.monotonic() + limit
    raw = b""
    connection = _connect(limit)
    try:
        start = json.dumps({"Detach": False, "Tty": False})
        connection.request("POST", f"/exec/{exec_id}/start", start, {"Content-Type": "application/json"})
        held = connection.sock  # the connection forgets it once the answer has begun
        response = connection.getresponse()
        if response.status >= 400:
            raise EngineError(f"Docker answered {response.status} to {what}: {response.read().decode()}")
        while True:
            held.settimeout(max(deadline - time.monotonic(), 0.01))
            piece = response.read1(65536)
            if not piece:
                break
            raw += piece
    except TimeoutError:
        return None, _text(raw)
    finally:
        connection.close()
    while (state := _call("GET", f"/exec/{exec_id}/json"))["Running"]:
        if time.monotonic() > deadline:
            return None, _text(raw)
        time.sleep(0.05)
    return int(state["ExitCode"]), _text(raw)


def _text(raw: bytes) -> str:
    """Output of a command without a terminal: frames of eight bytes of head (the last four are the length)."""
    parts, position = [], 0
    while position + 8 <= len(raw):
        length = int.from_bytes(raw[position + 4 : position + 8], "big")
        parts.append(raw[position + 8 : position + 8 + length])
        position += 8 + length
    return b"".join(parts).decode("utf-8", "replace")


def _call(method: str, path: str, body: Any = None) -> Any:
    connection = _connect(60)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        if response.status >= 400:
            raise EngineError(f"Docker answered {response.status} to {method} {path.partition('?')[0]}: {text.strip()}")
        return json.loads(text)
    except OSError as error:
        raise EngineError(f"Docker did not answer {method} {path.partition('?')[0]}: {error}") from error
    finally:
        connection.close()


def _connect(limit: float) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("docker", timeout=limit)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(limit)
    try:
        connection.sock.connect(SOCKET)
    except OSError as error:
        raise EngineError(f"Docker does not answer on {SOCKET}: {error}") from error
    return connection
