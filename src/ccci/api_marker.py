"""What a marker of kind api must give at each point of its life. Pure.

A *call* is `(function of marker.py, value)`; what came of the calls is the list of lines that `ccci.testing.marker`
writes. The node's own kinds of markers are judged by the same rules: module_utils/ccci_host/marker.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ccci_host.marker import Verdict

Call = tuple[str, str]
WRITES = ("seed", "destroy")
ASKED = "the app gives back"


def seed(value: str) -> list[Call]:
    return [("check", value), ("seed", value), ("check", value)]


def change(value: str, later: str) -> list[Call]:
    return [("destroy", value), ("seed", later), ("check", value), ("check", later)]


def processes(calls: Sequence[Call]) -> Iterator[list[Call]]:
    """The calls that share a process. A check after a write gets a fresh one: what it finds must be the app's, and
    nothing that the writer remembers."""
    together: list[Call] = []
    for call in calls:
        if together and call[0] == "check" and together[-1][0] in WRITES:
            yield together
            together = []
        together.append(call)
    if together:
        yield together


def seeded(lines: Sequence[Mapping[str, Any]], ended: str) -> Verdict:
    expected = "the app takes a fresh value, and has none such before"
    if lost := _without_answer(lines, 3, expected, ended):
        return lost
    before, _, after = (line["gave"] for line in lines)
    if before:
        return Verdict(False, expected, "the check says yes to a value that nobody wrote", _tries(lines))
    if not after:
        return Verdict(False, expected, "it took the value, and has no such thing", _tries(lines))
    return Verdict(True, expected, "it gives the value back", _tries(lines))


def found(lines: Sequence[Mapping[str, Any]], ended: str) -> Verdict:
    expected = f"{ASKED} the seeded value"
    if lost := _without_answer(lines, 1, expected, ended):
        return lost
    there = lines[0]["gave"]
    return Verdict(there, expected, "it does" if there else "it has no such thing", _tries(lines))


def changed(lines: Sequence[Mapping[str, Any]], ended: str) -> Verdict:
    expected = "the app destroys the seeded value, and takes another one"
    if lost := _without_answer(lines, 4, expected, ended):
        return lost
    first, later = lines[2]["gave"], lines[3]["gave"]
    if first or not later:
        told = "the seeded value is still there" if first else "it has not the other one"
        return Verdict(False, expected, told, _tries(lines))
    return Verdict(True, expected, "the check for the seeded value says no, for the other one yes", _tries(lines))


def back(lines: Sequence[Mapping[str, Any]], ended: str, later_ones: int) -> Verdict:
    """Of `check` for the seeded value and for each of those that were written after the backup."""
    expected = f"{ASKED} the seeded value, and none that was written after the backup"
    if lost := _without_answer(lines, 1 + later_ones, expected, ended):
        return lost
    first, later = lines[0]["gave"], [line["gave"] for line in lines[1:]]
    words = ["the seeded value"] * first + ["a value written after the backup"] * any(later)
    observed = " and ".join(words) or "it has no such thing"
    return Verdict(first and not any(later), expected, observed, _tries(lines))


def written(lines: Sequence[Mapping[str, Any]], ended: str) -> Verdict:
    expected = "the app takes a fresh value after the restore"
    if lost := _without_answer(lines, 2, expected, ended):
        return lost
    there = lines[1]["gave"]
    observed = "it gives the value back" if there else "it took the value, and has no such thing"
    return Verdict(there, expected, observed, _tries(lines))


def _without_answer(lines: Sequence[Mapping[str, Any]], due: int, expected: str, ended: str) -> Verdict | None:
    """For calls that were not all answered; `ended` tells how their process ended."""
    failed = next((line["failed"] for line in lines if "failed" in line), None)
    if failed is not None:
        return Verdict(
            False, expected, failed["observed"], (failed["evidence"],), failure_id=failed.get("failure_id"),
            outcome="error" if failed.get("ours") else "fail",
        )  # fmt: skip
    if len(lines) < due:
        return Verdict(False, expected, ended, outcome="fail")
    return None


def _tries(lines: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(lines[-1].get("tries") or ()) if lines else ()
