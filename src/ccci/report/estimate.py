"""How long a run will take, judging by earlier ones of the same recipe on the same node. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ccci.plan.tiers import TIERS

PAST_RUNS = 5  # the newest ones, whose medians make the estimate
DONE = ("pass", "skip")
LONGER = 1.5  # times the estimate, after which a tier takes longer than usual


@dataclass(frozen=True)
class Estimate:
    """Seconds. `tiers` has those of the plan that went well before; `whole` is None unless all of them did."""

    tiers: Mapping[str, float]
    whole: float | None
    runs: int

    def left(self, tier: str | None, elapsed: float) -> float | None:
        """What is still to come when `tier` (None: the run itself) began `elapsed` seconds ago."""
        if self.whole is None:
            return None
        if tier not in TIERS:
            return max(0.0, self.whole - elapsed)
        after = sum(seconds for name, seconds in self.tiers.items() if TIERS.index(name) > TIERS.index(tier))
        return after + max(0.0, self.tiers.get(tier, 0.0) - elapsed)

    def is_long(self, tier: str | None, elapsed: float) -> bool:
        usual = self.tiers.get(tier or "", self.whole if tier not in TIERS else None)
        return usual is not None and elapsed > LONGER * usual + 1.0


def estimate(plan: Mapping[str, Any], results: Iterable[Mapping[str, Any]], node: str) -> Estimate | None:
    """From the data of earlier result.json files, newest first. None when none of them says anything.

    `node` is the inventory's name of the plan's node; results of another one, or of another recipe, do not count.

    Only tiers that went well count: one that failed ended early, or waited for a limit.
    """
    wanted = [tier for tier in TIERS if any(item["tier"] == tier for item in plan["expected"])]
    known: dict[str, list[float]] = {tier: [] for tier in wanted}
    between: list[float] = []  # what is no tier's: the start of Ansible, and the report
    runs = 0
    for result in results:
        try:
            spent, rest = _of_run(str(plan["recipe"]["name"]), node, result)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # a foreign or older file gives no estimate
        if not spent:
            continue
        runs += 1
        between += [rest] if rest is not None else []
        for tier, seconds in spent.items():
            if tier in known:
                known[tier].append(seconds)
        if runs == PAST_RUNS:
            break
    tiers = {tier: statistics.median(values) for tier, values in known.items() if values}
    if not tiers:
        return None
    whole = sum(tiers.values()) + (statistics.median(between) if between else 0.0)
    return Estimate(tiers, whole if len(tiers) == len(wanted) else None, runs)


def _of_run(recipe: str, node: str, result: Mapping[str, Any]) -> tuple[dict[str, float], float | None]:
    """The seconds of each tier that came to its end in a run of the recipe on the node, and those between tiers."""
    if result["recipe"] != recipe or result["run"]["node"] != node:
        return {}, None
    spent = {str(tier["tier"]): float(tier["seconds"]) for tier in result["tiers"] if tier["verdict"] in DONE}
    if result["verdict"] != "pass":
        return spent, None
    return spent, max(0.0, float(result["time"]["wall"]) - sum(spent.values()))
