"""Looks at a run's images, weighs what is missing, and pulls it: a few at a time, each digest once.

This is the work of the process in puller.py; what it finds out it writes to that process's journal.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

from . import image_space, registry
from .docker import Client, DockerError
from .image_space import Wanted
from .image_survey import Look, Patience, Surveyor, at_the_end, inspected
from .puller import DONE, FAILED, PULLING, Journal, Order, Pull
from .registry import Reference, parse
from .registry_api import Refused
from .registry_credentials import read_credentials
from .registry_http import Unasked

AT_ONCE = 3  # pulls side by side; the daemon pulls three layers of each at once
WRITE_EVERY = 0.5  # seconds between two lines about one image
GRACE = 10.0  # seconds after the deadline, at which the module ends this process; a pull ends by itself if it does not


def work(client: Client, order: Order, journal: Journal) -> None:
    """Looks, weighs, pulls; stops where going on would be in vain."""
    client.versioned("")  # the version is negotiated once, not by each thread
    surveyor = Surveyor(client, read_credentials(order.credentials))
    patience = Patience(order.deadline, journal.waiting)
    looks = surveyor.look_at_all([parse(image) for image in order.images], patience)
    refused = {one.reference.text: one.decision.note for one in looks if one.decision.action == "refuse"}
    wanted = [one for one in looks if one.decision.action == "pull"]
    journal.write({"notes": {one.reference.text: one.decision.note for one in looks}, "refused": refused,
                   "wanted": [one.reference.text for one in wanted]})  # fmt: skip
    if refused:
        return
    for one in looks:
        if one.decision.action == "tag":
            _tag(client, one.reference, one.remote.digest)
    if not wanted:
        return
    space, weighed = surveyor.space(wanted, order.state_dir, patience)
    journal.write({"space": asdict(space)})
    if space.is_short:
        return
    puller = _Puller(client, surveyor, order, journal, patience)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = [image for group in pool.map(puller.pull_all, by_digest(wanted)) for image in group]
    image_space.remember(order.state_dir, _measured(weighed, done))


def by_digest(looks: Sequence[Look]) -> list[list[Look]]:
    """The images in groups that are one and the same: its first name pulls it, the others come after. Pure."""
    groups: dict[str, list[Look]] = {}
    for one in looks:
        groups.setdefault(one.remote.digest, []).append(one)
    return list(groups.values())


class _Puller:
    def __init__(self, client: Client, surveyor: Surveyor, order: Order, journal: Journal, patience: Patience) -> None:
        self._client = client
        self._registries = surveyor.registries
        self._credentials = read_credentials(order.credentials)
        self._deadline = order.deadline
        self._journal = journal
        self._patience = patience

    def pull_all(self, group: Sequence[Look]) -> list[Pull]:
        """Pulls one image by its first name, then gives it the others."""
        first, *others = group
        done = [self._pull(first.reference)]
        for one in others:
            if done[0].state == FAILED:
                done.append(replace(done[0], image=one.reference.text))
                self._journal.pull(done[-1])
            elif one.reference.repository == first.reference.repository:
                if not one.reference.digest:
                    _tag(self._client, one.reference, one.remote.digest)
                done.append(replace(done[0], image=one.reference.text, current=0, total=0, began=time.time()))
                self._journal.pull(replace(done[-1], ended=time.time()))
            else:  # the daemon knows an image by digest only below the repository that it was pulled from
                done.append(self._pull(one.reference))
        return done

    def _pull(self, reference: Reference) -> Pull:
        """Again and again while the registry limits us, as it wishes and as long as that is bearable."""
        begun = Pull(reference.text, PULLING, began=round(time.time(), 3))
        tried = 1
        while True:
            done = self._pull_once(reference, begun)
            if done.state == DONE or registry.refusal(done.words, reference).failure_id != "rate-limit":
                break
            asked = self._asked_to_wait(reference)
            if not self._patience.waits(reference.text, done.words, asked, tried):
                done = replace(done, words=at_the_end(done.words, asked, tried))
                break
            tried += 1
        if done.state == FAILED:
            self._patience.hopeless.set()
        self._journal.pull(done)
        return done

    def _asked_to_wait(self, reference: Reference) -> float | None:
        """How long the registry wants to be left alone (s), which the daemon does not pass on."""
        try:
            self._registries.digest(reference)
        except Refused as error:
            return error.retry_after
        except Unasked:
            pass
        return None

    def _pull_once(self, reference: Reference, begun: Pull) -> Pull:
        query = {"fromImage": reference.repository, "tag": reference.digest or reference.tag}
        layers: dict[str, tuple[int, int]] = {}
        written = 0.0
        try:
            self._journal.pull(begun)
            left = max(self._deadline - time.time(), 0.0) + GRACE
            header = self._credentials.header(reference.host)
            for event in self._client.stream("POST", "/images/create", query, headers=header, timeout=left):
                if event.get("error"):
                    raise DockerError(0, str(event["error"]))
                count(event, layers)
                if time.monotonic() - written >= WRITE_EVERY:
                    written = time.monotonic()
                    self._journal.pull(counted(begun, layers))
            found = inspected(self._client, reference.query) or {}
        except (DockerError, OSError) as error:
            words = error.message if isinstance(error, DockerError) else str(error)
            return replace(counted(begun, layers), state=FAILED, words=words, ended=round(time.time(), 3))
        size = int(found.get("Size") or 0)
        return replace(counted(begun, layers), state=DONE, size=size, ended=round(time.time(), 3))


def _tag(client: Client, reference: Reference, digest: str) -> None:
    source = f"{reference.repository}@{digest}"
    client.post(f"/images/{source}/tag", repo=reference.repository, tag=reference.tag)


def _measured(weighed: Sequence[Wanted], done: Sequence[Pull]) -> dict[str, dict[str, Any]]:
    sizes = {one.image: one.size for one in done if one.state == DONE and one.size}
    compressed = {one.name: sum(layer.size for layer in one.layers or ()) for one in weighed}
    return {
        one.digest: image_space.measured(one.repository, compressed[one.name], sizes[one.name])
        for one in weighed
        if one.name in sizes and compressed[one.name]
    }


def count(event: Mapping[str, Any], layers: dict[str, tuple[int, int]]) -> None:
    """Keeps `{layer: (bytes here, bytes in all)}` from the daemon's events; extracting counts anew and is left out."""
    layer, detail = str(event.get("id") or ""), event.get("progressDetail") or {}
    if event.get("status") == "Downloading" and detail.get("total"):
        layers[layer] = (int(detail.get("current") or 0), int(detail["total"]))
    elif event.get("status") in ("Download complete", "Pull complete") and layer in layers:
        layers[layer] = (layers[layer][1], layers[layer][1])


def counted(begun: Pull, layers: Mapping[str, tuple[int, int]]) -> Pull:
    return replace(
        begun, current=sum(here for here, _ in layers.values()), total=sum(all_ for _, all_ in layers.values())
    )
