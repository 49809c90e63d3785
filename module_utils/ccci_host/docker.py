"""A small client for the Docker Engine API on its unix socket. Standard library only.

Our own code where a library exists, because Debian's Docker SDK takes 0.3 s to import, cannot update configs and does
not speak to Engine 29. A connection per call: on a unix socket it costs nothing, and a broken one spoils only one call.
"""

from __future__ import annotations

import collections
import contextlib
import datetime
import http.client
import json
import re
import socket
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .docker_errors import DockerError, LimitReached, NoContainer, NoService
from .docker_exec import HEAD, STDERR, ExecResult, demultiplex, run_exec

__all__ = [
    "STACK_LABEL", "Client", "DockerError", "ExecResult", "LimitReached", "NoContainer", "NoService",
    "running_container", "service_name", "timestamp",
]  # fmt: skip

STACK_LABEL = "com.docker.stack.namespace"
SERVICE_LABEL = "com.docker.swarm.service.name"
NEWEST_API = (1, 44)  # what Engine 29 wants at least; older engines are asked in their own newest version
SOCKET = "/var/run/docker.sock"
LOG_BYTES = 1024 * 1024
PING_LIMIT = 5.0  # seconds; a daemon that is only busy answers a ping at once
MOST_ANSWER = 64 * 1024 * 1024  # bytes of one answer


