"""How long a run will take: from earlier results of the same recipe on the same node, and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from life import RUN, plan

from ccci import runs
from ccci.plan.tiers import TIERS
from ccci.report.estimate import PAST_RUNS, estimate


def past(seconds: float, verdict: str = "pass", **more: Any) -> dict[str, Any]:
    """A result in which every tier took so long, and what is no tier's took 2 s."""
    tiers = [{"tier": tier, "verdict": "pass", "seconds": seconds} for tier in TIERS]
    data = {"recipe": "custom-html", "verdict": verdict, "run": {"node": "here"}, "tiers": tiers}
    return {**data, "time": {"wall": seconds * len(TIERS) + 2}, **more}


def test_the_median_of_the_newest_runs_counts() -> None:
    found = estimate(plan(), [past(1), past(2), past(30)], "here")
    assert found is not None
    assert (found.tiers["install"], found.runs) == (2, 3)
    assert found.whole == 2 * len(TIERS) + 2
    many = estimate(plan(), [*[past(1)] * PAST_RUNS, *[past(9)] * 20], "here")
    assert many is not None
    assert (many.tiers["install"], many.runs) == (1, PAST_RUNS)


@pytest.mark.parametrize(
    "other",
    [
        past(9, recipe="notes"),
        past(9, run={"node": "another"}),
        {},
        {"recipe": "custom-html", "run": None},
        past(9, tiers=[{"tier": "install"}]),
        past(9, time=None),
    ],
)
def test_what_is_of_another_recipe_or_node_or_shape_does_not_count(other: dict[str, Any]) -> None:
    assert estimate(plan(), [other], "here") is None
    mixed = estimate(plan(), [other, past(1)], "here")
    assert mixed is not None
    assert mixed.tiers["install"] == 1


def test_only_tiers_that_went_well_count() -> None:
    """A red run's green tiers do; and without all of them nobody knows about the whole."""
    red = past(4, verdict="fail")
    red["tiers"][2]["verdict"], red["tiers"][3]["verdict"] = "fail", "not reached"
    found = estimate(plan(), [red], "here")
    assert found is not None
    assert found.whole is None
    assert set(found.tiers) == set(TIERS) - {TIERS[2], TIERS[3]}
    assert found.left("install", 1.0) is None


def test_a_narrower_plan_takes_less() -> None:
    narrow, whole = estimate(plan(("install",)), [past(3)], "here"), estimate(plan(), [past(3)], "here")
    assert narrow is not None
    assert whole is not None
    assert set(narrow.tiers) == {"prepare", "install", "teardown"}
    assert narrow.whole is not None
    assert whole.whole is not None
    assert narrow.whole == 3 * 3 + 2 < whole.whole


def test_results_are_read_from_the_newest_on_and_not_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCCI_RUNS_DIR", str(tmp_path))
    names = [f"202611{day:02d}-120000-cust-c12afe" for day in range(1, 29)]
    for name in [*names, "20261201-120000-note-c12afe", RUN]:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "result.json").write_text(json.dumps({"name": name}))
    (tmp_path / names[-1] / "result.json").write_text("{")
    read = [one["name"] for one in runs.past_results(plan())]
    assert read == sorted((name for name in names[:-1] if name != RUN), reverse=True)[: runs.MOST_READ - 1]


@pytest.mark.parametrize(("hosts", "known"), [("{here: {}, there: {}}", True), ("{there: {}, here: {}}", False)])
def test_a_plan_is_compared_with_runs_on_its_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hosts: str, known: bool
) -> None:
    """A plan names its node as Ansible's patterns do; a result has the name that came out."""
    monkeypatch.setenv("CCCI_RUNS_DIR", str(tmp_path))
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(f"ccci_nodes: {{hosts: {hosts}}}\n")
    one = plan()
    one["run"] |= {"node": "ccci_nodes[0]", "inventory": str(inventory)}
    assert runs.estimate_of(one) is None
    folder = tmp_path / "20261101-120000-cust-c12afe"
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(past(3)))
    assert (runs.estimate_of(one) is not None) == known
    inventory.unlink()
    assert runs.estimate_of(one) is None


def test_what_a_plan_tells() -> None:
    assert runs.told_estimate(None) == []
    told = "\n".join(runs.told_estimate(estimate(plan(("install",)), [past(3)], "here")))
    assert "judging by 1 earlier run: about 11 s: prepare 3.0 s, install 3.0 s" in told
