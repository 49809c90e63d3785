"""Asks again until the answer is the characteristic one, or until the time is over. Then the last answer counts.

Standard library only: the node's commands are polled with it as well.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  # seconds between two tries
RETRY_LINES, RETRY_WIDTH = 12, 160  # of what is told about tries that went wrong
# What a check is for, which decides the name of its failure: a test judges; `boot` asks whether something has come up;
# a `gate` must hold before the app is redeployed.
TEST, BOOT, GATE = PURPOSES = ("test", "boot", "gate")


@dataclass(frozen=True)
class Seen:
    """What one try saw. `outcome` is pass, fail (the recipe's fault) or error (infrastructure's).

    `placeholder`: somebody answers as wanted, but not with what is characteristic. `final`: asking again would change
    nothing, or would do something twice.
    """

    outcome: str
    observed: str
    evidence: str = ""
    hint: str = ""
    data: object = None
    failure_id: str = ""
    service: str = ""
    placeholder: bool = False
    final: bool = False


@dataclass(frozen=True)
class Polled:
    """The last try, how many there were, the seconds they took, and the tries that went wrong: (seconds, words)."""

    seen: Seen
    tries: int
    seconds: float
    failures: tuple[tuple[float, str], ...] = ()

    @property
    def tries_told(self) -> str:
        return f" after {self.tries} tries in {self.seconds:.1f} s" if self.tries > 1 else ""

    @property
    def evidence(self) -> str:
        """The tries that went wrong before the last one, then what the last one left behind."""
        earlier = self.failures if self.seen.outcome == "pass" else self.failures[:-1]
        return "\n\n".join(part for part in ("\n".join(retries_told(earlier)), self.seen.evidence) if part)


def retries_told(failures: Iterable[tuple[float, str]]) -> list[str]:
    """One line for each run of equal words; of many lines the first and the last."""
    lines = []
    for words, group in itertools.groupby(failures, key=lambda failure: failure[1]):
        times = [passed for passed, _ in group]
        when = f"after {times[0]:.1f} s"
        if len(times) > 1:
            when += f" to {times[-1]:.1f} s, {len(times)} times"
        lines.append(short(f"{when}: {words}", RETRY_WIDTH))
    half = RETRY_LINES // 2
    return lines if len(lines) <= RETRY_LINES else [*lines[:half], f"… {len(lines) - 2 * half} more", *lines[-half:]]


def short(text: str, limit: int = 400) -> str:
    """One line of at most `limit` characters, with a mark where it was cut."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def sign(path: str, about: str) -> Callable[[str], None]:
    """A `tell` for `poll`: keeps `{about, began: <epoch s>, seen}` in a file that exists already, for the controller's
    half of the module, which shows it. `path` is "" where nobody looks. A sign that gets lost must not fail a check."""
    began = time.time()

    def tell(seen: str) -> None:
        if path:
            with contextlib.suppress(OSError), Path(path).open("r+", encoding="utf-8") as file:
                file.write(json.dumps({"about": about, "began": began, "seen": short(seen)}))
                file.truncate()

    tell("")
    return tell


def poll(
    attempt: Callable[[], Seen], deadline: float, successes: int = 1, tell: Callable[[str], None] | None = None
) -> Polled:
    """`deadline` is of time.monotonic(); one try is always made. `successes` passes in a row are needed.

    `tell` hears what was seen by each try after which it is asked again."""
    began, pause, tries, good = time.monotonic(), FIRST_PAUSE, 0, 0
    failures: list[tuple[float, str]] = []
    while True:
        asked = time.monotonic() - began
        seen = attempt()
        tries += 1
        good = good + 1 if seen.outcome == "pass" else 0
        now = time.monotonic()
        if not good:
            failures.append((asked, seen.observed))
        if good >= successes or seen.final or now + pause > deadline:
            if good and good < successes:
                told = f"{good} of {successes} successes in a row when the time was over; the last: {seen.observed}"
                seen = replace(seen, outcome="fail", observed=told)
                failures.append((asked, told))
            return Polled(seen, tries, now - began, tuple(failures))
        if tell is not None:
            tell(f"{good} of {successes} successes in a row; {seen.observed}" if good else seen.observed)
        time.sleep(pause)
        pause = FIRST_PAUSE if good else min(LONGEST_PAUSE, pause * 1.5)


def failure_id(seen: Seen, purpose: str) -> str | None:
    """The failure's name in the catalogue. What is infrastructure's fault, and a test's plain no, have none."""
    if seen.outcome == "pass" or seen.failure_id:
        return seen.failure_id or None
    if seen.outcome == "fail" and purpose == GATE:
        return "subservice-race"
    return "boot-placeholder" if seen.outcome == "fail" and purpose == BOOT and seen.placeholder else None


class Series:
    """The deadlines of several checks that share one limit, in seconds. A check may have a limit of its own.

    Once an operation has failed it is over: the checks that are left are asked once, for people to see."""

    def __init__(self, limit: float, operation: bool) -> None:
        self._shared, self._operation, self._lost = time.monotonic() + limit, operation, False

    def deadline(self, within: float | None) -> float:
        now = time.monotonic()
        if self._lost:
            return now
        return self._shared if within is None else now + within

    def add(self, polled: Polled) -> None:
        self._lost = self._lost or (self._operation and polled.seen.outcome != "pass")
