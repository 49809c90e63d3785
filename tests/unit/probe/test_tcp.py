"""TCP checks against real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from ccci_probe.tcp import attempt

Serve = Callable[[Callable[[socket.socket], None]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def start(behave: Callable[[socket.socket], None]) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def accept() -> None:
            try:
                while True:
                    behave(server.accept()[0])
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        return int(server.getsockname()[1])

    yield start
    for server in servers:
        server.close()


def test_a_server_that_waits_and_one_that_speaks(serve: Serve) -> None:
    kept = []
    assert attempt("127.0.0.1", serve(kept.append)).outcome == "pass"
    banner = serve(lambda connection: (kept.append(connection), connection.sendall(b"220 mail\r\n"))[0])  # type: ignore[func-returns-value]
    assert attempt("127.0.0.1", banner).observed == "connected, it said '220 mail'"
    assert attempt("127.0.0.1", banner, "220 ").outcome == "pass"
    assert attempt("127.0.0.1", banner, "ready", timeout=2).observed == "it said '220 mail'"


def test_a_proxy_without_anything_behind_it_is_no_success(serve: Serve) -> None:
    seen = attempt("127.0.0.1", serve(lambda connection: connection.close()))
    assert (seen.outcome, "closed at once" in seen.observed) == ("fail", True)


def test_a_port_that_nobody_has() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert attempt("127.0.0.1", port).observed == f"127.0.0.1 port {port}: Connection refused"
    assert attempt("no-such-host.invalid", 1).outcome == "error"
