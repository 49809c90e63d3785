"""The marker: a random value that must survive the upgrade, and that a restore must bring back.

Its life: *seed* before the upgrade, *check* after it and before the backup, *mutate* after the backup, *check* after
the restore. Mutation writes another value, and one more beside it: so a restore that does nothing and a restore that
merges are both found out. What was written stays in the run's state.json, nowhere else.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from . import full_disk, state
from .answer import Answer
from .docker import Client
from .docker_errors import DockerError, NoContainer, NoService
from .marker_stores import Misplaced, Refused, StoreError, open_store

KEY = "marker"
RETRY_FOR = 30.0  # seconds: a database that is just starting refuses connections
WRITE_FOR = 90.0  # seconds: after a restore an application's connections may be broken for a while
PAUSE = 1.0
T = TypeVar("T")


@dataclass(frozen=True)
class Verdict:
    """`ok`, what was expected and observed, and each try that went wrong before (`tries`). Not `reachable`: the store
    could not be asked, or refused; `failure_id` names what that is where the catalogue has a name for it, and `outcome`
    says whose fault that is where something proves it."""

    ok: bool
    expected: str
    observed: str
    tries: tuple[str, ...] = ()
    reachable: bool = True
    hint: str = ""
    failure_id: str | None = None
    outcome: str = ""

    @property
    def evidence(self) -> str | None:
        return "\n".join(self.tries) or None


@dataclass
class Tried:
    """Retries what fails for reasons of transport, until `limit` seconds are over; keeps each failure's words."""

    limit: float
    failures: list[tuple[float, str]] = field(default_factory=list)

    def run(self, action: Callable[[], T]) -> T:
        began = time.monotonic()
        while True:
            try:
                return action()
            except (StoreError, NoContainer, DockerError) as error:
                if isinstance(error, Refused | NoService) or (
                    isinstance(error, DockerError) and not _may_change(error)
                ):
                    raise
                passed = time.monotonic() - began
                self.failures.append((passed, str(error)))
                if passed + PAUSE > self.limit:
                    raise
                time.sleep(PAUSE)

    @property
    def words(self) -> tuple[str, ...]:
        """One line for each run of equal failures."""
        lines = []
        for text, group in itertools.groupby(self.failures, key=lambda failure: failure[1]):
            times = [passed for passed, _ in group]
            when = f"after {times[0]:.1f} s"
            lines.append(
                f"{when}: {text}" if len(times) == 1 else f"{when} to {times[-1]:.1f} s, {len(times)} times: {text}"
            )
        return tuple(lines)


def seed(client: Client, scope: Mapping[str, Any], marker: Mapping[str, Any]) -> Verdict:
    """Writes a fresh value. Not ok when the check says yes before that (it could not fail), or no afterwards."""
    store = open_store(client, scope["stack"], marker)
    value, tried = secrets.token_hex(16), Tried(RETRY_FOR)
    expected = f"a fresh value can be written to {store.where}, and is not there before"
    try:
        if tried.run(store.read) == [value]:
            return Verdict(False, expected, "the check says yes to a value that nobody wrote", tried.words)
        tried.run(lambda: store.write([value]))
        state.update(scope, **{KEY: {"value": value}})
        found = tried.run(store.read)
    except (StoreError, NoContainer, Misplaced, DockerError) as error:
        return _unreachable(client, scope, expected, error, tried)
    if found != [value]:
        return Verdict(False, expected, f"read back {describe(found, value)}", tried.words)
    return Verdict(True, expected, f"{store.where} holds it", tried.words)


def check(client: Client, scope: Mapping[str, Any], marker: Mapping[str, Any]) -> tuple[bool, str, str]:
    """Whether the seeded value, and nothing else, is there: (ok, expected, observed)."""
    verdict = compare(client, scope, marker)
    return verdict.ok, verdict.expected, verdict.observed


def compare(client: Client, scope: Mapping[str, Any], marker: Mapping[str, Any]) -> Verdict:
    """`check` with the tries that it took. Says so when nothing was seeded in this run."""
    written = state.load(scope).get(KEY) or {}
    store = open_store(client, scope["stack"], marker)
    expected = f"the seeded value in {store.where}"
    if "value" not in written:
        return Verdict(False, expected, "no marker was written in this run")
    tried = Tried(RETRY_FOR)
    try:
        found = tried.run(store.read)
    except (StoreError, NoContainer, Misplaced, DockerError) as error:
        return _unreachable(client, scope, expected, error, tried)
    known = {
        written["value"]: "the seeded value",
        **dict.fromkeys(written.get("later") or [], "a value written after the backup"),
    }
    return Verdict(found == [written["value"]], expected, describe(found, known), tried.words)


