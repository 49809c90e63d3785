"""Commands inside containers: the one call of the Engine API that is not plain HTTP.

After `POST /exec/{id}/start` the connection carries the command's input one way and its output the other, in frames of
eight bytes of head (stream number, three zeros, length) and the payload.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .docker_errors import DockerError, LimitReached, TooMuch

if TYPE_CHECKING:
    from .docker import Client

STDOUT, STDERR = 1, 2
MOST_OUTPUT = 64 * 1024**2  # bytes of a command's output: what is inside a container may write without end
HEAD = 8


@dataclass(frozen=True)
class ExecResult:
    rc: int
    stdout: bytes
    stderr: bytes


def run_exec(client: Client, container_id: str, body: dict[str, Any], stdin: bytes | None, limit: float) -> ExecResult:
    """Creates and starts the exec `body`, feeds it, collects its output, and waits for its return code."""
    deadline = time.monotonic() + limit
    command = " ".join(body["Cmd"])
    exec_id = client.post(f"/containers/{container_id}/exec", body)["Id"]
    connection = client.connect(limit)
    try:
        rest = _start(connection, client.versioned(f"/exec/{exec_id}/start"), deadline)
        raw = _converse(connection, rest, stdin, deadline)
        while (state := client.get(f"/exec/{exec_id}/json"))["Running"]:
            # The output can end before the command does (it closed it, or left a child behind).
            if time.monotonic() >= deadline:
                raise TimeoutError(raw)
            time.sleep(0.05)
    except TimeoutError as error:
        seen = error.args[0] if error.args and isinstance(error.args[0], bytes) else b""
        tail = b"".join(chunk for _, chunk in demultiplex(seen))[-500:].decode("utf-8", "replace")
        raise LimitReached(
            f"`{command[:200]}` in container {container_id[:12]} did not end within {limit:.0f} s. "
            f"It may still be running there: the Docker API cannot end it. Last output: {tail!r}"
        ) from error
    except OverflowError as error:
        told = f"`{command[:200]}` in container {container_id[:12]} wrote more than {MOST_OUTPUT // 1024**2} MiB"
        raise TooMuch(told) from error
    except (ConnectionError, BrokenPipeError) as error:
        raise DockerError(0, f"Docker broke off `{command[:200]}` in container {container_id[:12]}: {error}") from error
    finally:
        connection.close()
    streams = {STDOUT: bytearray(), STDERR: bytearray()}
    for stream, chunk in demultiplex(raw):
        streams[STDERR if stream == STDERR else STDOUT] += chunk
    return ExecResult(int(state["ExitCode"]), bytes(streams[STDOUT]), bytes(streams[STDERR]))


def demultiplex(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Frames of a multiplexed stream as (stream number, payload). What is not framed (a TTY's output) is stdout.

    A last frame that was cut short gives what there is of it.
    """
    position = 0
    while position < len(raw):
        head = raw[position : position + HEAD]
        if len(head) < HEAD or head[0] > STDERR or head[1:4] != b"\0\0\0":
            yield STDOUT, raw[position:]
            return
        length = int.from_bytes(head[4:], "big")
        yield head[0], raw[position + HEAD : position + HEAD + length]
        position += HEAD + length


def _start(connection: socket.socket, path: str, deadline: float) -> bytes:
    """Sends the request, reads the head of the answer, and returns what came after the head."""
    body = json.dumps({"Detach": False, "Tty": False}).encode()
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nConnection: Upgrade\r\n"
        f"Upgrade: tcp\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    received = b""
    while b"\r\n\r\n" not in received:
        received += _receive(connection, deadline)
    head, _, rest = received.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if status >= 400:
        from .docker import error_text  # the two modules need each other only here

        raise DockerError(status, error_text(_remaining_body(connection, head, rest, deadline)), "POST /exec/…/start")
    return rest


def _remaining_body(connection: socket.socket, head: bytes, rest: bytes, deadline: float) -> bytes:
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")),
        len(rest),
    )
    while len(rest) < length:
        rest += _receive(connection, deadline)
    return rest


def _receive(connection: socket.socket, deadline: float) -> bytes:
    connection.settimeout(max(deadline - time.monotonic(), 0.001))
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the connection ended before the answer was complete")
    return data


def _converse(connection: socket.socket, received: bytes, stdin: bytes | None, deadline: float) -> bytes:
    """Sends and receives at the same time: a command that answers while we still talk would otherwise block both."""
    to_send = memoryview(stdin or b"")
    chunks, size = [received], len(received)
    connection.setblocking(False)
    sending = selectors.EVENT_READ | selectors.EVENT_WRITE
    with selectors.DefaultSelector() as selector:
        selector.register(connection, sending if stdin is not None else selectors.EVENT_READ)
        while True:
            if size > MOST_OUTPUT:
                raise OverflowError
            left = deadline - time.monotonic()
            ready = selector.select(max(left, 0)) if left > 0 else []
            if not ready:
                raise TimeoutError(b"".join(chunks))
            events = ready[0][1]
            if events & selectors.EVENT_READ:
                data = connection.recv(65536)
                if not data:
                    return b"".join(chunks)
                chunks.append(data)
                size += len(data)
            if events & selectors.EVENT_WRITE:
                to_send = _send(connection, to_send)
                if not to_send:
                    selector.modify(connection, selectors.EVENT_READ)


def _send(connection: socket.socket, data: memoryview) -> memoryview:
    """Sends what the connection takes, and then the end of the input. Returns what is left to send."""
    try:
        data = data[connection.send(data) :] if data else data
        if not data:
            connection.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError):
        return memoryview(b"")  # the command ended without reading all of it, which is its good right
    return data
