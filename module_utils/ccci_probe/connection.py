"""Connections that go to one given address whatever a host resolves to, with that host's own name in SNI and Host.

So an app is reached without public DNS, exactly as its ingress would be by a stranger.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.poolmanager import PoolManager


def session(ingress_address: str | None, ca_file: str | None) -> requests.Session:
    """A session that trusts `ca_file` (or the public authorities) and takes nothing from the environment."""
    made = requests.Session()
    made.trust_env = False  # a proxy or a .netrc of this machine has no say in a test
    made.verify = ca_file or True
    made.headers["User-Agent"] = "ccci"
    if ingress_address:
        adapter = IngressAdapter(ingress_address)
        made.mount("https://", adapter)
        made.mount("http://", adapter)
    return made


class IngressAdapter(HTTPAdapter):
    """Connects every request to `address`."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        plain, tls = pinned_connections(self._address)
        manager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **more)
        pool = type("PinnedPool", (HTTPConnectionPool,), {"ConnectionCls": plain})
        tls_pool = type("PinnedTlsPool", (HTTPSConnectionPool,), {"ConnectionCls": tls})
        manager.pool_classes_by_scheme = {"http": pool, "https": tls_pool}
        self.poolmanager = manager


def pinned_connections(address: str) -> tuple[type[HTTPConnection], type[HTTPSConnection]]:
    """Connection classes for HTTP and HTTPS that open their socket to `address` and change nothing else."""

    def open_socket(connection: Any) -> socket.socket:
        timeout = connection.timeout if isinstance(connection.timeout, int | float) else None
        try:
            made = socket.create_connection((address, connection.port), timeout)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, f"{address} port {connection.port}: no answer") from error
        except OSError as error:
            raise NewConnectionError(connection, f"{address} port {connection.port}: {error}") from error

    plain = type("PinnedConnection", (HTTPConnection,), {"_new_conn": open_socket})
    tls = type("PinnedTlsConnection", (HTTPSConnection,), {"_new_conn": open_socket})
    return plain, tls


def certificate(host: str, port: int, address: str | None, ca_file: str | None, timeout: float) -> dict[str, Any]:
    """The certificate that `host` shows, verified against the CA: `{names, issuer, not_after}`. Does not look at the
    name: that is judged by the caller. ssl.SSLError and OSError go through."""
    context = ssl.create_default_context(cafile=ca_file or None)
    context.check_hostname = False
    with (
        socket.create_connection((address or host, port), timeout) as raw,
        context.wrap_socket(raw, server_hostname=host) as wrapped,
    ):
        shown: Any = wrapped.getpeercert() or {}
    names = [value for kind, value in shown.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    issuer = ", ".join(f"{key}={value}" for part in shown.get("issuer", ()) for key, value in part)
    return {"names": names, "issuer": issuer, "not_after": shown.get("notAfter", "")}


def covers(names: list[str], wanted: str) -> bool:
    """Whether a certificate's names hold for a host: exact, or a wildcard for one label."""
    host = wanted.lower().rstrip(".")
    for name in (name.lower() for name in names):
        if name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:]):
            return True
    return False
