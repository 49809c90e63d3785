"""One bounded HTTP exchange with a machine that may be a stranger's: in size, and in time from end to end."""

from __future__ import annotations

import contextlib
import functools
import http.client
import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LARGEST = 4 * 1024 * 1024  # bytes of one answer; what registries themselves allow for a manifest
CERTIFICATES = Path("/etc/docker/certs.d")  # where the daemon has the authorities of private registries

AddressInfo = tuple[int, int, int, str, Any]  # what getaddrinfo answers with: family, kind, protocol, name, address


class Unasked(Exception):  # noqa: N818 - says what happened
    """The registry cannot be asked this way; the daemon may still be able to."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


def fetch(url: str, method: str, headers: Mapping[str, str], deadline: float) -> Reply:
    """One answer, whole and before the deadline (monotonic). Unasked when there is none."""
    parts = urllib.parse.urlsplit(url)
    target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    try:
        host, port = name_and_port(parts.netloc)
        with _connected(host, port or (443 if parts.scheme == "https" else 80), parts, deadline) as connection:
            connection.request(method, target, headers=dict(headers))
            response = connection.getresponse()
            body = response.read(LARGEST + 1)
            length = response.length or 0
            found = {name.lower(): value for name, value in response.getheaders()}
    except (http.client.HTTPException, OSError, ValueError) as error:
        if time.monotonic() >= deadline or isinstance(error, TimeoutError):
            raise Unasked(f"{parts.netloc} did not answer in time") from error
        raise Unasked(f"{parts.netloc} cannot be asked: {error or type(error).__name__}") from error
    if time.monotonic() >= deadline:
        raise Unasked(f"{parts.netloc} did not answer in time")
    if len(body) > LARGEST or (method == "GET" and length):
        raise Unasked(f"{parts.netloc} answers with more than {LARGEST} bytes, or breaks off")
    return Reply(response.status, found, body)


@contextlib.contextmanager
def _connected(
    host: str, port: int, parts: urllib.parse.SplitResult, deadline: float
) -> Iterator[http.client.HTTPConnection]:
    """A connection that is cut at the deadline, however slowly the other side drips: a time limit of the socket alone
    would bound each byte."""
    raw = _reach(_addresses(host, port, deadline), deadline)
    connection = http.client.HTTPConnection(parts.netloc)
    spare = raw.dup()
    raw.settimeout(_left(deadline))
    timer = threading.Timer(_left(deadline), _cut, (spare,))
    timer.daemon = True
    timer.start()
    try:
        tls = parts.scheme == "https"
        connection.sock = _context(parts.netloc).wrap_socket(raw, server_hostname=host) if tls else raw
        yield connection
    finally:
        timer.cancel()
        connection.close()
        raw.close()
        spare.close()


def _addresses(host: str, port: int, deadline: float) -> Sequence[AddressInfo]:
    """All addresses of a name. The resolver has no limit that we could give it, so it is only waited for so long."""
    found: queue.SimpleQueue[Sequence[AddressInfo] | OSError] = queue.SimpleQueue()

    def look() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.put(error if isinstance(error, OSError) else OSError(f"{host} is no name: {error}"))

    threading.Thread(target=look, daemon=True).start()
    try:
        answer = found.get(timeout=_left(deadline))
    except queue.Empty:
        raise TimeoutError(f"the name {host} was not resolved in time") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _reach(addresses: Sequence[AddressInfo], deadline: float) -> socket.socket:
    """A connection to the first address that takes one before the deadline. Each gets its share of what is left, so
    that dead ones leave some for those after them."""
    failure = OSError("the name has no address")
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        raw = socket.socket(family, kind, protocol)
        raw.settimeout(_left(deadline) / (len(addresses) - number))
        try:
            raw.connect(address)
        except OSError as error:
            raw.close()
            failure = error
        else:
            return raw
    raise failure


def _left(deadline: float) -> float:
    """Seconds, never 0: that would mean no waiting at all, or no limit."""
    return max(deadline - time.monotonic(), 0.01)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@functools.lru_cache(maxsize=32)
def _context(host: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for authority in sorted((CERTIFICATES / host).glob("*.crt")) if re.fullmatch(r"[\w.:-]+", host) else ():
        context.load_verify_locations(authority)
    return context


def loopback(host: str) -> bool:
    """Whether a registry's host is this node itself."""
    name = name_and_port(host)[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def name_and_port(host: str) -> tuple[str, int | None]:
    parts = urllib.parse.urlsplit(f"//{host}")
    try:
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None
