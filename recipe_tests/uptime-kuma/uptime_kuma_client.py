"""Uptime Kuma as its own pages talk to it: Socket.IO, since it has no other interface for what is written.

Long polling, through the ingress like everything else. Whatever is waited for has a limit and says what it was.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import socketio
from socketio.exceptions import ConnectionError as NotConnected
from socketio.exceptions import TimeoutError as NoAnswer

OWNER = "operator"
CONNECT_FOR = 60.0  # seconds in which a Kuma that is just starting again may become reachable
ANSWER_WITHIN = 30.0  # seconds for one answer; a login computes a slow hash
TOO_OFTEN = "Too frequently"  # twenty logins a minute, and each call of the marker is one

DOWN, UP = 0, 1


class RefusedError(Exception):
    """Kuma's own words when it says no."""


class Kuma:
    """One connection. It is not made again by itself: who is cut off must know it."""

    def __init__(self, app: Any) -> None:
        self._events: list[tuple[str, tuple[Any, ...]]] = []
        self._came = threading.Condition()
        deadline = time.monotonic() + CONNECT_FOR
        while True:
            self._socket = socketio.Client(
                http_session=app.http().session, reconnection=False, request_timeout=ANSWER_WITHIN, handle_sigint=False
            )  # fmt: skip
            self._socket.on("*", self._keep)
            try:
                self._socket.connect(app.url.rstrip("/"), transports=["polling"], wait_timeout=ANSWER_WITHIN)
                return
            except NotConnected as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no connection to {app.url} within {CONNECT_FOR:.0f} s: {error}") from error
            time.sleep(1)

    def close(self) -> None:
        self._socket.disconnect()

    def ask(self, event: str, *arguments: Any) -> Any:
        """Whatever Kuma answers to the event."""
        try:
            return self._socket.call(event, arguments, timeout=ANSWER_WITHIN)
        except NoAnswer as error:
            raise TimeoutError(f"Kuma did not answer {event!r} within {ANSWER_WITHIN:.0f} s") from error

    def call(self, event: str, *arguments: Any) -> dict[str, Any]:
        """The answer to an event that may be refused: then RefusedError."""
        answer = self.ask(event, *arguments)
        if not answer.get("ok"):
            raise RefusedError(f"{event}: {answer.get('msg', answer)}")
        return answer

    def log_in(self, name: str, password: str) -> None:
        """As that account, which is made first where Kuma has none at all."""
        if self.ask("needSetup"):
            self.call("setup", name, password)
        deadline = time.monotonic() + 2 * CONNECT_FOR
        while True:
            try:
                self.call("login", {"username": name, "password": password, "token": ""})
                return
            except RefusedError as error:
                if TOO_OFTEN not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(5)

    def position(self) -> int:
        """For `wait_for`: now."""
        with self._came:
            return len(self._events)

    def wait_for(
        self, event: str, matches: Callable[..., bool], within: float, what: str, after: int = 0
    ) -> tuple[Any, ...]:
        """The arguments of the first such event that came after `after`. AssertionError with what came instead."""

        def found() -> tuple[Any, ...] | None:
            return next((given for name, given in self._events[after:] if name == event and matches(*given)), None)

        with self._came:
            if self._came.wait_for(lambda: found() is not None or not self._socket.connected, within):
                given = found()
                assert given is not None, f"the connection was cut while {what} was waited for"
                return given
            came = [given for name, given in self._events[after:] if name == event]
        raise AssertionError(f"{what} did not come within {within:.0f} s; of {event!r} came: {str(came)[-500:]}")

    def monitors(self) -> list[dict[str, Any]]:
        """All monitors, as Kuma reads them from its database now."""
        before = self.position()
        self.call("getMonitorList")
        (found,) = self.wait_for("monitorList", lambda _: True, ANSWER_WITHIN, "the list of monitors", before)
        return list(found.values())

    def add_monitor(self, **settings: Any) -> int:
        """A monitor that asks for a page every 20 seconds, which is as often as Kuma can; its id."""
        wanted = {
            "type": "http", "method": "GET", "interval": 20, "retryInterval": 20, "resendInterval": 0, "maxretries": 0,
            "timeout": 10, "maxredirects": 0, "accepted_statuscodes": ["200-299"], "notificationIDList": {},
        }  # fmt: skip
        return int(self.call("add", wanted | settings)["monitorID"])

    def delete_monitor(self, number: int) -> None:
        self.call("deleteMonitor", number)

    def _keep(self, event: str, *given: Any) -> None:
        with self._came:
            self._events.append((event, given))
            self._came.notify_all()


@contextmanager
def stranger(app: Any) -> Iterator[Kuma]:
    """Somebody who has not logged in."""
    kuma = Kuma(app)
    try:
        yield kuma
    finally:
        kuma.close()


@contextmanager
def owner(app: Any) -> Iterator[Kuma]:
    """The account that Kuma belongs to, made by whoever comes first in a run."""
    with stranger(app) as kuma:
        kuma.log_in(OWNER, app.password("owner"))
        yield kuma
