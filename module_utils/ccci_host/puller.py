"""A process of its own that works on a run's images while the module's slices come and go.

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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .image_space import Space, Weight

FILE = "prepull.jsonl"
ENDING = 10.0  # seconds
WAITING, PULLING, DONE, FAILED = "waiting", "pulling", "done", "failed"


@dataclass(frozen=True)
class Order:
    """What is to be done. `credentials` is a path, "" for the docker command's own; `deadline` is an epoch."""

    node_dir: Path
    images: Sequence[str]
    credentials: str
    deadline: float

    @property
    def state_dir(self) -> Path:
        """Where the node keeps what outlives a run: the runs' folders are in `runs/` below it."""
        return self.node_dir.parent.parent


@dataclass(frozen=True)
class Pull:
    """How far one image is. `current` and `total` are compressed bytes, and `total` grows while the daemon learns of
    layers; `size` is what it takes unpacked. `began`, `ended` and `until` (of a wait) are epochs, 0 when not known."""

    image: str
    state: str
    current: int = 0
    total: int = 0
    words: str = ""
    began: float = 0.0
    ended: float = 0.0
    until: float = 0.0
    size: int = 0


@dataclass(frozen=True)
class Progress:
    """What the file says. `notes` {image: why it is or is not pulled}, `refused` {image: words}, `wanted` what is
    pulled. `alive` is false once the process is gone; `finished` is true when it had done everything."""

    pulls: Mapping[str, Pull] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    wanted: Sequence[str] = ()
    space: Space | None = None
    finished: bool = False
    alive: bool = True
    trouble: str = ""


def start(order: Order, work: Callable[[Order, Journal], None]) -> int:
    """Starts a process that does this work, and returns its id. BlockingIOError when another one is at it."""
    descriptor = os.open(order.node_dir / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        _lock(descriptor)  # the child inherits it
        os.ftruncate(descriptor, 0)
        child = os.fork()
        if child == 0:
            _live(descriptor, order, work)
        return child
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """One that has said that it is finished may not have ended yet: it gets ENDING seconds for that."""
    deadline = time.monotonic() + ENDING
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


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
    """The last state of everything. A half-written last line is left out. Pure."""
    pulls: dict[str, Pull] = {}
    found: dict[str, Any] = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "image" in entry:
            pulls[entry["image"]] = Pull(**entry)
        else:
            found |= entry
    space = found.pop("space", None)
    if space:
        weights = tuple(Weight(**one) for one in space.pop("weights"))
        found["space"] = Space(**{**space, "weights": weights, "unknown": tuple(space["unknown"])})
    return Progress(pulls=pulls, alive=alive, **found)


def _alive(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _live(descriptor: int, order: Order, work: Callable[[Order, Journal], None]) -> None:
    """The child's whole life; it never returns, so that nothing of the module runs twice."""
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the module's own way to end would wait for the pulls
        os.chdir("/")
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):  # who waits for the module's output must not wait for us
            os.dup2(nothing, standard)
        journal = Journal(descriptor, order.node_dir)
        try:
            work(order, journal)
            journal.write({"finished": True})
        except Exception as error:
            journal.write({"trouble": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(0)


class Journal:
    """The file, line by line, from any thread."""

    def __init__(self, descriptor: int, node_dir: Path) -> None:
        self._descriptor = descriptor
        self._node_dir = node_dir
        self._lock = threading.Lock()

    def write(self, entry: Mapping[str, Any]) -> None:
        if not self._node_dir.is_dir():
            os._exit(0)  # the run was taken away
        with self._lock:
            os.write(self._descriptor, (json.dumps(entry) + "\n").encode())

    def pull(self, one: Pull) -> None:
        self.write(asdict(one))

    def waiting(self, image: str, words: str, until: float) -> None:
        self.pull(Pull(image, WAITING, words=words, until=until))
