"""Asks again until the answer is the characteristic one, or until the time is over. Then the last answer counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  # seconds between two tries


@dataclass(frozen=True)
class Seen:
    """What one try saw. `outcome` is pass, fail (the recipe's fault) or error (infrastructure's)."""

    outcome: str
    observed: str
    evidence: str = ""
    hint: str = ""
    data: object = None


@dataclass(frozen=True)
class Polled:
    """The last try, how many there were, and the seconds they took."""

    seen: Seen
    tries: int
    seconds: float

    @property
    def tries_told(self) -> str:
        return f" after {self.tries} tries in {self.seconds:.1f} s" if self.tries > 1 else ""


def poll(attempt: Callable[[], Seen], deadline: float, successes: int = 1) -> Polled:
    """`deadline` is of time.monotonic(); one try is always made. `successes` passes in a row are needed."""
    began, pause, tries, good = time.monotonic(), FIRST_PAUSE, 0, 0
    while True:
        seen = attempt()
        tries += 1
        good = good + 1 if seen.outcome == "pass" else 0
        now = time.monotonic()
        if good >= successes:
            return Polled(seen, tries, now - began)
        if now + pause > deadline:
            if seen.outcome == "pass":
                told = f"{good} of {successes} successes in a row when the time was over; the last: {seen.observed}"
                seen = Seen("fail", told, seen.evidence)
            return Polled(seen, tries, now - began)
        time.sleep(pause)
        pause = FIRST_PAUSE if good else min(LONGEST_PAUSE, pause * 1.5)
