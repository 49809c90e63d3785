"""What a backup of a stack will hold, read from the labels of its services, and what a snapshot lacks of it. Pure.

Labels are those of backup-bot's second specification, and `backupbot.backup.path` of the first, which it ignores.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from .docker import service_name

SWITCH = "backupbot.backup"
PER_VOLUME = "backupbot.backup.volumes."
PRE_HOOK = "backupbot.backup.pre-hook"
OLD_PATH = "backupbot.backup.path"
EMPTY_ARCHIVE = 40  # bytes: what gzip, xz and zstd make of nothing is shorter
_DATABASE = re.compile(r"postgres|postgis|pgvector|timescale|mysql|mariadb|percona|mongo|clickhouse", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """Something that the snapshot must hold: `path` ends a path in it; `why` is for people.

    `hopeless` says why it cannot be there, however often the backup is repeated.
    """

    path: str
    why: str
    service: str = ""
    hopeless: str = ""


@dataclass(frozen=True)
class Survey:
    """`switched_on` are the services with the label; `lines` say for each service what is backed up and how."""

    switched_on: tuple[str, ...]
    services: tuple[str, ...]
    lines: tuple[str, ...]
    wanted: tuple[Wanted, ...]


@dataclass(frozen=True)
class Entry:
    """A path of a snapshot; `size` is None where the tool does not say, or for folders."""

    path: str
    size: int | None = None


@dataclass(frozen=True)
class _Volume:
    """A volume of the stack in one service; `labels` are those of the whole stack."""

    stack: str
    service: str
    name: str
    target: str
    labels: Mapping[str, str]

    @property
    def root(self) -> str:
        return _root(self.stack, self.name)

    @property
    def left_out(self) -> bool:
        label = f"{PER_VOLUME}{self.name}"
        return label in self.labels and not truthy(self.labels[label])

    @property
    def parts(self) -> list[str]:
        """Only these paths of the volume are saved; empty: all of it."""
        named = self.labels.get(f"{PER_VOLUME}{self.name}.path", "")
        return [part.strip().strip("/") for part in named.split(",") if part.strip()]


def survey(services: Sequence[Mapping[str, Any]], stack: str) -> Survey:
    """`services` are objects of GET /services."""
    volumes = _volumes(services, stack)
    lines: list[str] = []
    wanted: list[Wanted] = []
    for raw in sorted(services, key=lambda one: service_name(one, stack)):
        name, labels = service_name(raw, stack), raw["Spec"].get("Labels") or {}
        mine = [volume for volume in volumes if volume.service == name]
        lines.append(f"{name}: {_how(raw, labels, mine)}")
        if _runs(raw):
            wanted += [item for volume in mine for item in _wanted(volume)]
            wanted += _wanted_of_old(name, labels, mine)
    names = tuple(sorted(service_name(one, stack) for one in services))
    switched_on = tuple(sorted(service_name(one, stack) for one in services if truthy(_labels(one).get(SWITCH))))
    return Survey(switched_on, names, tuple(lines), tuple(dict.fromkeys(wanted)))


def truthy(value: str | None) -> bool:
    return (value or "").strip().lower() not in ("", "false", "0", "no", "off")


def wanted_by_marker(
    services: Sequence[Mapping[str, Any]], stack: str, marker: Mapping[str, Any]
) -> list[Wanted]:  # fmt: skip
    """Where the file of a marker must be in the snapshot. Rows are in a dump, whose path the labels name."""
    if marker.get("kind") not in ("file", "sqlite"):
        return []
    path, service = PurePosixPath(str(marker["path"])), str(marker.get("service") or "app")
    holding = [one for one in _volumes(services, stack) if one.service == service and path.is_relative_to(one.target)]
    if not holding:
        return []
    volume = max(holding, key=lambda one: len(one.target))
    inside = path.relative_to(volume.target)
    return [Wanted(f"{volume.root}/{inside}", "the marker", service, _hopeless(volume, inside))]


def wanted_by_recipe(paths: Iterable[str], stack: str) -> list[Wanted]:
    """`expect_paths` of recipe.yml: `<volume>/<path in it>`, or an absolute path."""
    found = []
    for path in paths:
        volume, _, inside = path.partition("/")
        full = path if path.startswith("/") else f"{_root(stack, volume)}/{inside}"
        found.append(Wanted(full.rstrip("/"), "expect_paths of recipe.yml"))
    return found


def lacking(wanted: Iterable[Wanted], held: Sequence[Entry]) -> tuple[list[Wanted], list[str]]:
    """(what is missing, what is there but empty: in words)."""
    missing, empty = [], []
    for item in wanted:
        found = [entry for entry in held if entry.path.endswith(item.path)]
        if not found:
            missing.append(item)
        elif found[0].size is not None and is_empty(found[0].path, found[0].size):
            empty.append(f"{item.path} ({item.why}) is empty: {found[0].size} bytes")
    return missing, empty


def is_empty(path: str, size: int) -> bool:
    """A file of no bytes, or a compressed one that can hold none."""
    return size == 0 or (path.endswith((".gz", ".xz", ".zst", ".bz2")) and size <= EMPTY_ARCHIVE)


def parse_listing(text: str) -> tuple[dict[str, Any], list[Entry]]:
    """What `backup ls` printed, as JSON {snapshot, files} or as one path a line: (snapshot or {}, entries)."""
    if text.lstrip().startswith("{"):
        data = json.loads(text)
        entries = [Entry(one["path"], one.get("size") if one.get("type") == "file" else None) for one in data["files"]]
        return dict(data["snapshot"]), entries
    paths = (re.search(r"/.*\S", line) for line in text.splitlines())
    return {}, [Entry(match[0]) for match in paths if match]


def _root(stack: str, volume: str) -> str:
    return f"/{stack}_{volume}/_data"


def _labels(service: Mapping[str, Any]) -> dict[str, str]:
    return dict(service["Spec"].get("Labels") or {})


def _volumes(services: Sequence[Mapping[str, Any]], stack: str) -> list[_Volume]:
    labels = {key: value for one in services for key, value in _labels(one).items()}
    prefix = f"{stack}_"
    return [
        _Volume(stack, service_name(one, stack), mount["Source"].removeprefix(prefix), mount["Target"], labels)
        for one in services
        for mount in one["Spec"]["TaskTemplate"]["ContainerSpec"].get("Mounts") or []
        if mount.get("Type") == "volume" and str(mount.get("Source", "")).startswith(prefix)
    ]


def _runs(service: Mapping[str, Any]) -> bool:
    """A service that is scaled to nothing may never have made its volumes."""
    replicated = service["Spec"].get("Mode", {}).get("Replicated")
    return replicated is None or int(replicated.get("Replicas", 1)) > 0


def _how(service: Mapping[str, Any], labels: Mapping[str, str], volumes: Sequence[_Volume]) -> str:
    if not volumes:
        return "keeps nothing in a volume"
    told = [
        f"volume {volume.name} is left out" if volume.left_out
        else f"volume {volume.name}, only {', '.join(volume.parts)}" if volume.parts
        else f"volume {volume.name}, all of it"
        for volume in volumes
    ]  # fmt: skip
    if labels.get(PRE_HOOK):
        told.append(f"`{labels[PRE_HOOK]}` runs before")
    elif _DATABASE.search(str(service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]).partition("@")[0]):
        told.append("nothing dumps this database: its files are copied while it runs")
    return "; ".join(told)


def _wanted(volume: _Volume) -> list[Wanted]:
    if volume.left_out:
        return []
    if not volume.parts:
        return [Wanted(volume.root, f"volume {volume.name} of {volume.service}", volume.service)]
    why = f"named by a label, volume {volume.name} of {volume.service}"
    return [Wanted(f"{volume.root}/{part}", why, volume.service) for part in volume.parts]


def _wanted_of_old(name: str, labels: Mapping[str, str], volumes: Sequence[_Volume]) -> list[Wanted]:
    """A path of the first specification is saved when it lies in a volume, and silently lost when it does not."""
    found = []
    for text in filter(None, (part.strip() for part in labels.get(OLD_PATH, "").split(","))):
        path = PurePosixPath(text)
        holding = [volume for volume in volumes if path.is_relative_to(volume.target)]
        if holding:
            volume = max(holding, key=lambda one: len(one.target))
            inside = path.relative_to(volume.target)
            full = volume.root if str(inside) == "." else f"{volume.root}/{inside}"
            found.append(Wanted(full, f"the label {OLD_PATH} of {name}", name, _hopeless(volume, inside)))
        elif not any(PurePosixPath(volume.target).is_relative_to(path) for volume in volumes):
            hopeless = f"{text} is in no volume of {name}: the backup service takes volumes only"
            found.append(Wanted(text, f"the label {OLD_PATH} of {name}", name, hopeless))
    return found


def _hopeless(volume: _Volume, inside: PurePosixPath) -> str:
    if volume.left_out:
        return f"the label {PER_VOLUME}{volume.name} leaves the volume out"
    if volume.parts and not any(inside.is_relative_to(part) for part in volume.parts):
        return f"the label {PER_VOLUME}{volume.name}.path names only {', '.join(volume.parts)}"
    return ""
