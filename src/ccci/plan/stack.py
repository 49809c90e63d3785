"""What the planner needs to know about a version's compose files. The one place that calls the compose reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ccci_host import compose, env_file

BACKUP_LABELS = ("backupbot.",)
Services = dict[str, dict[str, str]]  # service -> label -> value


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
    """One side of the upgrade. `secrets` are the compose ids that a service uses; `source` is what the reader read."""

    services: tuple[Service, ...] = ()
    secrets: tuple[str, ...] = ()
    source: compose.Stack | None = field(default=None, compare=False, repr=False)

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


def trusted_labels(base: Mapping[str, Mapping[str, str]], head: Mapping[str, Mapping[str, str]]) -> Services:
    """The backup labels that say which data a backup ought to hold; the base's win.

    Where the base backs something up, the head may add a dump, but may not leave a volume out or narrow it: a pull
    request must not move the marker to where its own backup still works.
    """
    narrowing = f"{BACKUP_LABELS[0]}backup.volumes."
    chosen: Services = {}
    for service, labels in head.items():
        chosen[service] = {key: value for key, value in labels.items() if not (base and key.startswith(narrowing))}
    for service, labels in base.items():
        chosen[service] = {**chosen.get(service, {}), **labels}
    return {service: labels for service, labels in chosen.items() if labels}


def read_side(
    files: Mapping[str, str], chosen: Sequence[str] | None, env: Mapping[str, str], known: Mapping[str, str]
) -> tuple[Stack | None, str | None]:
    """One side's stack, or None and what is wrong with its files (which the run will judge).

    `files` are texts by path, `chosen` the compose files of recipe.yml, `env` our values for the app's `.env`, `known`
    what abra itself sets there (DOMAIN, STACK_NAME). The exports of abra.sh come on top, as in abra.
    """
    try:
        sample = compose.parse_env(files.get(".env.sample", ""), ".env.sample")
        names = env_file.compose_files(sample, env, chosen)
        exports = compose.abra_exports(files.get("abra.sh", ""))
        read = compose.read_stack(files, names, {**sample, **env, **known, **exports})
    except (compose.ComposeError, RecursionError) as error:
        return None, str(error) or type(error).__name__
    services = tuple(_service(service) for service in read.services.values())
    secrets = sorted({name for service in read.services.values() for name in service.secrets})
    return Stack(services, tuple(secrets), read), None


def _service(service: compose.Service) -> Service:
    mounts = [
        Mount(str(mount["source"]), str(mount["target"]), bool(mount.get("read_only")))
        for mount in service.mounts
        if mount["type"] == "volume" and mount.get("source")
    ]
    environment = {key: value or "" for key, value in service.environment.items()}
    return Service(service.name, service.image, environment, dict(service.labels), tuple(mounts))