class Client:
    """`timeout` is in seconds and bounds every single read of a call that does not bring its own."""

    def __init__(self, socket_path: str = SOCKET, timeout: float = 60.0) -> None:
        self.socket_path = socket_path
        self.timeout = timeout
        self._prefix = ""

    def request(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None,
        timeout: float | None = None, headers: Mapping[str, str] | None = None,
    ) -> Any:  # fmt: skip
        """One call. JSON comes back as dict or list, text as str, an archive as bytes, nothing as None.

        `query` values that are dicts or lists are sent as JSON; a `body` of bytes is sent as it is. DockerError on a
        status of 400 or more (`status`), and with status 0 when Docker does not answer or breaks off.
        """
        with self._open(method, path, query, body, timeout, headers) as response:
            kind = response.headers.get("Content-Type", "")
            return _decoded(_read(response, f"{method} {path}"), kind)

    def get(self, path: str, /, **query: Any) -> Any:
        return self.request("GET", path, query)

    def post(self, path: str, /, body: Any = None, **query: Any) -> Any:
        return self.request("POST", path, query, body)

    def delete(self, path: str, /, **query: Any) -> Any:
        return self.request("DELETE", path, query)

    def stream(
        self, method: str, path: str, query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None, timeout: float = 60.0,
    ) -> Iterator[dict[str, Any]]:  # fmt: skip
        """The JSON objects of a streamed answer (events, images/create); LimitReached after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        decoder, text = json.JSONDecoder(), ""
        with self._open(method, path, query, None, timeout, headers) as response:
            while True:
                try:
                    _set_timeout(response, deadline - time.monotonic())
                    piece = response.read1(65536)
                except TimeoutError as error:
                    raise LimitReached(f"{method} {path} was still going on after {timeout:.0f} s") from error
                except (http.client.HTTPException, OSError) as error:
                    raise DockerError(0, f"Docker broke off its answer to {method} {path}: {error}") from error
                if not piece:
                    if text.strip():
                        raise DockerError(0, f"Docker broke off its answer to {method} {path} after {text[-200:]!r}")
                    return
                text += piece.decode("utf-8", "replace")
                while text := text.lstrip():
                    try:
                        item, end = decoder.raw_decode(text)
                    except ValueError:
                        break
                    text = text[end:]
                    yield item

    def exec(
        self, container_id: str, argv: list[str], *, env: Mapping[str, str] | None = None, stdin: bytes | None = None,
        user: str = "", limit: float = 60.0,
    ) -> ExecResult:  # fmt: skip
        """Runs a command inside a container, without a TTY; its output comes back apart as bytes.

        LimitReached after `limit` seconds: the API cannot end a command, so it may still run in the container.
        """
        variables = [f"{key}={value}" for key, value in (env or {}).items()]
        attached = {"AttachStdin": stdin is not None, "AttachStdout": True, "AttachStderr": True}
        body = {**attached, "Tty": False, "Cmd": list(argv), "User": user, "Env": variables}
        return run_exec(self, container_id, body, stdin, limit)

    def logs(
        self, kind: str, id: str, tail: int | str = 200, since: float = 0, most: int = LOG_BYTES,
        streams: Sequence[str] = ("stdout", "stderr"),
    ) -> str:  # fmt: skip
        """The last `tail` lines ("all" for every one) of `containers` or `services`, their `streams` as they came.

        At most the last `most` bytes of them, beginning with a whole line: a line may be of any length.
        """
        path = f"/{kind}/{id}/logs"
        query = {
            "stdout": "stdout" in streams,
            "stderr": "stderr" in streams,
            "tail": tail,
            "since": f"{since:.9f}" if since else "0",
            "timestamps": kind == "services",
        }
        limit = min(self.timeout, 30.0)
        with self._open("GET", path, query, None, limit, None) as response:
            raw, was_cut = _last_frames(response, f"GET {path}", most, limit)
        data = b"".join(raw)
        if was_cut or len(data) > most:
            data = data[-most:]
            data = data[data.find(b"\n") + 1 :]
        text = data.decode("utf-8", "replace")
        return _in_time_order(text) if kind == "services" else text

    def services(self, stack: str) -> list[dict[str, Any]]:
        """The services of a stack, with `ServiceStatus` (running and desired tasks)."""
        return list(self.get("/services", filters=_of_stack(stack), status=True) or [])

    def tasks(self, stack: str) -> list[dict[str, Any]]:
        return list(self.get("/tasks", filters=_of_stack(stack)) or [])

    def containers(self, stack: str, all: bool = True) -> list[dict[str, Any]]:
        return list(self.get("/containers/json", filters=_of_stack(stack), all=all) or [])

    def info(self) -> dict[str, Any]:
        return dict(self.get("/info"))

    def system_time(self) -> float:
        """The daemon's clock, in seconds since the epoch."""
        return timestamp(self.info()["SystemTime"])

    def answers(self) -> bool:
        """Whether the daemon lives: it answers a ping, however long another call takes it."""
        try:
            Client(self.socket_path, PING_LIMIT).get("/_ping")
        except DockerError as error:
            return error.status != 0
        return True

    def connect(self, timeout: float) -> socket.socket:
        """A fresh connection to the daemon. DockerError with status 0 and what to do when nobody listens."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        try:
            connection.connect(self.socket_path)
        except OSError as error:
            connection.close()
            raise DockerError(
                0,
                f"Docker does not answer on {self.socket_path}: {error}. Is the daemon running? Look at its log",
            ) from error
        return connection

    def versioned(self, path: str) -> str:
        """`path` with the API version that both sides speak. An unversioned path would float with the engine."""
        if not self._prefix:
            with self._open("GET", "/_ping", None, None, None, None, versioned=False) as response:
                newest = response.headers.get("Api-Version", "")
            self._prefix = "/v{}.{}".format(*negotiated(newest))
        return self._prefix + path

    @contextlib.contextmanager
    def _open(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Any, timeout: float | None,
        headers: Mapping[str, str] | None, versioned: bool = True,
    ) -> Iterator[http.client.HTTPResponse]:  # fmt: skip
        limit = self.timeout if timeout is None else timeout
        target = (self.versioned(path) if versioned else path) + encoded(query)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = dict(headers or {})
        if data is not None:
            sent.setdefault("Content-Type", "application/x-tar" if isinstance(body, bytes) else "application/json")
        connection = http.client.HTTPConnection("docker", timeout=limit)
        raw = connection.sock = self.connect(limit)
        try:
            try:
                connection.request(method, target, data, sent)
                response = connection.getresponse()
                # http.client lets go of the socket of an answer without a length, although the answer still reads it.
                response.ccci_socket = raw  # type: ignore[attr-defined]
            except TimeoutError as error:
                raise LimitReached(f"Docker did not answer {method} {path} within {limit:g} s") from error
            except (http.client.HTTPException, OSError) as error:
                raise DockerError(0, f"Docker broke off {method} {path}: {error or type(error).__name__}") from error
            if response.status >= 400:
                raise DockerError(response.status, error_text(_read(response, f"{method} {path}")), f"{method} {path}")
            yield response
        finally:
            connection.close()


def negotiated(newest: str) -> tuple[int, int]:
    """The API version to speak with an engine whose newest one is `newest` ("1.41")."""
    match = re.fullmatch(r"(\d+)\.(\d+)", newest.strip())
    return min((int(match[1]), int(match[2])), NEWEST_API) if match else NEWEST_API


def encoded(query: Mapping[str, Any] | None) -> str:
    """`?a=1&filters={…}`: booleans as true/false, containers as JSON, None left out."""
    pairs = {key: _query_value(value) for key, value in (query or {}).items() if value is not None}
    return "?" + urllib.parse.urlencode(pairs) if pairs else ""


def timestamp(text: str) -> float:
    """RFC 3339 with any number of decimals, as Docker writes it, to seconds since the epoch; its "never" is 0.0."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if not match:
        raise ValueError(f"{text!r} is no time as Docker writes it (2026-01-31T12:00:00.123456789Z)")
    if text.startswith("0001-"):
        return 0.0
    moment = datetime.datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
    return moment.timestamp() + float(match[2] or 0)


def service_name(service: Mapping[str, Any], stack: str) -> str:
    """The name a compose file gives the service: without `<stack>_`."""
    return str(service["Spec"]["Name"]).removeprefix(f"{stack}_")


