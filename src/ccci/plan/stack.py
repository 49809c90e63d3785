"""What the planner needs to know about a version's compose files. The one place that calls the compose reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

BACKUP_LABELS = ("backupbot.",)


@dataclass(frozen=True)
class Mount:
    """A named volume in a service; `target` is absolute, in the container."""

    volume: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Service:
    name: str
    image: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)  # of the service, that is: below deploy
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True)
class Stack:
    """One side of the upgrade. `secrets` are the compose ids that a service uses."""

    services: tuple[Service, ...] = ()
    secrets: tuple[str, ...] = ()

    @property
    def images(self) -> list[str]:
        return sorted({service.image for service in self.services if service.image})

    @property
    def has_volumes(self) -> bool:
        return any(service.mounts for service in self.services)

    def backup_labels(self) -> dict[str, dict[str, str]]:
        """`{service: {label: value}}`, only the labels of backup-bot."""
        found = {
            service.name: {key: value for key, value in service.labels.items() if key.startswith(BACKUP_LABELS)}
            for service in self.services
        }
        return {name: labels for name, labels in found.items() if labels}


def inside(path: str, folder: str) -> bool:
    """Whether an absolute path is a folder or below it."""
    return PurePosixPath(path).is_relative_to(PurePosixPath(folder))


def merged_labels(*sides: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The backup labels of several sides, later ones over earlier ones."""
    merged: dict[str, dict[str, str]] = {}
    for side in sides:
        for service, labels in side.items():
            merged.setdefault(service, {}).update(labels)
    return merged


def compose_file_names(env: Mapping[str, str], chosen: Sequence[str] | None) -> list[str]:
    """The compose files of an app: the recipe settings' own, else COMPOSE_FILE of its .env, else compose.yml."""
    if chosen:
        return list(chosen)
    return [name for name in env.get("COMPOSE_FILE", "").split(":") if name] or ["compose.yml"]
