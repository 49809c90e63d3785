"""What a backup of a stack will hold, read from the labels of its services, and what a snapshot lacks of it. Pure.

Labels are those of backup-bot's second specification, and `backupbot.backup.path` of the first, which it ignores.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from .backup_dumps import LIKE_A_DUMP
from .docker import service_name

SWITCH = "backupbot.backup"
PER_VOLUME = "backupbot.backup.volumes."
PRE_HOOK = "backupbot.backup.pre-hook"
OLD_PATH = "backupbot.backup.path"
_DATABASE = re.compile(r"postgres|postgis|pgvector|timescale|mysql|mariadb|percona|mongo|clickhouse", re.IGNORECASE)
_NO_DATABASE = re.compile(r"exporter|backup|admin|express", re.IGNORECASE)
_DUMPS = re.compile(r"pg_dump|mysqldump|mariadb-dump|mongodump", re.IGNORECASE)
# How a volume is backed up.
HOT, DUMP, PART, LEFT_OUT, NOT_LABELLED = "hot", "dump by hook", "in part", "left out", "not labelled"


@dataclass(frozen=True)
class Wanted:
    """Something that the snapshot must hold: `path` ends a path in it; `why` is for people.

    `hopeless` says why it cannot be there, however often the backup is repeated. `dump_of` is the volume (full name) of
    the database that a hook dumps there.
    """

    path: str
    why: str
    service: str = ""
    hopeless: str = ""
    dump_of: str = ""


@dataclass(frozen=True)
class Row:
    """One service. `volumes` are (name, how, the paths that are saved; none: all of it); `hook` runs before."""

    service: str
    volumes: tuple[tuple[str, str, tuple[str, ...]], ...]
    hook: str = ""
    warning: str = ""

    @property
    def lines(self) -> list[str]:
        told = [f"volume {name}: {how}" + (f", only {', '.join(paths)}" if paths else "")
                for name, how, paths in self.volumes]  # fmt: skip
        told += [f"`{self.hook}` runs before"] if self.hook else []
        line = f"{self.service}: {'; '.join(told) or 'keeps nothing in a volume'}"
        return [line, f"warning: {self.warning}"] if self.warning else [line]

    def to_json(self) -> dict[str, Any]:
        volumes = [{"volume": name, "how": how, "paths": list(paths)} for name, how, paths in self.volumes]
        return {"service": self.service, "volumes": volumes, "hook": self.hook, "warning": self.warning}


@dataclass(frozen=True)
class Survey:
    """`switched_on` are the services with the label; `rows` say for each service what is backed up and how."""

    switched_on: tuple[str, ...]
    rows: tuple[Row, ...]
    wanted: tuple[Wanted, ...]

    @property
    def lines(self) -> list[str]:
        return [line for row in self.rows for line in row.lines]

    @property
    def warnings(self) -> list[str]:
        return [row.warning for row in self.rows if row.warning]


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
    ordered = sorted(services, key=lambda one: service_name(one, stack))
    switched_on = tuple(service_name(one, stack) for one in ordered if truthy(_labels(one).get(SWITCH)))
    hooks = {service_name(one, stack): _labels(one).get(PRE_HOOK, "").strip() for one in ordered}
    rows: list[Row] = []
    wanted: list[Wanted] = []
    for raw in ordered:
        name = service_name(raw, stack)
        mine = [volume for volume in volumes if volume.service == name]
        how = tuple((one.name, _how(one, hooks[name], bool(switched_on)), tuple(one.parts)) for one in mine)
        row = Row(name, how, hooks[name])
        rows.append(replace(row, warning=_warning(row, hooks)) if _is_database(raw) else row)
        if _runs(raw):
            dumped = _is_database(raw) and bool(hooks[name])
            wanted += [item for volume in mine for item in _wanted(volume, dumped)]
            wanted += _wanted_of_old(name, _labels(raw), mine)
    return Survey(switched_on, tuple(rows), tuple(dict.fromkeys(wanted)))


def truthy(value: str | None) -> bool:
    return (value or "").strip().lower() not in ("", "false", "0", "no", "off")


def wanted_by_marker(
    services: Sequence[Mapping[str, Any]], stack: str, marker: Mapping[str, Any]
) -> list[Wanted]:  # fmt: skip
    """Where the file of a marker must be in the snapshot. Rows are in a dump, whose path the labels name; so may files
    be, where a hook packs them: then the restore tells."""
    if marker.get("kind") not in ("file", "sqlite"):
        return []
    path, service = PurePosixPath(str(marker["path"])), str(marker.get("service") or "app")
    holding = [one for one in _volumes(services, stack) if one.service == service and path.is_relative_to(one.target)]
    if not holding:
        return []
    volume = max(holding, key=lambda one: len(one.target))
    inside = path.relative_to(volume.target)
    hopeless = _hopeless(volume, inside)
    if (
        hopeless
        and not volume.left_out
        and any(_labels(one).get(PRE_HOOK) for one in services if service_name(one, stack) == service)
    ):
        return []
    return [Wanted(f"{volume.root}/{inside}", "the marker", service, hopeless)]


def wanted_by_recipe(paths: Iterable[str], stack: str) -> list[Wanted]:
    """`expect_paths` of recipe.yml: `<volume>/<path in it>`, or an absolute path."""
    found = []
    for path in paths:
        volume, _, inside = path.partition("/")
        full = path if path.startswith("/") else f"{_root(stack, volume)}/{inside}"
        found.append(Wanted(full.rstrip("/"), "expect_paths of recipe.yml"))
    return found


def lacking(wanted: Iterable[Wanted], held: Sequence[Entry]) -> list[Wanted]:
    return [item for item in wanted if entry_of(item, held) is None]


def entry_of(item: Wanted, held: Sequence[Entry]) -> Entry | None:
    return next((entry for entry in held if entry.path.endswith(item.path)), None)


def dumps_beside(found: Survey, stack: str, held: Sequence[Entry], named: Container[str]) -> list[Entry]:
    """Files that look like a hook's dump near the top of what is saved of its service, but that no label names."""
    roots = [_root(stack, name) for row in found.rows if row.hook for name, how, _ in row.volumes if how in (HOT, DUMP)]
    files = [entry for entry in held if entry.size is not None and entry.path not in named]
    inside = [(entry, entry.path.partition(f"{root}/")[2]) for entry in files for root in roots]
    return [entry for entry, path in inside if path.count("/") <= 1 and LIKE_A_DUMP.search(path)]


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
    """One that is scaled to nothing may never have made its volumes; one that has done its work is not backed up."""
    replicated = service["Spec"].get("Mode", {}).get("Replicated")
    if replicated is not None and int(replicated.get("Replicas", 1)) == 0:
        return False
    again = (service["Spec"]["TaskTemplate"].get("RestartPolicy") or {}).get("Condition", "any")
    return again == "any" or int((service.get("ServiceStatus") or {}).get("RunningTasks", 1)) > 0


