"""The index of a sweep: one row a play, with the trend of the plays before it and the app's own picture. Pure but for
the pictures that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ccci.plan.tiers import TIERS
from ccci.report import pages

Play = Mapping[str, Any]


def render(sweep: Mapping[str, Any], history: Mapping[str, Sequence[Play]], runs: Path) -> str:
    """`sweep` is sweep.json's data; `history` {what: earlier plays of it, oldest first}; `runs` the folder of all runs.
    The page lies in a folder beside the runs, and leads to their reports."""
    rows = [_row(play, history.get(str(play["what"]), ()), runs) for play in sweep["plays"]]
    told = {verdict: sum(play["verdict"] == verdict for play in sweep["plays"]) for verdict in ("pass", "fail")}
    other = len(rows) - sum(told.values())
    return pages.environment().get_template("sweep.html.j2").render(
        sweep=sweep, rows=rows, tiers=TIERS, passed=told["pass"], failed=told["fail"], other=other,
        tone="pass" if told["pass"] == len(rows) else "fail" if told["fail"] else "error",
    )  # fmt: skip


def _row(play: Play, before: Sequence[Play], runs: Path) -> dict[str, Any]:
    trend = [{"verdict": one["verdict"], "report": _report(one), "at": one["began"]} for one in [*before, play]]
    return {**play, "report": _report(play), "trend": trend, "picture": _picture(play, runs)}


def _report(play: Play) -> str | None:
    return f"../{play['run']}/report.html" if play.get("run") else None


def _picture(play: Play, runs: Path) -> str | None:
    """The last picture of the play that the recipe's own tests or, without those, a tier has made."""
    for name in play.get("pictures") or ():
        path = pages.inside(runs / str(play["run"]), str(name))
        found = pages.picture(path) if path else None
        if found:
            return found
    return None
