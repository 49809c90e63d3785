"""The list of failure ids, as data. `failures.yml` is the one place where they are described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Any

FAULTS = {
    "recipe": "The recipe's",
    "infrastructure": "The infrastructure's",
    "either": "The recipe's or the infrastructure's; the result says which",
    "never": "Nobody's: it is never a verdict",
}
HOW = {
    "named": "A result carries this id",
    "refused": "The command ends before anything is deployed",
    "prevented": "It cannot happen",
    "waited": "It is waited for, within a limit",
    "shown": "It comes up under another id or in words",
}


@dataclass(frozen=True)
class Failure:
    """One id. The texts are sentences; `fault` is a key of FAULTS, `how` one of HOW; `tiers` in the order of a life.

    `also` are the ids under which a failure without an id of its own comes up (`as` in the file).
    """

    id: str
    title: str
    fault: str
    seen: str
    why: str
    how: str
    tiers: tuple[str, ...]
    does: str
    first_evidence: str
    todo: str
    also: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        also = values.pop("also")
        return {**values, "tiers": list(self.tiers), "as": list(also)}

    @property
    def paragraphs(self) -> tuple[tuple[str, str], ...]:
        """(heading, text) of everything below the title, in the order in which it helps."""
        where = f" ({', '.join(self.tiers)})" if self.tiers else ""
        also = f": {', '.join(self.also)}" if self.also else ""
        return (
            ("whose fault", f"{FAULTS[self.fault]}."),
            ("what you see", self.seen),
            ("why", self.why),
            ("what ccci does", self.does),
            ("how it ends", f"{HOW[self.how]}{also}{where}."),
            ("first evidence", self.first_evidence),
            ("what to do", self.todo),
        )


@cache
def known() -> Mapping[str, Failure]:
    """Every failure by its id, in the order of the file."""
    return {entry["id"]: _failure(entry) for entry in raw()}


def raw() -> list[dict[str, Any]]:
    """The file as it stands."""
    import yaml

    text = resources.files("ccci.failures").joinpath("failures.yml").read_text(encoding="utf-8")
    return list(yaml.safe_load(text))


def _failure(entry: Mapping[str, Any]) -> Failure:
    rest = {name: value for name, value in entry.items() if name not in ("as", "tiers")}
    return Failure(**rest, tiers=tuple(entry["tiers"]), also=tuple(entry.get("as", ())))
