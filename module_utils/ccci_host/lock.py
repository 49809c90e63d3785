"""The node's lock: a swarm config with a fixed name, held by one run at a time.

Creating a config is atomic in the swarm's store, and an update of its labels is a compare-and-swap on its version. That
is all the protocol needs; nothing in it looks at a clock but the daemon's. docs/decisions/0002 says why.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from . import engine
from .docker import Client, timestamp
from .docker_errors import DockerError
from .processes import caller, is_gone

LOCK = "ccci-lock"
RUN, HOLDER, LEASE, RELEASED = "ccci.run", "ccci.holder", "ccci.lease", "ccci.released"
DEFAULT_LEASE = 900  # seconds between signs of life
TRIES = 20  # bound of every retry: each one means that another process was faster in between
_OUT_OF_SEQUENCE = "out of sequence"
Holder = Mapping[str, Any]  # {machine_id, boot_id, pid_ns, pid, start_time, host}: see processes.identity


class LockError(Exception):
    """The lock cannot be read or moved the way the protocol says."""


class LockLost(LockError):  # noqa: N818 - says what happened
    """The run does not hold the node any more: it must stop at once."""


@dataclass(frozen=True)
class Lock:
    """The lock as it was read. `lease` is in seconds, `updated` is the daemon's time of the last sign of life."""

    id: str
    version: int
    run: str
    holder: dict[str, Any]
    lease: float
    updated: float
    released: bool

    def age(self, now: float) -> float:
        return now - self.updated


@dataclass(frozen=True)
class Attempt:
    """What one try to acquire came to: `held`, maybe `taken_from` a run; or the `other` lock that is in the way."""

    held: bool
    taken_from: str = ""
    other: Lock | None = None
    age: float = 0.0


def read(client: Client) -> Lock | None:
    """The lock as it is now; None when nobody holds it."""
    try:
        return parse(client.get(f"/configs/{LOCK}"))
    except DockerError as error:
        if error.status == 404:
            return None
        raise


def parse(config: Mapping[str, Any]) -> Lock:
    """One object of the API's /configs. Labels that are missing or spoilt read as a lock that is long overdue."""
    labels = config["Spec"].get("Labels") or {}
    return Lock(
        id=config["ID"],
        version=int(config["Version"]["Index"]),
        run=labels.get(RUN, ""),
        holder=_json(labels.get(HOLDER, "")),
        lease=_number(labels.get(LEASE, "")),
        updated=timestamp(config["UpdatedAt"]),
        released=RELEASED in labels,
    )


def may_take(
    lock: Lock, now: float, run: str, holder: Holder, gone: Collection[str] = (), here: Holder | None = None
) -> str:
    """Why `run` may take the lock over, or "" when it may not. Pure.

    `now` is the daemon's time; `gone` are runs whose holder the caller knows to be dead; `here` is the identity of
    this machine, against which a holder's process can be looked up (see processes.is_gone).
    """
    if lock.run == run and lock.holder == dict(holder):
        return "it is ours"
    if lock.run in gone or (here is not None and is_gone(lock.holder, here)):
        return "its holder is dead"
    if lock.age(now) > lock.lease:
        return f"its lease of {lock.lease:.0f} s is over"
    return ""


def described(attempt: Attempt) -> str:
    """Who is in the way, for people."""
    if attempt.other is None:
        return "nobody holds the node"
    lock, holder = attempt.other, attempt.other.holder
    where = f" (process {holder.get('pid')} on {holder.get('host')})" if holder else ""
    return f"run {lock.run}{where} holds the node; its last sign of life was {max(attempt.age, 0):.0f} s ago"


def acquire(
    client: Client, run: str, holder: Holder, lease: float = DEFAULT_LEASE, gone: Collection[str] = (),
    here: Holder | None = None, reenter: bool = False,
) -> Attempt:  # fmt: skip
    """One try, without waiting. `reenter`: a lock that carries our run's name counts as ours, whoever took it."""
    labels = _labels(run, holder, lease)
    for _ in range(TRIES):
        if _create(client, labels):
            return Attempt(held=True)
        lock = read(client)
        if lock is None:
            continue
        if lock.released:
            _delete(client, lock.id)
            continue
        now = client.system_time()
        if not (reenter and lock.run == run) and not may_take(lock, now, run, holder, gone, here):
            return Attempt(held=False, other=lock, age=lock.age(now))
        if _update(client, lock, labels):
            return Attempt(held=True, taken_from=lock.run if lock.run != run else "")
    raise LockError(f"The lock {LOCK} changed {TRIES} times while run {run} tried to take it")


def renew(client: Client, scope: Mapping[str, Any], lease: float | None = None) -> None:
    """A sign of life of the run that works on `scope`. LockLost when it does not hold the node any more;
    EngineRestarted when Docker is not the one that it began with.

    `lease` is in seconds; without it the scope's own, or what the lock has.
    """
    engine.demand_same(scope)
    run = caller(scope)
    for _ in range(TRIES):
        lock = _ours(client, run)
        seconds = float(lease or scope.get("lease") or lock.lease)
        if _update(client, lock, _labels(run, lock.holder, seconds)):
            _ours(client, run)
            return
    raise LockError(f"The lock {LOCK} changed {TRIES} times while run {run} renewed it")


def release(client: Client, run: str) -> bool:
    """Gives the node back. False when the run did not hold it: somebody took it over, or it was released before."""
    for _ in range(TRIES):
        lock = read(client)
        if lock is None or lock.run != run:
            return False
        # Marked first: a delete by id alone could hit the lock of the run that took it over a moment ago.
        if lock.released or _update(client, lock, {**_labels(run, lock.holder, lock.lease), RELEASED: "1"}):
            _delete(client, lock.id)
            return True
    raise LockError(f"The lock {LOCK} changed {TRIES} times while run {run} released it")


def _ours(client: Client, run: str) -> Lock:
    lock = read(client)
    if lock is None or lock.released:
        raise LockLost(f"Run {run} does not hold the node any more: its lock {LOCK} is gone")
    if lock.run != run:
        raise LockLost(f"Run {run} does not hold the node any more: run {lock.run} took it over")
    return lock


def _labels(run: str, holder: Holder, lease: float) -> dict[str, str]:
    return {RUN: run, HOLDER: json.dumps(dict(holder), sort_keys=True), LEASE: f"{lease:.0f}"}


def _create(client: Client, labels: Mapping[str, str]) -> bool:
    data = base64.b64encode(b"held by the run in the label ccci.run\n").decode()
    try:
        client.post("/configs/create", {"Name": LOCK, "Labels": dict(labels), "Data": data})
    except DockerError as error:
        if error.status == 409:
            return False
        raise
    return True


def _update(client: Client, lock: Lock, labels: Mapping[str, str]) -> bool:
    """Compare-and-swap. False when the lock was changed or deleted since it was read."""
    return update_labels(client, lock.id, lock.version, labels)


def update_labels(client: Client, config_id: str, version: int, labels: Mapping[str, str]) -> bool:
    """Replaces the labels of a config if it still has this version. Data cannot change, and must be sent again."""
    try:
        spec = client.get(f"/configs/{config_id}")["Spec"]
        client.post(f"/configs/{config_id}/update", {**spec, "Labels": dict(labels)}, version=version)
    except DockerError as error:
        if error.status == 404 or _OUT_OF_SEQUENCE in error.message:
            return False
        raise
    return True


def _delete(client: Client, config_id: str) -> None:
    try:
        client.delete(f"/configs/{config_id}")
    except DockerError as error:
        if error.status != 404:
            raise


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