def running_container(client: Client, stack: str, service: str) -> dict[str, Any]:
    """The newest running container of a service. NoContainer says why there is none, or which services there are."""
    filters = {"label": [f"{SERVICE_LABEL}={stack}_{service}"], "status": ["running"]}
    found = client.get("/containers/json", filters=filters)
    if found:
        return dict(max(found, key=lambda container: container["Created"]))
    names = sorted(service_name(one, stack) for one in client.services(stack))
    if service not in names:
        real = ", ".join(names) or "none: the stack is not deployed"
        raise NoService(f"The stack {stack} has no service {service!r}; it has: {real}")
    states = [f"{task['Status']['State']}: {task['Status'].get('Err') or task['Status'].get('Message', '')}"
              for task in client.get("/tasks", filters={"service": [f"{stack}_{service}"]})]  # fmt: skip
    raise NoContainer(
        f"The service {service!r} of {stack} has no running container ({'; '.join(states[-3:]) or 'no task yet'})"
    )


def error_text(raw: bytes) -> str:
    """Docker's own words: the `message` of its JSON, or the text as it is."""
    text = raw.decode("utf-8", "replace").strip()
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text


def _of_stack(stack: str) -> dict[str, list[str]]:
    return {"label": [f"{STACK_LABEL}={stack}"]}


def _query_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _read(response: http.client.HTTPResponse, call: str) -> bytes:
    pieces, size = [], 0
    try:
        while piece := response.read(2**20):
            pieces.append(piece)
            size += len(piece)
            if size > MOST_ANSWER:  # a file of an app's may be of any size
                raise DockerError(413, f"the answer is longer than {MOST_ANSWER // 2**20} MiB", call)
        if response.length:  # what read() without a size would say itself
            raise http.client.IncompleteRead(b"", response.length)
        return b"".join(pieces)
    except TimeoutError as error:
        stalled = response.ccci_socket.gettimeout()  # type: ignore[attr-defined]
        raise LimitReached(f"Docker did not go on with its answer to {call} for {stalled:g} s") from error
    except (http.client.HTTPException, OSError) as error:
        raise DockerError(0, f"Docker broke off its answer to {call}: {error}") from error


def _last_frames(
    response: http.client.HTTPResponse, call: str, most: int, limit: float
) -> tuple[list[bytes], bool]:  # fmt: skip
    """(the payloads of the last frames, as many as hold `most` bytes; whether others came before). Never holds more
    than that and one frame, and ends `limit` seconds after it began, however fast somebody writes."""
    deadline = time.monotonic() + limit
    payloads: collections.deque[bytes] = collections.deque()
    waiting, held, was_cut = b"", 0, False
    try:
        while True:
            _set_timeout(response, deadline - time.monotonic())
            piece = response.read1(65536)
            waiting += piece
            # What a later read completes stays back, except a "frame" that nobody would make as long as that.
            end = _whole_frames(waiting)
            if not piece or len(waiting) - end > most + 65536:
                end = len(waiting)
            for _, payload in demultiplex(waiting[:end]):
                payloads.append(payload)
                held += len(payload)
                while held - len(payloads[0]) >= most:
                    held, was_cut = held - len(payloads.popleft()), True
            waiting = waiting[end:]
            if not piece:
                return list(payloads), was_cut
    except TimeoutError as error:
        raise LimitReached(f"Docker did not finish its answer to {call} within {limit:g} s") from error
    except (http.client.HTTPException, OSError) as error:
        raise DockerError(0, f"Docker broke off its answer to {call}: {error}") from error


def _whole_frames(raw: bytes) -> int:
    """Where the last complete frame ends; what is not framed (a TTY's output) is complete as it is."""
    position = 0
    while position + HEAD <= len(raw):
        if raw[position] > STDERR or raw[position + 1 : position + 4] != b"\0\0\0":
            return len(raw)
        after = position + HEAD + int.from_bytes(raw[position + 4 : position + HEAD], "big")
        if after > len(raw):
            break
        position = after
    return position


def _decoded(raw: bytes, kind: str) -> Any:
    if not raw.strip():
        return None
    if kind.startswith("application/json"):
        try:
            return json.loads(raw)
        except ValueError:
            return raw.decode("utf-8", "replace")  # several JSON values, one a line
    if kind.startswith(("application/x-tar", "application/octet-stream")):
        return raw
    return raw.decode("utf-8", "replace")


def _set_timeout(response: http.client.HTTPResponse, seconds: float) -> None:
    if seconds <= 0:
        raise TimeoutError
    response.ccci_socket.settimeout(seconds)  # type: ignore[attr-defined]


def _in_time_order(text: str) -> str:
    """Logs of a service come task by task. Sorted by their own time stamps, which are then dropped."""
    lines = sorted(line.partition(" ") for line in text.splitlines())
    return "".join(f"{line}\n" for _, _, line in lines)
