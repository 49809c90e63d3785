"""Processes fight for one lock on a real swarm, with crashes and pauses longer than the lease: never two at once."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccci_host import lock, processes
from ccci_host.docker import Client, DockerError

NAME = "ccci-test-lock"
LEASE = 1.0
FIGHTERS, SECONDS = 5, 12.0


def fight(journal: Path, seed: int, seconds: float) -> None:
    """One fighter. Writes `{run, from, to}`: the monotonic times between which it surely held the lock."""
    lock.LOCK = NAME
    chance, client, me = random.Random(seed), Client(), processes.identity()
    end, number, holds = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        number += 1
        run = f"{me['pid']}-{number}"
        if not lock.acquire(client, run, me, LEASE, here=me).held:
            time.sleep(chance.uniform(0.005, 0.03))
            continue
        holds += 1
        span = {"run": run, "from": time.monotonic(), "to": time.monotonic(), "end": "released"}
        try:
            for _ in range(chance.randint(1, 4)):
                time.sleep(chance.uniform(0.0, 0.08))
                before = time.monotonic()
                lock.renew(client, {"run": run}, LEASE)
                span["to"] = before
            if seed % 2 and holds == 2:
                span["end"] = "crashed"
                write(journal, span)
                os._exit(9)
            if chance.random() < 0.15:
                time.sleep(LEASE * 1.6)
                lock.renew(client, {"run": run}, LEASE)
                span["to"] = time.monotonic()
            last = time.monotonic()
            if lock.release(client, run):
                span["to"] = last
            else:
                span["end"] = "lost"
        except lock.LockLost:
            span["end"] = "lost"
        write(journal, span)


def write(journal: Path, span: dict[str, object]) -> None:
    descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (json.dumps(span) + "\n").encode())
    os.close(descriptor)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(lock, "LOCK", NAME)
    client = Client()
    remove(client)
    yield client
    remove(client)


def remove(client: Client) -> None:
    with contextlib.suppress(DockerError):
        client.delete(f"/configs/{NAME}")


@pytest.mark.docker
def test_never_two_at_once(client: Client, tmp_path: Path) -> None:
    journal, end, seed = tmp_path / "spans.jsonl", time.monotonic() + SECONDS, 0
    running: list[subprocess.Popen[bytes]] = []
    while time.monotonic() < end or running:
        running = [process for process in running if process.poll() is None]
        while len(running) < FIGHTERS and time.monotonic() < end:
            seed += 1  # a crashed fighter is replaced by the next one
            command = [sys.executable, __file__, str(journal), str(seed), str(end - time.monotonic())]
            running.append(subprocess.Popen(command))
        time.sleep(0.05)
    spans = sorted(map(json.loads, journal.read_text().splitlines()), key=lambda span: float(span["from"]))
    ends = {span["end"] for span in spans}
    assert len(spans) >= 10
    assert ends >= {"released", "crashed"}, ends
    overlaps = [(a, b) for a, b in itertools.pairwise(spans) if b["from"] < a["to"]]
    assert not overlaps


@pytest.mark.docker
def test_a_lock_goes_through_its_life(client: Client) -> None:
    me = processes.identity()
    other = {**me, "pid_ns": "elsewhere"}
    assert lock.acquire(client, "a", other, 900, here=me).held
    attempt = lock.acquire(client, "b", me, 900, here=me)
    assert (attempt.held, attempt.other and attempt.other.run) == (False, "a")
    lock.renew(client, {"run": "a", "lease": 50})
    assert (read := lock.read(client)) is not None
    assert read.lease == 50
    with pytest.raises(lock.LockLost, match="run a took it over"):
        lock.renew(client, {"run": "b"})
    assert lock.acquire(client, "a", me, 900, here=me).held is False, "another process of the same run"
    assert lock.acquire(client, "a", me, 900, here=me, reenter=True).held
    assert lock.acquire(client, "b", me, 900, gone=["a"]).taken_from == "a"
    assert lock.release(client, "a") is False
    assert lock.release(client, "b") is True
    assert lock.read(client) is None
    with pytest.raises(lock.LockLost, match="is gone"):
        lock.renew(client, {"run": "b"})


if __name__ == "__main__":
    fight(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
