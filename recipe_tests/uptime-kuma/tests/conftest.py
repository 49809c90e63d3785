"""Somebody who is logged in, and something to watch."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from uptime_kuma_client import Kuma, owner

# A web server beside Kuma, in Kuma's own container and reachable from there alone. It says where it listens, and ends
# by itself when a test could not end it.
SERVER = """
require("http").createServer((_, answer) => answer.end("I am well"))
    .listen(0, "127.0.0.1", function () { console.log(this.address().port); });
setTimeout(() => process.exit(), 600000);
"""
START = """
out=$(mktemp)
node -e "$1" >"$out" 2>&1 </dev/null &
tries=0
until [ -s "$out" ] || [ $tries -ge 100 ]; do sleep 0.2; tries=$((tries + 1)); done
echo $! "$(cat "$out")"
"""


@dataclass
class Target:
    """A web server that can be stopped."""

    url: str
    stop: Callable[[], None]


@pytest.fixture
def kuma(app) -> Iterator[Kuma]:
    with owner(app) as connection:
        yield connection


@pytest.fixture
def target(app) -> Iterator[Target]:
    started = app.exec_in("app", ["sh", "-c", START, "sh", SERVER])
    pid, _, port = started.stdout.strip().partition(" ")
    assert port.isdigit(), f"the web server did not start: {started.stdout}{started.stderr}"
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped:
            ended = app.exec_in("app", ["sh", "-c", 'kill "$1"', "sh", pid])
            assert ended.rc == 0, f"the web server was gone before it was stopped: {ended.stderr}"
            stopped = True

    yield Target(f"http://127.0.0.1:{port}/", stop)
    stop()


@dataclass
class Watched:
    """A monitor of a target; `after` is where its heartbeats begin."""

    id: int
    name: str
    target: Target
    after: int = field(default=0)


@pytest.fixture
def watched(kuma, target) -> Iterator[Watched]:
    name = f"A page {secrets.token_hex(4)}"
    after = kuma.position()
    made = Watched(kuma.add_monitor(name=name, url=target.url), name, target, after)
    yield made
    kuma.delete_monitor(made.id)


@pytest.fixture
def beat(kuma) -> Callable[[Watched, int, str], dict[str, Any]]:
    """Waits for a heartbeat of that status; a monitor beats every 20 seconds."""

    def wait(watched: Watched, status: int, what: str) -> dict[str, Any]:
        def matches(one: dict[str, Any]) -> bool:
            return int(one["monitorID"]) == watched.id and one["status"] == status

        (found,) = kuma.wait_for("heartbeat", matches, 60, what, watched.after)
        return found

    return wait
