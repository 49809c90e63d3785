"""The journals: one swarm config per run that may have changed the node, written before its first change.

A journal keeps the run's scope (see docs/architecture.md), so that a dead run can be taken away without its plan. It is
deleted after a verified teardown; so no journal means that there is nothing to take away. Only its state ever changes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .docker import Client
from .docker_errors import DockerError
from .lock import TRIES, LockError, update_labels

PREFIX = "ccci-run-"
RUN, STATE = "ccci.run", "ccci.state"
MAKER = "maker"  # in the scope of a warm dep: the run that makes it
LIVE, KEPT, LEFTOVER, WARM = STATES = ("live", "kept", "leftover", "warm")


@dataclass(frozen=True)
class Journal:
    """`state`: `live` from the start, `kept` on purpose, `leftover` after a teardown that did not get all; `warm` is no
    run but a provider that runs may use."""

    id: str
    version: int
    run: str
    state: str
    scope: dict[str, Any]

    @property
    def stacks(self) -> list[str]:
        return stacks_of(self.scope)


def stacks_of(scope: Mapping[str, Any]) -> list[str]:
    """The stacks of a run: its recipe and every dep."""
    return [str(app["stack"]) for app in scope.get("apps") or [] if app.get("stack")]


def parse(config: Mapping[str, Any]) -> Journal:
    """One object of the API's /configs. A journal that cannot be read still names its run, so it is not forgotten."""
    spec = config["Spec"]
    labels = spec.get("Labels") or {}
    run = labels.get(RUN) or str(spec["Name"]).removeprefix(PREFIX)
    try:
        scope = json.loads(base64.b64decode(spec.get("Data") or ""))
    except ValueError:
        scope = {}
    return Journal(config["ID"], int(config["Version"]["Index"]), run, labels.get(STATE, LIVE), {**scope, "run": run})


def write(client: Client, scope: Mapping[str, Any]) -> None:
    """Makes the journal of a run. One that is there already is the same run's and stays."""
    data = base64.b64encode(json.dumps(dict(scope), sort_keys=True).encode()).decode()
    labels = {RUN: str(scope["run"]), STATE: LIVE}
    try:
        client.post("/configs/create", {"Name": PREFIX + str(scope["run"]), "Labels": labels, "Data": data})
    except DockerError as error:
        if error.status != 409:
            raise


def read_all(client: Client) -> list[Journal]:
    """Every journal of the node, oldest run first."""
    found = client.get("/configs", filters={"name": [PREFIX]}) or []
    return sorted(map(parse, found), key=lambda journal: journal.run)


def find(client: Client, run: str) -> Journal | None:
    try:
        return parse(client.get(f"/configs/{PREFIX}{run}"))
    except DockerError as error:
        if error.status == 404:
            return None
        raise


def set_state(client: Client, run: str, state: str) -> None:
    """Nothing happens when the journal is gone: whoever deleted it has verified that nothing is left."""
    for _ in range(TRIES):
        journal = find(client, run)
        if journal is None or journal.state == state:
            return
        if update_labels(client, journal.id, journal.version, {RUN: run, STATE: state}):
            return
    raise LockError(f"The journal of run {run} changed {TRIES} times while its state was set to {state}")


def delete(client: Client, run: str) -> None:
    try:
        client.delete(f"/configs/{PREFIX}{run}")
    except DockerError as error:
        if error.status != 404:
            raise


def dead(journals: Iterable[Journal], alive: str) -> list[Journal]:
    """Journals of runs that nobody plays any more, given the run that holds the lock and lives ("" for none), and of
    warm deps that nobody is making. Pure."""
    return [
        journal for journal in journals
        if journal.state not in (KEPT, WARM) and alive not in (journal.run, journal.scope.get(MAKER, journal.run))
    ]  # fmt: skip
