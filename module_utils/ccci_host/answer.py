"""The one shape in which every module of `library/` answers (see docs/architecture.md)."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

from . import engine
from .docker import PING_LIMIT, Client
from .docker_errors import DockerError, LimitReached, NoContainer, is_outage
from .engine import EngineRestarted
from .lock import LockError

EVIDENCE_LIMIT = 4096
PASS, FAIL, ERROR, SKIP = OUTCOMES = ("pass", "fail", "error", "skip")
# What a slice hands to the next one inside the cursor: only the last answer of a sliced module reaches the events.
# Never `secrets`: a cursor is an option of the next call, and options are shown with -vvv.
CARRIED = ("results", "waits", "facts", "timeline", "artefacts", "files")
CARRY = "answer"
SLOW = "Docker itself answers: look at the node's load and disk (`uptime`, `iostat`), and at what was waited for"


class Answer:
    """Collects what a module found out. With the `cursor` of a sliced module it goes on where the last slice ended.

    `facts` {name: value}, never a secret; `timeline` [{at, service, what}]; `secrets` {name: value}; `files`
    [{path on the node, to, kind, title}]; `artefacts` [{kind, path, title}].
    """

    def __init__(self, tier: str = "", cursor: Mapping[str, Any] | None = None) -> None:
        self.tier = tier
        carried = (cursor or {}).get(CARRY) or {}
        self.results: list[dict[str, Any]] = list(carried.get("results", []))
        self.waits: list[dict[str, Any]] = list(carried.get("waits", []))
        self.facts: dict[str, Any] = dict(carried.get("facts", {}))
        self.timeline: list[dict[str, Any]] = list(carried.get("timeline", []))
        self.artefacts: list[dict[str, Any]] = list(carried.get("artefacts", []))
        self.secrets: dict[str, str] = {}
        self.files: list[dict[str, Any]] = list(carried.get("files", []))

    def result(
        self, id: str, outcome: str, *, expected: str | None = None, observed: str | None = None,
        evidence: str | None = None, failure_id: str | None = None, service: str | None = None, hint: str | None = None,
    ) -> None:  # fmt: skip
        """One result. An `id` without a tier gets this answer's. `skip` needs its reason in `evidence`."""
        if outcome not in OUTCOMES:
            raise ValueError(f"outcome {outcome!r} of {id} is none of {', '.join(OUTCOMES)}")
        if outcome == SKIP and not evidence:
            raise ValueError(f"{id} is skipped without a reason in `evidence`")
        full_id = id if "." in id or not self.tier else f"{self.tier}.{id}"
        fields = {"expected": expected, "observed": observed, "evidence": cut(evidence), "failure_id": failure_id,
                  "service": service, "hint": hint}  # fmt: skip
        self.results.append({"id": full_id, "outcome": outcome, **{k: v for k, v in fields.items() if v is not None}})

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Time inside is spent waiting for `what` (docker, registry, restic, app, browser), not by ourselves."""
        start = time.time()
        try:
            yield
        finally:
            self.waits.append({"what": what, "start": round(start, 3), "end": round(time.time(), 3)})

    def leave(self, module: Any, operation: Iterable[str] = (), changed: bool = False) -> NoReturn:
        """Ends the module. A result of `operation` that is `fail` or `error` fails the task, which ends the life."""
        wrong = [one for one in self.results if one["id"] in set(operation) and one["outcome"] in (FAIL, ERROR)]
        answer = {"changed": changed, "ccci": self._public(), "ccci_secrets": self.secrets, "ccci_files": self.files}
        if wrong:
            module.fail_json(msg="; ".join(map(summary, wrong)), **answer)
        module.exit_json(**answer)
        raise AssertionError("a module goes on after its end")

    def slice(self, module: Any, cursor: Mapping[str, Any], progress: str) -> NoReturn:
        """Ends an unfinished slice. What was collected so far travels in the cursor."""
        carried = {name: getattr(self, name) for name in CARRIED}
        module.exit_json(
            changed=False, ccci_slice={"done": False, "cursor": {**cursor, CARRY: carried}, "progress": progress}
        )
        raise AssertionError("a module goes on after its end")

    def _public(self) -> dict[str, Any]:
        public: dict[str, Any] = {"results": self.results, "waits": self.waits, "facts": self.facts}
        return public | {name: getattr(self, name) for name in ("timeline", "artefacts") if getattr(self, name)}


def guarded(module: Any, main: Callable[[], Any], id: str | None = None) -> None:
    """Runs `main`. What the world did to us becomes an `error` (of the result `id`) with the next step, no traceback.

    A mistake of our own keeps its traceback: there it is what helps.
    """
    # A module that is told to end goes through its `finally`: Ansible's wrapper takes its files away there.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        main()
    except (DockerError, NoContainer, LockError, EngineRestarted, OSError) as error:
        text, hint, down = str(error) or type(error).__name__, next_step(error), _docker_is_down(error)
        if isinstance(error, LimitReached):
            # What took too long may be a single call, or somebody's command: Docker is asked itself.
            down = not Client().answers()
            text, hint = (f"{text}; nor a ping within {PING_LIMIT:g} s", hint) if down else (text, SLOW)
        results = [{"id": id, "outcome": ERROR, "observed": text, "hint": hint}] if id else []
        if results and down:
            results[0]["failure_id"] = engine.FAILURE_ID
        module.fail_json(msg=f"{text}. {hint}", ccci={"results": results, "waits": [], "facts": {}})


def _docker_is_down(error: Exception) -> bool:
    return isinstance(error, EngineRestarted) or (isinstance(error, DockerError) and is_outage(error))


def next_step(error: Exception) -> str:
    """What a person can do about it."""
    if isinstance(error, EngineRestarted):
        return engine.HINT
    if isinstance(error, LockError):
        return "Look at who holds the node with `ccci clean --dry-run`, then play again"
    if isinstance(error, DockerError) and error.status == 0:
        return (
            "Start Docker on the node (`systemctl start docker`, or `ccci bootstrap`), look at its log, and play again"
        )
    if isinstance(error, DockerError) and error.status == 503:
        return "The node is no swarm manager, or its swarm has lost its quorum: `docker node ls` on the node"
    if isinstance(error, OSError) and error.errno == 28:
        return "The node's disk is full: make room, then play again"
    return "This is the node's fault, not the recipe's"


def summary(result: Mapping[str, Any]) -> str:
    """One line about a result that is not pass."""
    told = [f"{name} {result[name]}" for name in ("expected", "observed") if result.get(name)]
    return f"{result['id']}: {result['outcome']}" + (f" ({', '.join(told)})" if told else "")


def counted(number: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def cut(text: str | None, limit: int = EVIDENCE_LIMIT) -> str | None:
    """The end of a long text: that is where the error stands. `limit` is in bytes of UTF-8."""
    raw = (text or "").encode("utf-8", "replace")
    if len(raw) <= limit:
        return text
    return "… " + raw[-(limit - 4) :].decode("utf-8", "ignore")


def short(text: str, limit: int) -> str:
    """The beginning of a long text, on one line and with a mark where it was cut."""
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[:limit]}…"
