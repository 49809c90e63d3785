"""A process of its own that pulls images while the module's slices come and go.

It writes what it does as JSON lines to `<node_dir>/prepull.jsonl` and holds a lock on that file as long as it lives, so
that a later slice knows whether it still does. It carries the run's CCCI_RUN_ID (inherited from the module), which is
how a teardown finds it, and it ends by itself when the run's folder is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .docker import Client, DockerError
from .registry import auth_header, parse

FILE = "prepull.jsonl"
AT_ONCE = 3  # pulls side by side; the daemon pulls three layers of each at once
WRITE_EVERY = 0.5  # seconds between two lines about one image
PULLING, DONE, FAILED = "pulling", "done", "failed"


@dataclass(frozen=True)
class Pull:
    """How far one image is. Bytes are compressed ones, and `total` grows while the daemon learns of layers."""

    image: str
    state: str
    current: int = 0
    total: int = 0
    words: str = ""


@dataclass(frozen=True)
class Progress:
    """What the file says. `alive` is false once the process is gone; `finished` is true when it had done everything."""

    pulls: Mapping[str, Pull]
    finished: bool
    alive: bool
    trouble: str = ""


def start(node_dir: Path, images: Sequence[str], limit: float) -> int:
    """Starts the process for these images and returns its id. `limit` is in seconds, for each image."""
    descriptor = os.open(node_dir / FILE, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the child inherits it
        child = os.fork()
        if child == 0:
            _live(descriptor, node_dir, images, limit)
        return child
    finally:
        os.close(descriptor)


def end(node_dir: Path, pid: int) -> None:
    """Ends the process, when it still lives."""
    if _alive(node_dir / FILE):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def read(node_dir: Path) -> Progress:
    alive = _alive(node_dir / FILE)  # asked first: what a dead process wrote is complete
    lines = (node_dir / FILE).read_text(errors="replace").splitlines()
    return progress_of(lines, alive)


def progress_of(lines: Iterable[str], alive: bool) -> Progress:
    """The last state of each image. A half-written last line is left out."""
    pulls: dict[str, Pull] = {}
    finished, trouble = False, ""
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        finished = finished or bool(entry.get("finished"))
        trouble = str(entry.get("trouble") or trouble)
        if "image" in entry:
            pulls[entry["image"]] = Pull(**entry)
    return Progress(pulls, finished, alive, trouble)


def _alive(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _live(descriptor: int, node_dir: Path, images: Sequence[str], limit: float) -> None:
    """The child's whole life; it never returns, so that nothing of the module runs twice."""
    try:
        os.setsid()
        os.chdir("/")
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):  # who waits for the module's output must not wait for us
            os.dup2(nothing, standard)
        journal = _Journal(descriptor, node_dir)
        try:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(lambda image: _pull(image, journal, limit), images))
            journal.write({"finished": True})
        except Exception as error:
            journal.write({"trouble": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(0)


class _Journal:
    def __init__(self, descriptor: int, node_dir: Path) -> None:
        self._descriptor = descriptor
        self._node_dir = node_dir
        self._lock = threading.Lock()

    def write(self, entry: Mapping[str, Any]) -> None:
        if not self._node_dir.is_dir():
            os._exit(0)  # the run was taken away
        with self._lock:
            os.write(self._descriptor, (json.dumps(entry) + "\n").encode())


def _pull(image: str, journal: _Journal, limit: float) -> None:
    reference = parse(image)
    query = {"fromImage": reference.repository, "tag": reference.digest or reference.tag}
    layers: dict[str, tuple[int, int]] = {}
    written = 0.0
    try:
        headers = auth_header(reference.host)
        for event in Client().stream("POST", "/images/create", query, headers=headers, timeout=limit):
            if event.get("error"):
                raise DockerError(0, str(event["error"]))
            count(event, layers)
            if time.monotonic() - written >= WRITE_EVERY:
                written = time.monotonic()
                journal.write(vars(_pull_of(image, PULLING, layers)))
    except (DockerError, OSError) as error:
        words = error.message if isinstance(error, DockerError) else str(error)
        journal.write(vars(_pull_of(image, FAILED, layers, words)))
        return
    journal.write(vars(_pull_of(image, DONE, layers)))


def count(event: Mapping[str, Any], layers: dict[str, tuple[int, int]]) -> None:
    """Keeps `{layer: (bytes here, bytes in all)}` from the daemon's events; extracting counts anew and is left out."""
    layer, detail = str(event.get("id") or ""), event.get("progressDetail") or {}
    if event.get("status") == "Downloading" and detail.get("total"):
        layers[layer] = (int(detail.get("current") or 0), int(detail["total"]))
    elif event.get("status") in ("Download complete", "Pull complete") and layer in layers:
        layers[layer] = (layers[layer][1], layers[layer][1])


def _pull_of(image: str, state: str, layers: Mapping[str, tuple[int, int]], words: str = "") -> Pull:
    return Pull(image, state, sum(here for here, _ in layers.values()), sum(all_ for _, all_ in layers.values()), words)