def _how(volume: _Volume, hook: str, switched_on: bool) -> str:
    if not switched_on:
        return NOT_LABELLED
    if volume.left_out:
        return LEFT_OUT
    if not volume.parts:
        return HOT
    return DUMP if hook else PART


def _is_database(service: Mapping[str, Any]) -> bool:
    image = str(service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]).partition("@")[0]
    return bool(_DATABASE.search(image)) and not _NO_DATABASE.search(image.rpartition("/")[2])


def _warning(row: Row, hooks: Mapping[str, str]) -> str:
    """What is wrong with the backup of a database; empty when a dump covers it. Files of a running one may be torn."""
    if not row.volumes or row.hook:
        return ""
    others = {name: hook for name, hook in hooks.items() if hook}
    if any(_DUMPS.search(hook) or re.search(rf"\b{re.escape(row.service)}\b", hook) for hook in others.values()):
        return ""
    hows = {how for _, how, _ in row.volumes}
    saved = hows - {LEFT_OUT, NOT_LABELLED}
    told = "its files are copied while it runs, and nothing dumps it" if saved else "no backup holds its data"
    unless = " and ".join(f"`{hook}` of {name}" for name, hook in others.items())
    return f"{row.service} is a database: {told}" + (f", unless {unless} does" if unless else "")


def _wanted(volume: _Volume, dumped: bool) -> list[Wanted]:
    if volume.left_out:
        return []
    if not volume.parts:
        return [Wanted(volume.root, f"volume {volume.name} of {volume.service}", volume.service)]
    why = f"named by a label, volume {volume.name} of {volume.service}"
    dump_of = f"{volume.stack}_{volume.name}" if dumped else ""
    return [Wanted(f"{volume.root}/{part}", why, volume.service, dump_of=dump_of) for part in volume.parts]


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
