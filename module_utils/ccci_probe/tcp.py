"""One TCP check: connect, and make sure that somebody is there."""

from __future__ import annotations

import socket
import time

from .polling import Seen

LISTEN = 0.3  # seconds in which a proxy without anything behind it hangs up again


def attempt(address: str, port: int, text: str | None = None, timeout: float = 5.0) -> Seen:
    """One try. With `text`, the server must say it by itself."""
    try:
        with socket.create_connection((address, port), timeout) as connection:
            heard = _listen(connection, text, timeout)
    except socket.gaierror as error:
        return Seen("error", f"{address}: {error.strerror or error}", hint="Does the host's name resolve here?")
    except OSError as error:
        return Seen("fail", f"{address} port {port}: {error.strerror or error or 'no answer'}")
    if heard is None:
        return Seen("fail", "the connection was accepted and closed at once")
    shown = heard.decode("utf-8", "replace").strip()[:200]
    if text is not None and text not in shown:
        return Seen("fail", f"it said {shown!r}")
    return Seen("pass", f"connected{f', it said {shown!r}' if shown else ''}")


def _listen(connection: socket.socket, text: str | None, timeout: float) -> bytes | None:
    """What the server said; None when it hung up without a word."""
    connection.settimeout(timeout if text else LISTEN)
    heard, deadline = b"", time.monotonic() + timeout
    try:
        while text is None or text.encode() not in heard:
            piece = connection.recv(4096)
            if not piece:
                return heard or None
            heard += piece
            if text is None or len(heard) > 65536 or time.monotonic() > deadline:
                break
    except TimeoutError:
        return heard
    return heard
