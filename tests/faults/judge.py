"""What a case expects, what it got, and whether the two agree. Pure, but for what `Case` carries along to be run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from evidence import Evidence
from playing import Played
from stage import Record, Stage

HARD_LIMIT = 20.0  # seconds from the first evidence to the verdict
MEDIAN_GOAL = 10.0
EARLY = 2.0  # seconds; a limit that is shared with other steps ends a little earlier than counted from its own step
RED = ("fail", "error", "missing")
Around = Callable[[Stage], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Got:
    """A run's answer in the words that a case is written in. `at`: when the verdict was known, epoch seconds."""

    exit: int
    tier: str = ""
    id: str = ""
    named: str = ""
    service: str = ""
    said: str = ""
    at: float | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.exit), self.tier, self.named, self.service)))


@dataclass(frozen=True)
class Case:
    """One fault and what has to be said about it.

    `failure_id` is the row of the catalogue; `named` the id that the result must carry when that is another one (None:
    the row's own for a red case). `words` are those of `ccci play faultbox`, `settings` a folder of settings/,
    `around` what is done to the node or to this machine meanwhile. `says` must be found in what the result says: of a
    red case its sentence, of a green one the assertion `where`. `also` finds further problems, as texts. `act` replaces
    the play: it does what has to be done, and returns the problems that it found.
    """

    id: str
    failure_id: str
    title: str
    words: tuple[str, ...] = ()
    settings: str = ""
    around: tuple[Around, ...] = ()
    exit: int = 0
    tier: str = ""
    named: str | None = None
    service: str | None = None
    says: str = ""
    where: str = ""
    evidence: Evidence | None = None
    also: Callable[[Stage, Played], list[str]] | None = None
    act: Callable[[Stage], list[str]] | None = None
    smoke: bool = False

    @property
    def expected(self) -> str:
        """In the words of `Got`."""
        if self.act is not None:
            return "impossible"
        if self.exit == 0:
            return "0"
        return " ".join(filter(None, (str(self.exit), self.tier, self.id_wanted, self.service)))

    @property
    def id_wanted(self) -> str:
        return self.failure_id if self.named is None else self.named


def got(played: Played, record: Record) -> Got:
    """The culprit of a run: the first red assertion of its first red tier. What was refused has only an exit code."""
    if not isinstance(played.json, dict) or "tiers" not in played.json:
        return Got(played.code, said=f"{played.out}\n{played.err}")
    for tier in played.json["tiers"]:
        for item in tier["assertions"]:
            if item["outcome"] in RED:
                said = " ".join(str(item[key] or "") for key in ("observed", "cause"))
                return Got(
                    played.code, tier["tier"], item["id"], item["failure_id"] or "", item["service"] or "", said,
                    moment(record, item["id"], item["outcome"]),
                )  # fmt: skip
    return Got(played.code, said=str(played.json.get("cause") or ""))


def moment(record: Record, id: str, outcome: str) -> float | None:
    """When the run's event file got this result: what a person sees live."""
    for event in record.play:
        if event.get("type") == "result" and event.get("id") == id and event.get("outcome") == outcome:
            return float(event["at"])
    return None


def problems(case: Case, answer: Got, played: Played, first: float | None) -> list[str]:
    """What is wrong with an answer; empty when it is the right one."""
    wrong = []
    if answer.exit != case.exit:
        wrong.append(f"exit {answer.exit}, not {case.exit}")
    if case.exit == 0:
        return wrong + _green(case, answer, played)
    if case.tier and answer.tier != case.tier:
        wrong.append(f"in {answer.tier or 'no tier'}, not in {case.tier}")
    if answer.tier and answer.named != case.id_wanted:
        wrong.append(f"named {answer.named or 'nothing'}, not {case.id_wanted}")
    if case.service is not None and answer.service != case.service:
        wrong.append(f"service {answer.service or 'none'}, not {case.service}")
    if not re.search(case.says, answer.said):
        wrong.append(f"no “{case.says}” in “{' '.join(answer.said.split())[:300]}”")
    if case.evidence is not None:
        wrong += _late(answer.at, first)
    return wrong


def _late(at: float | None, first: float | None) -> list[str]:
    if first is None:
        return ["no evidence was recorded: the fault was not injected"]
    if at is None:
        return ["no moment of the verdict in the run's events"]
    if at - first < -EARLY:
        return [f"{first - at:.1f} s before the first evidence: it is about something else"]
    return [f"{at - first:.1f} s after the first evidence"] if at - first > HARD_LIMIT else []


def _green(case: Case, answer: Got, played: Played) -> list[str]:
    if answer.tier:
        return [f"{answer.id} is red: {' '.join(answer.said.split())[:300]}"]
    if not isinstance(played.json, dict) or played.json.get("verdict") != "pass":
        return ["the verdict is no pass"]
    named = sorted({item["failure_id"] for item in assertions(played) if item["failure_id"]})
    wrong = [f"a finding in a green run: {', '.join(named)}"] if named else []
    if case.where:
        item = next((item for item in assertions(played) if item["id"] == case.where), None)
        said = f"{item['observed']} {item['evidence']}" if item else "nothing: there is no such assertion"
        if not re.search(case.says, said):
            wrong.append(f"{case.where} does not say “{case.says}” but “{' '.join(said.split())[:300]}”")
    return wrong


def assertions(played: Played) -> Sequence[dict[str, Any]]:
    return [item for tier in played.json["tiers"] for item in tier["assertions"]]