def mutate(client: Client, scope: Mapping[str, Any], marker: Mapping[str, Any]) -> Verdict:
    """Replaces the value by another one, and adds one more where rows are kept. Ok when the check now says no."""
    written = state.load(scope).get(KEY) or {}
    store = open_store(client, scope["stack"], marker)
    later, tried = [secrets.token_hex(16), secrets.token_hex(16)], Tried(RETRY_FOR)
    expected = f"other values in {store.where} than the backup holds"
    try:
        tried.run(lambda: store.write(later))
        state.update(scope, **{KEY: {**written, "later": later}})
        found = tried.run(store.read)
    except (StoreError, NoContainer, Misplaced, DockerError) as error:
        return _unreachable(client, scope, expected, error, tried)
    if found != sorted(later):
        return Verdict(False, expected, describe(found, written.get("value", "")), tried.words)
    return Verdict(True, expected, "they are there, and the check for the seeded value says no", tried.words)


def write_ready(
    client: Client, scope: Mapping[str, Any], marker: Mapping[str, Any], limit: float = WRITE_FOR
) -> Verdict:
    """Whether the store takes a write again. Errors of the connection are retried for `limit` seconds, each of them is
    in the evidence; what the store itself refuses fails at once."""
    store = open_store(client, scope["stack"], marker)
    value, tried = secrets.token_hex(16), Tried(limit)
    expected = f"{store.where} can be written within {limit:.0f} s"
    try:
        tried.run(lambda: store.write([value]))
        found = tried.run(store.read)
    except (StoreError, NoContainer, Misplaced, DockerError) as error:
        lost = _unreachable(client, scope, expected, error, tried)
        return replace(lost, failure_id=lost.failure_id or _never_ready(error, tried))
    if found != [value]:
        told = f"the write was accepted, but read back came {describe(found, value)}"
        return Verdict(False, expected, told, tried.words)
    times = f" at try {len(tried.failures) + 1}" if tried.failures else ""
    return Verdict(True, expected, f"written and read back{times}", tried.words)


def report(
    answer: Answer, id: str, verdict: Verdict, *, unlike: str = "error", failure_id: str | None = None, hint: str = ""
) -> None:
    """Adds the verdict as a result. `unlike` is the outcome when the store could not be asked at all."""
    blamed = verdict.outcome or ("fail" if verdict.reachable or verdict.hint else unlike)
    outcome = "pass" if verdict.ok else blamed
    told = {} if verdict.ok else {"failure_id": verdict.failure_id or failure_id, "hint": verdict.hint or hint or None}
    answer.result(
        id, outcome, expected=verdict.expected, observed=verdict.observed, evidence=verdict.evidence, **told
    )  # fmt: skip


def describe(found: list[str] | None, known: Mapping[str, str] | str) -> str:
    """What was found, in words: values themselves stay out of reports."""
    if found is None:
        return "nothing: it does not exist"
    if not found:
        return "nothing: it is empty"
    names = {known: "the written value"} if isinstance(known, str) else known
    words = [names.get(value, "a value that this run did not write") for value in found]
    told = [word if words.count(word) == 1 else f"{word} ({words.count(word)} times)" for word in dict.fromkeys(words)]
    return " and ".join(told)


def _may_change(error: DockerError) -> bool:
    """Whether waiting helps: not after a plain no of Docker's, but when a container was just replaced."""
    replaced = error.status == 409 or (error.status == 404 and "no such container" in error.message.lower())
    return replaced or not 400 <= error.status < 500


def _never_ready(error: Exception, tried: Tried) -> str | None:
    """The name of a write that did not get ready. One that was refused at once never depended on the wait."""
    return "health-before-write" if tried.failures and not isinstance(error, Refused) else None


def _unreachable(
    client: Client, scope: Mapping[str, Any], expected: str, error: Exception, tried: Tried
) -> Verdict:  # fmt: skip
    room = full_disk.look(client, str(scope["stack"]), str(error))
    if room is not None:
        disk = full_disk.blame(room)
        return Verdict(
            False, expected, f"{error}; {disk.told}", tried.words, reachable=False, hint=disk.hint,
            failure_id=full_disk.ID, outcome=disk.outcome,
        )  # fmt: skip
    hint = "Correct `marker` in the recipe's recipe.yml" if isinstance(error, Misplaced | NoService) else ""
    name = "wrong-service" if isinstance(error, NoService) else None
    return Verdict(False, expected, str(error), tried.words, reachable=False, hint=hint, failure_id=name)
