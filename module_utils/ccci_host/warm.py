"""Providers that outlive the runs which use them, so that a dep need not boot for each run.

A warm dep looks like a run that was kept: it has a journal (state `warm`), a folder and a scope of its own, called
`warm-<recipe>`. Each run that uses it borrows: what a provider makes for a run bears a name of its own and is taken
away afterwards. All of it happens under the lock of the run that works.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import engine, journal, preflight, state
from .docker import Client, service_name
from .docker_errors import DockerError
from .inventory import Objects, without
from .journal import WARM, Journal
from .lock import TRIES, LockError
from .processes import caller

KEY, SECRETS = "warm", "secrets"  # of state.json: {digest, services, since, loans: {name: run}, shed: {by, replicas}}
STOP_LIMIT = 30.0  # seconds for containers to end
POLL_SECONDS = 0.3
Scope = Mapping[str, Any]


def known(scope: Scope) -> dict[str, Any]:
    """What the node knows of a warm dep; empty when there is none, or nothing that could be read."""
    try:
        found = state.load(scope).get(KEY)
    except (OSError, ValueError):
        return {}
    return dict(found) if isinstance(found, dict) else {}


def begin(client: Client, scope: Scope) -> None:
    """Before its first change to the node. Until `keep` its journal is that of any run, so that one that was broken off
    is taken away."""
    journal.write(client, {**scope, journal.MAKER: caller(scope)})
    Path(str(scope["node_dir"])).mkdir(mode=0o700, parents=True, exist_ok=True)
    engine.remember(scope)
    state.update(scope, **{KEY: {"digest": ""}})


def keep(client: Client, scope: Scope, digest: str) -> None:
    """It is up, and runs may use it. `digest`: what it was made from."""
    services = [service_name(service, scope["stack"]) for service in client.services(scope["stack"])]
    state.update(scope, **{KEY: {"digest": digest, "services": services, "since": time.time()}})
    journal.set_state(client, str(scope["run"]), WARM)


def is_half_made(client: Client, scope: Scope, run: str) -> bool:
    """Whether this run began to make it, and did not come to its end."""
    found = journal.find(client, str(scope["run"]))
    return found is not None and found.state != WARM and found.scope.get(journal.MAKER) == run


def doubt(scope: Scope) -> None:
    """It was up and answered, but did not do what it is there for: the next run makes it anew."""
    state.update(scope, **{KEY: {**known(scope), "digest": ""}})


def unusable(client: Client, scope: Scope, digest: str) -> str:
    """Why it has to be made anew, as far as that can be seen at once; "" for nothing."""
    found, it = journal.find(client, str(scope["run"])), known(scope)
    if found is None:
        return "there was none"
    if found.state != WARM or not it:
        return "the last one was not made to its end"
    if not it.get("digest"):
        return "the last run that borrowed it did not get what it provides"
    if it["digest"] != digest:
        return "it was made from other settings, or another version"
    there = [service_name(service, scope["stack"]) for service in client.services(scope["stack"])]
    gone = sorted(set(it.get("services") or []) - set(there))
    return f"it has lost {', '.join(gone)}" if gone else ""


def lend(scope: Scope, name: str, run: str) -> None:
    """Writes down that something called `name` is about to be made in it for `run`."""
    it = known(scope)
    state.update(scope, **{KEY: {**it, "loans": {**(it.get("loans") or {}), name: run}}})


def take_back(scope: Scope, name: str) -> None:
    it = known(scope)
    loans = {loan: run for loan, run in (it.get("loans") or {}).items() if loan != name}
    state.update(scope, **{KEY: {**it, "loans": loans}})


def owed(it: Mapping[str, Any], runs: Collection[str]) -> list[str]:
    """What was made for runs that are not among `runs`, those that the node knows: nobody else takes it away. Pure."""
    return sorted(name for name, run in (it.get("loans") or {}).items() if run not in runs)


def make_room(client: Client, wanted: int, scopes: Sequence[Scope], run: str) -> list[str]:
    """Stops warm deps, one after the other, until `wanted` bytes of memory are available; the recipes of those. When
    all of them are not enough, they are started again, and none is named."""
    stopped: list[Scope] = []
    for scope in scopes:
        if preflight.memory() >= wanted:
            break
        if shed(client, scope, run):
            stopped.append(scope)
    if preflight.memory() >= wanted:
        return [str(scope["recipe"]) for scope in stopped]
    for scope in stopped:
        restore(client, scope)
    return []


def shed(client: Client, scope: Scope, run: str) -> bool:
    """Stops its containers and keeps all else. False for one that does not run anyway."""
    it = known(scope)
    replicas = {
        service["ID"]: int(mode["Replicated"].get("Replicas", 1))
        for service in client.services(scope["stack"])
        if "Replicated" in (mode := service["Spec"]["Mode"])
    }
    running = {id: count for id, count in replicas.items() if count}
    if not it or it.get("shed") or not running:
        return False
    state.update(scope, **{KEY: {**it, "shed": {"by": run, "replicas": running}}})
    for id in running:
        _scale(client, id, 0)
    deadline = time.monotonic() + STOP_LIMIT
    while client.containers(scope["stack"]) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return True


def restore(client: Client, scope: Scope) -> bool:
    """Starts what `shed` stopped; waits for nothing."""
    it = known(scope)
    stopped = it.get("shed")
    if not stopped:
        return False
    for id, count in stopped["replicas"].items():
        _scale(client, id, count)
    state.update(scope, **{KEY: {**it, "shed": None}})
    return True


def restore_after(client: Client, run: str) -> list[str]:
    """Starts again what was stopped for `run`; the recipes of those."""
    return [
        str(one.scope["recipe"])
        for one in warm(journal.read_all(client))
        if (known(one.scope).get("shed") or {}).get("by") == run and restore(client, one.scope)
    ]


def adopt(journals: Sequence[Journal], dead: Collection[str], run: str) -> None:
    """What was stopped for runs that are gone stays so for `run`, whose teardown starts it again: the teardowns of the
    dead, which come next, must not take the memory that `run` counts on."""
    alive = {one.run for one in journals} - set(dead) | {run}
    for one in warm(journals):
        it = known(one.scope)
        stopped = it.get("shed")
        if stopped and stopped["by"] not in alive:
            state.update(one.scope, **{KEY: {**it, "shed": {**stopped, "by": run}}})


def left_out(client: Client, *snapshots: Objects) -> list[Objects]:
    """Snapshots of the node without warm deps, which a run may have made, stopped or started, and which stay."""
    scopes = [one.scope for one in warm(journal.read_all(client))]
    return [functools.reduce(without, scopes, snapshot) for snapshot in snapshots]


def warm(journals: Iterable[Journal]) -> list[Journal]:
    return [one for one in journals if one.state == WARM]


def _scale(client: Client, id: str, replicas: int) -> None:
    """A service that is gone meanwhile is nothing to scale."""
    for _ in range(TRIES):
        try:
            service = client.get(f"/services/{id}")
            mode = {"Replicated": {"Replicas": replicas}}
            client.post(
                f"/services/{id}/update", {**service["Spec"], "Mode": mode}, version=service["Version"]["Index"]
            )
        except DockerError as error:
            if error.status == 404:
                return
            if "out of sequence" not in error.message:
                raise
        else:
            return
    raise LockError(f"The service {id} changed {TRIES} times while it was scaled to {replicas}")
