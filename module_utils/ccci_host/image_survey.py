"""What is known of each image of a run: its place on the node, its registry's answer, what follows, what it weighs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import image_space, registry
from .docker import Client, DockerError
from .image_space import Space, Wanted
from .registry import Decision, Local, Reference, Remote
from .registry_api import Refused, Registries
from .registry_credentials import Credentials
from .registry_http import Unasked

ASKED_AT_ONCE = 6
DAEMON_LIMIT = 30.0  # seconds in which the daemon has to answer for a registry
TRIES = 4  # how often a registry that limits us is asked, the first time included
PAUSES = (2.0, 5.0, 10.0)  # seconds before the next try when the registry does not say how long
LEAST_PAUSE = 1.0


@dataclass(frozen=True)
class Look:
    reference: Reference
    local: Local | None
    remote: Remote
    decision: Decision

    @property
    def is_limited(self) -> bool:
        """Whether only its registry's limit keeps the image away."""
        refused = self.decision.action == "refuse"
        return refused and registry.refusal(self.decision.note, self.reference).failure_id == "rate-limit"


class Patience:
    """Waits for registries that limit us: as long as each asks to, a few times, and never beyond the deadline (epoch).

    `say(image, words, until)` is called every second. When one image is `hopeless`, no other is waited for.
    """

    def __init__(self, deadline: float, say: Callable[[str, str, float], Any] = lambda *_: None) -> None:
        self.deadline = deadline
        self.hopeless = threading.Event()
        self._say = say

    def waits(self, image: str, words: str, asked: float | None, tried: int) -> bool:
        """Waits before the next try; False, at once, when there is to be none."""
        length = pause(tried, asked, self.deadline - time.time())
        if length is None:
            return False
        until = time.time() + length
        while not self.hopeless.is_set():
            self._say(image, words, until)
            left = until - time.time()
            if left <= 0:
                return True
            self.hopeless.wait(min(left, 1.0))
        return False


def pause(tried: int, asked: float | None, left: float) -> float | None:
    """Seconds to wait after so many tries. None when there were enough, or when they would not end in time. Pure."""
    if tried >= TRIES:
        return None
    length = max(asked if asked is not None else PAUSES[tried - 1], LEAST_PAUSE)
    return length if length < left else None


def at_the_end(words: str, asked: float | None, tried: int) -> str:
    """A registry's words after the last try, with what was tried. Pure."""
    wish = f"; it wants {asked:.0f} s before the next one" if asked is not None else ""
    return f"{words} (asked {tried} time{'' if tried == 1 else 's'}{wish})"


class Surveyor:
    """Looks at images with what the daemon says about itself and its registries."""

    def __init__(self, client: Client, credentials: Credentials) -> None:
        self.client = client
        self.info = client.info()
        self._credentials = credentials
        self.registries = Registries(self.info, dict(client.get("/version")), credentials)

    def look_at_all(self, references: Sequence[Reference], patience: Patience) -> list[Look]:
        """Side by side; those that are limited again and again, as `patience` allows."""
        with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
            return list(pool.map(lambda reference: self._look_patiently(reference, patience), references))

    def _look_patiently(self, reference: Reference, patience: Patience) -> Look:
        tried = 1
        found = self.look(reference)
        while found.is_limited and patience.waits(reference.text, found.remote.words, found.remote.retry_after, tried):
            tried, found = tried + 1, self.look(reference)
        if found.is_limited:
            words = at_the_end(found.remote.words, found.remote.retry_after, tried)
            found = replace(found, decision=Decision("refuse", words))
        if found.decision.action == "refuse":
            patience.hopeless.set()
        return found

    def look(self, reference: Reference) -> Look:
        local = self._local(reference.query, reference)
        pinned = reference.digest and local is not None  # a digest cannot change
        remote = Remote(reference.digest) if pinned else self.remote(reference)
        if remote.digest and (local is None or remote.digest not in local.digests):
            local = self._local(f"{reference.repository}@{remote.digest}", reference, tagged=False) or local
        return Look(reference, local, remote, registry.decide(reference, local, remote))

    def _local(self, name: str, reference: Reference, tagged: bool = True) -> Local | None:
        found = inspected(self.client, name)
        return registry.local_image(found, reference, tagged) if found is not None else None

    def remote(self, reference: Reference) -> Remote:
        """The registry's own answer, or what the daemon can get out of it where it cannot be asked by us."""
        try:
            return Remote(self.registries.digest(reference))
        except Refused as error:
            if registry.refusal(error.words, reference).failure_id:
                return Remote(words=error.words, retry_after=error.retry_after)
        except Unasked:
            pass
        header = self._credentials.header(reference.host)
        try:
            answer = self.client.request(
                "GET", f"/distribution/{reference.query}/json", timeout=DAEMON_LIMIT, headers=header
            )
        except DockerError as error:
            return Remote(words=error.message)
        return Remote(str(answer["Descriptor"]["digest"]))

    def space(self, looks: Sequence[Look], state_dir: Path, patience: Patience) -> tuple[Space, list[Wanted]]:
        """What pulling these images takes, and what is free."""
        with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
            wanted = list(pool.map(lambda one: self._wanted(one, patience), looks))
        root = image_space.image_root(self.info)
        seen = image_space.read_seen(state_dir)
        return image_space.weigh(wanted, self._chains(), seen, image_space.free_below(root), str(root)), wanted

    def _wanted(self, one: Look, patience: Patience) -> Wanted:
        tried = 1
        while True:
            try:
                layers = self.registries.image(one.reference, one.remote.digest).layers
            except Refused as error:
                if error.status == 429 and patience.waits(one.reference.text, error.words, error.retry_after, tried):
                    tried += 1
                    continue
                layers = None  # the pull will hear the same, and say it
            except Unasked:
                layers = None
            return Wanted(one.reference.text, one.reference.repository, one.remote.digest, layers)

    def _chains(self) -> set[str]:
        """The chain ids of every layer on the node."""
        ids = [str(image["Id"]) for image in self.client.get("/images/json", all=True) or []]
        found: set[str] = set()
        for id in ids:
            image = inspected(self.client, id) or {}
            found.update(image_space.chain_ids((image.get("RootFS") or {}).get("Layers") or []))
        return found


def inspected(client: Client, name: str) -> dict[str, Any] | None:
    """An image as the daemon has it; None when it does not."""
    try:
        return dict(client.get(f"/images/{name}/json"))
    except DockerError as error:
        if error.status == 404:
            return None
        raise
