"""What is on the node, before the run's first change and after its teardown, and what the difference means.

Only what is attributable to the run decides. A shared node changes under our hands; whatever else appeared or went away
is `foreign`: told, but nobody's fault.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .docker import STACK_LABEL, Client
from .journal import PREFIX, stacks_of
from .lock import LOCK

Objects = dict[str, dict[str, dict[str, str]]]  # {kind: {id: {"name": …, "stack": …}}}
KINDS = ("service", "container", "volume", "secret", "config", "network", "env")
FOREIGN_LIMIT = 50  # entries; a node that changes more than that tells nobody anything


@dataclass(frozen=True)
class Difference:
    """`left_behind` [{kind, name}] is the run's; `foreign` [{kind, name, change: appeared|gone}] is not."""

    left_behind: list[dict[str, str]]
    foreign: list[dict[str, str]]


def snapshot(client: Client, abra_dir: Path) -> Objects:
    """Every object of the node by kind and id. `env` are the apps' settings below the run's own ABRA_DIR.

    Not the tasks: swarm forgets them by itself, seconds after their containers are gone, and they hold nothing.
    """
    return {
        "service": _listed(client.get("/services"), _spec),
        "container": _listed(client.get("/containers/json", all=True), _container),
        "volume": _listed((client.get("/volumes") or {}).get("Volumes"), _plain, key="Name"),
        "secret": _listed(client.get("/secrets"), _spec),
        "config": _listed(client.get("/configs"), _spec),
        "network": _listed(client.get("/networks"), _plain, key="Id"),
        "env": {str(path): {"name": path.stem, "stack": ""} for path in abra_dir.glob("servers/*/*.env")},
    }


def attributable(kind: str, entry: Mapping[str, str], scope: Mapping[str, Any], mounts: Collection[str] = ()) -> bool:
    """Whether an object belongs to the run. Pure.

    Its stack label decides; without one its name (`<stack>_…`); an anonymous volume by `mounts`, the names of the
    volumes that the run's containers had. The env files are looked for in the run's own folder only.
    """
    if kind == "env":
        return True
    stacks = stacks_of(scope)
    if entry["stack"]:
        return entry["stack"] in stacks
    if kind == "volume" and entry["name"] in mounts:
        return True
    return any(entry["name"].startswith(f"{stack}_") for stack in stacks)


def own(objects: Objects, scope: Mapping[str, Any], mounts: Collection[str] = ()) -> Objects:
    """The part of a snapshot that belongs to the run. Pure."""
    return {
        kind: {id: entry for id, entry in entries.items() if attributable(kind, entry, scope, mounts)}
        for kind, entries in objects.items()
    }


def without(objects: Objects, scope: Mapping[str, Any]) -> Objects:
    """The part of a snapshot that does not belong to the run. Pure."""
    theirs = own(objects, scope)
    return {kind: {id: e for id, e in entries.items() if id not in theirs[kind]} for kind, entries in objects.items()}


def compare(before: Objects, after: Objects, scope: Mapping[str, Any], mounts: Collection[str] = ()) -> Difference:
    """What a teardown left, and what else changed meanwhile. Pure. The lock and the journals are no part of it."""
    left = [
        {"kind": kind, "name": entry["name"]}
        for kind, entries in own(after, scope, mounts).items()
        for entry in entries.values()
    ]
    foreign = []
    for kind in KINDS if before else ():
        old, new = before.get(kind, {}), after.get(kind, {})
        changes = [(new[id], "appeared") for id in new.keys() - old.keys()]
        changes += [(old[id], "gone") for id in old.keys() - new.keys()]
        foreign += [
            {"kind": kind, "name": entry["name"], "change": change}
            for entry, change in changes
            if not attributable(kind, entry, scope, mounts) and not _bookkeeping(kind, entry["name"])
        ]
    return Difference(_sorted(left), _sorted(foreign)[:FOREIGN_LIMIT])


def named(objects: Objects) -> list[str]:
    """`volume stack_data` and so on, for people."""
    return [f"{kind} {entry['name']}" for kind in objects for entry in objects[kind].values()]


def _bookkeeping(kind: str, name: str) -> bool:
    return kind == "config" and (name == LOCK or name.startswith(PREFIX))


def _sorted(items: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(items, key=lambda item: (KINDS.index(item["kind"]), item["name"]))


def _listed(found: Any, read: Any, key: str = "") -> dict[str, dict[str, str]]:
    return {str(one[key or ("ID" if "ID" in one else "Id")]): read(one) for one in found or []}


def _spec(one: Mapping[str, Any]) -> dict[str, str]:
    return _entry(one["Spec"]["Name"], one["Spec"].get("Labels"))


def _plain(one: Mapping[str, Any]) -> dict[str, str]:
    return _entry(one["Name"], one.get("Labels"))


def _container(one: Mapping[str, Any]) -> dict[str, str]:
    return _entry((one.get("Names") or [one["Id"]])[0].lstrip("/"), one.get("Labels"))


def _entry(name: str, labels: Mapping[str, str] | None) -> dict[str, str]:
    return {"name": str(name), "stack": (labels or {}).get(STACK_LABEL, "")}
