"""The list of failure ids, as data. `failures.yml` is the one place where they are described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
}


@dataclass(frozen=True)
class Failure:
    """One id. The texts are sentences; `fault` is a key of FAULTS, `how` one of HOW; `tiers` in the order of a life."""

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

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "tiers": list(self.tiers)}

    @property
    def paragraphs(self) -> tuple[tuple[str, str], ...]:
        """(heading, text) of everything below the title, in the order in which it helps."""
        where = f" ({', '.join(self.tiers)})" if self.tiers else ""
        return (
            ("whose fault", f"{FAULTS[self.fault]}."),
            ("what you see", self.seen),
            ("why", self.why),
            ("what ccci does", self.does),
            ("how it ends", f"{HOW[self.how]}{where}."),
            ("first evidence", self.first_evidence),
            ("what to do", self.todo),
        )


@cache
def known() -> Mapping[str, Failure]:
    """Every failure by its id, in the order of the file."""
    return {entry["id"]: Failure(**{**entry, "tiers": tuple(entry["tiers"])}) for entry in raw()}


def raw() -> list[dict[str, Any]]:
    """The file as it stands."""
    import yaml

    text = resources.files("ccci.failures").joinpath("failures.yml").read_text(encoding="utf-8")
    return list(yaml.safe_load(text))
