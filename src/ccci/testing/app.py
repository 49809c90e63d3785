"""The fixture `app`: the deployed app as a test sees it."""

from __future__ import annotations

import secrets
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from ccci import redaction
from ccci.testing import node
from ccci.testing.context import Context
from ccci.testing.node import Done
from ccci_probe.connection import session
from ccci_probe.polling import short

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0  # seconds
SHOWN = 120  # characters of an answer that was not the last one


class App:
    """`domain`, `url`, `version` (of the ref under test, when it is a published one), `recipe`, `stack`."""

    def __init__(self, context: Context, journal: list[str] | None = None, retry_for: float = 60.0) -> None:
        """`journal` gets each retry of its clients, for the test's evidence; `retry_for` is what they do in seconds."""
        self._context, self._journal, self._retry_for = context, [] if journal is None else journal, retry_for
        self.recipe, self.domain, self.url = context.recipe, context.domain, context.url
        self.stack, self.version = context.stack, context.version

    def http(self, retry_for: float | None = None) -> Http:
        """A client with cookies of its own; paths are relative to the app's url. For 60 seconds, or `retry_for`, it
        repeats what an app cannot answer yet."""
        return Http(self._context, self._retry_for if retry_for is None else retry_for, self._journal)

    def connect(self, port: int, tls: bool = False, limit: float = 10.0) -> socket.socket:
        """A TCP connection to a port that the app publishes, or to one of the ingress. With `tls` it is encrypted, and
        the certificate verified for the app's domain. `limit` (seconds) holds for the connection and for each read."""
        context = self._context
        connection = socket.create_connection((context.ingress_address or self.domain, port), limit)
        if not tls:
            return connection
        return ssl.create_default_context(cafile=context.ca_file or None).wrap_socket(
            connection, server_hostname=self.domain
        )

    def exec_in(
        self, service: str, argv: Sequence[str], stdin: str | None = None, user: str = "", limit: float = 60.0
    ) -> Done:
        """Runs a command in a service: `rc`, `stdout`, `stderr`. No shell reads it; `limit` is in seconds."""
        return node.exec_in(self._context, service, argv, stdin, user, limit)

    def sidecar(self, image: str, argv: Sequence[str], service: str = "app", limit: float = 60.0) -> Done:
        """Runs a command in a throwaway container that shares the network of a service: other services by their names,
        the service itself on localhost. `argv` is the whole command; the image is pulled when the node lacks it."""
        return node.sidecar(self._context, image, argv, service, limit)

    def converges(self, limit: float = 300.0) -> str:
        """Waits until all services are up and stable, for at most `limit` seconds; says what was seen. NotConverged,
        with the cause, as soon as it is certain that they won't be."""
        return node.converges(self._context, limit)

    def secret(self, name: str) -> str:
        """A secret that was made in this run, of a dep's own first. KeyError names those there are."""
        known = redaction.load_secrets(Path(self._context.run_dir))
        if self._context.dep and f"{self._context.dep}.{name}" in known:
            return known[f"{self._context.dep}.{name}"]
        if name not in known:
            raise KeyError(f"there is no secret {name!r}; this run made {', '.join(sorted(known)) or 'none'}")
        return known[name]

    def password(self, person: str) -> str:
        """A password of this run for a person of the tests: made when it is first asked for, the same in the tests and
        the marker of a run, hidden wherever the run is told of. 32 letters and digits, of each kind at least one."""
        return redaction.secret_of(
            Path(self._context.run_dir), f"password.{person}", lambda: f"{secrets.token_hex(14)}aA1z"
        )


class Http:
    """requests, through the ingress, with one rule for retries: transport errors and statuses of 500 and more are
    asked again until `retry_for` seconds are over, everything else is an answer. Retries are kept in `retried`, and in
    the evidence of the test."""

    def __init__(self, context: Context, retry_for: float, journal: list[str]) -> None:
        self.session = session(context.ingress_address or None, context.ca_file or None)
        self._base = context.url.rstrip("/") + "/"
        self._retry_for = retry_for
        self._journal = journal
        self.retried: list[str] = []

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> requests.Response:
        return self.request("HEAD", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> requests.Response:
        return self.request("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> requests.Response:
        return self.request("DELETE", path, **options)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """The last answer, whatever its status; the last transport error when there never was an answer."""
        began, pause = time.monotonic(), FIRST_PAUSE
        deadline = began + self._retry_for
        options.setdefault("timeout", 30)
        address = urljoin(self._base, path.lstrip("/") if "://" not in path else path)
        while True:
            asked = time.monotonic() - began
            try:
                response = self.session.request(method, address, **options)
                if response.status_code < 500 or time.monotonic() + pause > deadline:
                    return response
                why = short(f"status {response.status_code}: {response.text}", SHOWN)
            except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
                if time.monotonic() + pause > deadline or isinstance(error, requests.exceptions.SSLError):
                    raise
                why = short(f"{type(error).__name__}: {error}", SHOWN)
            self.retried.append(f"after {asked:.1f} s: {method} {address}: {why}")
            self._journal.append(self.retried[-1])
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.5)
