"""How much disk the images still to be pulled will take, against what is free: known before the first byte is pulled.

Base and head are on the node together. What a layer weighs compressed is in its image's manifest; what it unpacks to is
an estimate, until an image of that digest or repository was pulled on this node once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .registry_api import Layer

# Unpacked bytes for each compressed one. The images of the embedded platform (Debian, PostgreSQL, Python, a large Go
# binary) have 2.7 to 3.7, in the middle 2.9: `gzip -6` of their `docker save`.
FACTOR = 3.0
RESERVE = 1024**3  # bytes that stay free: volumes, logs and a backup grow while the app runs
SEEN_FILE = "images.json"
MOST_SEEN = 500  # images remembered
LARGEST_FILE = 1024 * 1024  # bytes

Seen = Mapping[str, Mapping[str, Any]]  # {digest: {"repository", "compressed", "size": bytes, "at": epoch}}


@dataclass(frozen=True)
class Wanted:
    """An image to be pulled. `layers` is None when its registry could not be asked for them."""

    name: str
    repository: str
    digest: str
    layers: tuple[Layer, ...] | None


@dataclass(frozen=True)
class Weight:
    """Bytes that one image adds: to `download` (compressed), and on the disk once it is `unpacked`. `how` says where
    the second number is from. Layers that are here, or that an image before it brings, count nothing."""

    name: str
    download: int
    unpacked: int
    how: str


@dataclass(frozen=True)
class Space:
    """The whole need of a run's images, in bytes, and what is free below `root`. `unknown` images count nothing."""

    weights: tuple[Weight, ...]
    unknown: tuple[str, ...]
    free: int
    root: str

    @property
    def download(self) -> int:
        return sum(one.download for one in self.weights)

    @property
    def unpacked(self) -> int:
        return sum(one.unpacked for one in self.weights)

    @property
    def need(self) -> int:
        """A layer is on the disk twice while it is unpacked; some stores keep both."""
        return self.download + self.unpacked + RESERVE

    @property
    def is_short(self) -> bool:
        return bool(self.weights) and self.need > self.free

    @property
    def told(self) -> str:
        return (
            f"needs {size(self.need)} ({size(self.download)} to pull, about {size(self.unpacked)} unpacked, "
            f"{size(RESERVE)} to stay free), {size(self.free)} free below {self.root}"
        )

    @property
    def lines(self) -> list[str]:
        """One for each image."""
        known = [f"{one.name}: {size(one.download)} to pull, {size(one.unpacked)} unpacked ({one.how})"
                 for one in self.weights]  # fmt: skip
        return known + [f"{name}: its registry does not say how large it is" for name in self.unknown]


def weigh(images: Iterable[Wanted], here: Collection[str], seen: Seen, free: int, root: str) -> Space:
    """The need of these images. Pure. `here` are the chain ids of layers that the node has."""
    weights, unknown, counted = [], [], set[str]()
    for image in images:
        if image.layers is None:
            unknown.append(image.name)
            continue
        chains = chain_ids([layer.diff_id for layer in image.layers])
        download = 0
        for index, layer in enumerate(image.layers):
            if layer.digest in counted or (chains and chains[index] in here):
                continue
            counted.add(layer.digest)
            download += layer.size
        factor, how = factor_of(image.repository, image.digest, seen)
        weights.append(Weight(image.name, download, round(download * factor), how))
    return Space(tuple(weights), tuple(unknown), free, root)


def factor_of(repository: str, digest: str, seen: Seen) -> tuple[float, str]:
    """Unpacked bytes for each compressed one, and where that is from."""
    same = seen.get(digest)
    if same:
        return same["size"] / same["compressed"], "measured on this node"
    related = [one for one in seen.values() if one["repository"] == repository]
    if related:
        last = max(related, key=lambda one: float(one["at"]))
        factor = last["size"] / last["compressed"]
        return factor, f"{factor:.1f} times the compressed size, as measured for {repository} on this node"
    return FACTOR, f"estimated as {FACTOR:.1f} times the compressed size"


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """A layer's identity together with all below it, as the OCI image specification defines it; [] when not known."""
    if not all(diff_ids):
        return []
    chains: list[str] = []
    for diff in diff_ids:
        below = f"{chains[-1]} {diff}" if chains else ""
        chains.append(f"sha256:{hashlib.sha256(below.encode()).hexdigest()}" if below else diff)
    return chains


def read_seen(state_dir: Path) -> dict[str, dict[str, Any]]:
    """What was measured on this node; what cannot be read counts as nothing seen."""
    try:
        with (state_dir / SEEN_FILE).open("rb") as file:
            found = json.loads(file.read(LARGEST_FILE))
    except (OSError, ValueError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {digest: entry for digest, entry in entries if isinstance(entry, dict) and _is_measured(entry)}


def remember(state_dir: Path, measured: Seen) -> None:
    """Adds what was measured, and forgets the oldest. A file that cannot be written costs only the better estimate."""
    entries = {**read_seen(state_dir), **{digest: dict(entry) for digest, entry in measured.items()}}
    newest = sorted(entries.items(), key=lambda item: float(item[1]["at"]))[-MOST_SEEN:]
    partial = state_dir / f"{SEEN_FILE}.{os.getpid()}"
    with contextlib.suppress(OSError):
        partial.write_text(json.dumps(dict(newest)))
        partial.replace(state_dir / SEEN_FILE)


def measured(repository: str, compressed: int, unpacked: int) -> dict[str, Any]:
    return {"repository": repository, "compressed": compressed, "size": unpacked, "at": round(time.time())}


def _is_measured(entry: Mapping[str, Any]) -> bool:
    numbers = [entry.get(name) for name in ("compressed", "size", "at")]
    return isinstance(entry.get("repository"), str) and all(type(one) is int and one > 0 for one in numbers)


def image_root(info: Mapping[str, Any]) -> Path:
    """The folder whose disk the images fill: the daemon's own, or containerd's where that keeps them."""
    containerd = Path("/var/lib/containerd")
    driver = dict(pair for pair in info.get("DriverStatus") or [] if len(pair) == 2)
    if str(driver.get("driver-type", "")).startswith("io.containerd.snapshotter") and containerd.is_dir():
        return containerd
    root = Path(str(info.get("DockerRootDir") or "/var/lib/docker"))
    return root if root.is_dir() else Path("/")


def free_below(root: Path) -> int:
    """Bytes."""
    return shutil.disk_usage(root).free


def size(count: int) -> str:
    """Bytes for people: `850 MiB`, `10.2 GiB`."""
    if count < 1024**3 * 0.9995:
        return f"{count / 1024**2:.0f} MiB" if count >= 10 * 1024**2 or not count else f"{count / 1024**2:.1f} MiB"
    return f"{count / 1024**3:.1f} GiB"
