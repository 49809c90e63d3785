"""Which paths of a stack are backed up, by the labels of its services (version 2 of the specification). Pure.

backupbot.backup=true                     switches backups on for the whole stack
backupbot.backup.volumes.<vol>=false      leaves a volume out
backupbot.backup.volumes.<vol>.path=a,b   only these paths, relative to the volume
"""

from __future__ import annotations

from collections.abc import Sequence

from engine import Service

VOLUMES = "/var/lib/docker/volumes"
ENABLED = "backupbot.backup"
PER_VOLUME = "backupbot.backup.volumes."


class SelectionError(Exception):
    """Labels that make no sense; the text names them."""


def truthy(value: str | None) -> bool:
    return (value or "").strip().lower() in ("true", "1", "yes", "on")


def enabled(services: Sequence[Service]) -> bool:
    return any(truthy(service.labels.get(ENABLED)) for service in services)


def paths(services: Sequence[Service]) -> list[str]:
    """Absolute paths on the node, sorted. SelectionError for a label of a volume that the stack does not have.

    Only volumes of services that run are taken, without a word about the others: so does what this stands in for.
    """
    stack = services[0].stack
    prefix = f"{stack}_"
    volumes = {name.removeprefix(prefix) for one in services for name in one.volumes if name.startswith(prefix)}
    excluded: set[str] = set()
    partly: dict[str, list[str]] = {}
    for service in services:
        for label, value in service.labels.items():
            if not label.startswith(PER_VOLUME):
                continue
            name = label.removeprefix(PER_VOLUME)
            if name.endswith(".path"):
                name = name.removesuffix(".path")
                partly.setdefault(name, []).extend(part.strip() for part in value.split(",") if part.strip())
            elif not truthy(value):
                excluded.add(name)
            if name not in volumes:
                known = ", ".join(sorted(volumes)) or "none"
                raise SelectionError(
                    f"label {label} of service {service.name}: there is no volume {name}; there is: {known}"
                )
    running = {name.removeprefix(prefix) for one in services if one.running for name in one.volumes}
    found: list[str] = []
    for name in (volumes & running) - excluded:
        root = f"{VOLUMES}/{prefix}{name}/_data"
        for part in partly.get(name, [""]):
            if part.startswith("/") or ".." in part.split("/"):
                raise SelectionError(f"label {PER_VOLUME}{name}.path: {part!r} is not a path inside the volume")
            found.append(f"{root}/{part}".rstrip("/"))
    return sorted(found)
