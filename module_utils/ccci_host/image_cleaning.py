"""Takes away dangling images, and no others: those that have no tag, that nobody uses, and that no recipe names.

An image that is pinned by its digest has no tag either, and neither has one that swarm pulled: both look dangling.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .docker import Client
from .docker_errors import DockerError
from .registry import BadReferenceError, parse

LIMIT = 600.0  # seconds for all images; shorter than the lease of the lock
REMOVAL_LIMIT = 120.0  # seconds for one
NONE = ("<none>:<none>", "<none>@<none>")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Image:
    """One of the node's. `references` are its `repository@digest`; `size` is in bytes."""

    id: str
    tags: tuple[str, ...]
    references: tuple[str, ...]
    size: int

    @property
    def name(self) -> str:
        return self.references[0] if self.references else self.id[:19]

    @property
    def digests(self) -> set[str]:
        return {reference.rpartition("@")[2] for reference in self.references}


@dataclass(frozen=True)
class Named:
    """What recipes name: digests; repositories of which they name a tag that is not on the node; and what repositories
    begin with whose name goes on in a variable."""

    digests: frozenset[str]
    repositories: frozenset[str]
    prefixes: frozenset[str] = frozenset()


def images_of(listed: Iterable[Mapping[str, Any]]) -> list[Image]:
    """From `GET /images/json`. Pure."""
    return [
        Image(
            str(one["Id"]),
            tuple(tag for tag in one.get("RepoTags") or () if tag not in NONE),
            tuple(reference for reference in one.get("RepoDigests") or () if reference not in NONE),
            int(one.get("Size") or 0),
        )
        for one in listed
    ]


def named_by(texts: Iterable[str], images: Iterable[Image]) -> Named:
    """From image names as recipes write them; what comes after the `$` of a variable does not matter. Pure.

    A tag that the node lacks may be one that it has as `<none>`, so every image of that repository stays.
    """
    tags = {tag for image in images for tag in image.tags}
    digests, repositories, prefixes = set[str](), set[str](), set[str]()
    for text in texts:
        found = _DIGEST.findall(text)
        digests.update(found)
        name, variable, _ = text.partition("$")
        if variable:
            prefixes.add(name.removeprefix("docker.io/").removeprefix("library/"))
            if ":" not in name.rpartition("/")[2]:
                continue
            name = name.rpartition(":")[0]
        try:
            reference = parse(name)
        except BadReferenceError:
            continue
        if variable or (not found and f"{reference.repository}:{reference.tag}" not in tags):
            repositories.add(reference.repository)
    return Named(frozenset(digests), frozenset(repositories), frozenset(prefixes))


def why_kept(image: Image, used: Collection[str], named: Named) -> str:
    """Why a dangling image stays; "" when it may go. Pure. `used` holds ids and digests."""
    if image.id in used or image.digests & set(used):
        return "a container or a service uses it"
    if image.digests & named.digests:
        return "a recipe names its digest"
    repositories = {reference.partition("@")[0] for reference in image.references}
    begun = any(one.startswith(prefix) for one in repositories for prefix in named.prefixes)
    if begun or repositories & named.repositories:
        return "it may be a tag that a recipe names and that is not here"
    return ""


def used_on(client: Client) -> set[str]:
    """Ids of the images of all containers, and digests that services name, the ones before their last update too."""
    used = {str(container["ImageID"]) for container in client.get("/containers/json", all=True) or []}
    for service in client.get("/services") or []:
        for spec in (service.get("Spec"), service.get("PreviousSpec")):
            template = ((spec or {}).get("TaskTemplate") or {}).get("ContainerSpec") or {}
            used.update(_DIGEST.findall(str(template.get("Image") or "")))
    return used


def clean(client: Client, texts: Sequence[str], dry: bool) -> dict[str, Any]:
    """Removes what may go. `{removed: [{name, bytes}], kept: [{name, why}], bytes}`."""
    deadline = time.monotonic() + LIMIT
    images = images_of(client.get("/images/json") or [])
    named, used = named_by(texts, images), used_on(client)
    before = _layers(client)
    removed: list[dict[str, Any]] = []
    kept: list[dict[str, str]] = []
    for image in images:
        if image.tags:
            continue
        why = why_kept(image, used, named)
        if not why and time.monotonic() > deadline:
            why = f"the {LIMIT:.0f} s were over"
        if not why and not dry:
            why = _remove(client, image)
        if why:
            kept.append({"name": image.name, "why": why})
        else:
            removed.append({"name": image.name, "bytes": image.size})
    freed = sum(one["bytes"] for one in removed) if dry else max(before - _layers(client), 0)
    return {"removed": removed, "kept": kept, "bytes": freed}


def _remove(client: Client, image: Image) -> str:
    """Docker's words when it refuses, "" when the image is gone. Never by force: what is in use stays."""
    for name in image.references or (image.id,):
        try:
            client.request("DELETE", f"/images/{name}", {"noprune": True}, timeout=REMOVAL_LIMIT)
        except DockerError as error:
            if error.status != 404:
                return error.message
    return ""


def _layers(client: Client) -> int:
    """Bytes of all layers of all images, each once."""
    return int((client.request("GET", "/system/df", timeout=REMOVAL_LIMIT) or {}).get("LayersSize") or 0)
