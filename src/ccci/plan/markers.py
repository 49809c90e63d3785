"""Which piece of data must survive upgrade and restore, when recipe.yml does not say. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from ccci.plan.stack import Mount, Service, Stack, inside

FILE_NAME = ".ccci-marker"
Labels = Mapping[str, Mapping[str, str]]
_DATABASES = (
    ("postgres", re.compile(r"postgres|postgis|pgvector|pgvecto|vectorchord|timescale", re.IGNORECASE)),
    ("mysql", re.compile(r"mysql|mariadb|percona", re.IGNORECASE)),
)


@dataclass(frozen=True)
class Marker:
    """`kind`: file, postgres, mysql, sqlite, api or none; `fields`: what that kind needs; `reason`: why this one."""

    kind: str
    reason: str
    fields: Mapping[str, str]

    def to_json(self) -> dict[str, str]:
        return {"kind": self.kind, **self.fields, "reason": self.reason}


def choose_marker(stack: Stack, backup_labels: Labels, wanted: Mapping[str, str] | None = None) -> Marker:
    """The marker for the version that is deployed first.

    `backup_labels` are those of base and head together, `{service: {label: value}}`: a pull request that drops the
    labels, or that adds a missing dump, must be judged by the data that a backup ought to hold.
    """
    if wanted is not None:
        return _wanted(stack, wanted)
    databases = [(service, kind) for service in stack.services for kind in [_kind(service)] if kind]
    dumped = [pair for pair in databases if "backupbot.backup.pre-hook" in backup_labels.get(pair[0].name, {})]
    if dumped:
        return _row(*dumped[0], "is dumped before each backup")
    plain = [service for service in stack.services if service.name not in [database.name for database, _ in databases]]
    for service in sorted(plain, key=lambda service: service.name != "app"):
        place = _file_place(service, backup_labels)
        if place is not None:
            return place
    if databases:
        return _row(*databases[0], "holds the only data, though nothing dumps it")
    return Marker("none", "no service keeps data in a volume", {})


def _wanted(stack: Stack, wanted: Mapping[str, str]) -> Marker:
    fields = {key: value for key, value in wanted.items() if key != "kind"}
    fields.setdefault("service", "app")
    known = {service.name: service for service in stack.services}
    if wanted["kind"] in ("postgres", "mysql") and fields["service"] in known:
        fields = {**_database_fields(known[fields["service"]], wanted["kind"]), **fields}
    return Marker(wanted["kind"], "recipe.yml says so", fields)


def _kind(service: Service) -> str | None:
    name = service.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    owner = service.image.partition("@")[0].rpartition(":")[0] or service.image
    exporters = re.search(r"exporter|backup|admin", name, re.IGNORECASE)
    if exporters:
        return None
    return next((kind for kind, pattern in _DATABASES if pattern.search(name) or pattern.search(owner)), None)


def _row(service: Service, kind: str, why: str) -> Marker:
    return Marker(kind, f"the database of service {service.name} {why}", _database_fields(service, kind))


def _database_fields(service: Service, kind: str) -> dict[str, str]:
    """User and database as the official images read them from the environment."""
    env = service.environment
    if kind == "postgres":
        user = env.get("POSTGRES_USER") or "postgres"
        return {"service": service.name, "user": user, "database": env.get("POSTGRES_DB") or user}
    prefix = "MARIADB" if "MARIADB_DATABASE" in env or "MARIADB_USER" in env else "MYSQL"
    user = env.get(f"{prefix}_USER") or "root"
    return {"service": service.name, "user": user, "database": env.get(f"{prefix}_DATABASE") or "mysql"}


def _file_place(service: Service, labels: Labels) -> Marker | None:
    """The best writable volume of a service: one that a backup takes whole, then one it takes in part, then any."""
    options = sorted(
        ((rank, index, path, reason) for index, mount in enumerate(service.mounts) if not mount.read_only
         for rank, path, reason in [_in_mount(service, mount, labels)]),
    )  # fmt: skip
    if not options:
        return None
    _, index, path, reason = options[0]
    mount = service.mounts[index]
    fields = {"service": service.name, "volume": mount.volume, "path": path}
    return Marker("file", f"volume {mount.volume} of service {service.name} {reason}", fields)


def _in_mount(service: Service, mount: Mount, labels: Labels) -> tuple[int, str, str]:
    everywhere = str(PurePosixPath(mount.target) / FILE_NAME)
    every_label = {key: value for one in labels.values() for key, value in one.items()}
    name = f"backupbot.backup.volumes.{mount.volume}"
    if every_label.get(name, "").strip().lower() == "false":
        return 3, everywhere, "is all there is, though backups leave it out"
    folders = [path.strip().strip("/") for path in every_label.get(f"{name}.path", "").split(",") if path.strip()]
    if folders:
        folder = next((path for path in folders if "." not in PurePosixPath(path).name), None)
        if folder is None:
            return 2, everywhere, "is backed up in part"
        return 1, str(PurePosixPath(mount.target) / folder / FILE_NAME), f"is backed up below {folder}"
    absolute = labels.get(service.name, {}).get("backupbot.backup.path", "").split(",")
    for path in (path.strip() for path in absolute):
        if path.startswith("/") and inside(mount.target, path):
            return 0, everywhere, "is backed up"
        if path.startswith("/") and inside(path, mount.target) and "." not in PurePosixPath(path).name:
            return 0, str(PurePosixPath(path) / FILE_NAME), f"is backed up below {path}"
    if every_label.get("backupbot.backup", "").strip().lower() in ("", "false"):
        return 2, everywhere, "keeps data, though nothing backs it up"
    return (1 if any(absolute) else 0), everywhere, "is backed up"
