"""Journals: what they keep, and which runs are dead."""

from __future__ import annotations

import base64
import json
from typing import Any

from ccci_host import journal

SCOPE = {"run": "run-a", "stack": "s_ci_test", "apps": [{"stack": "d_ci_test"}, {"stack": "s_ci_test"}]}


def config(name: str, labels: dict[str, str], data: str) -> dict[str, Any]:
    """An object of the API's /configs, as Docker 20.10.24 lists it."""
    return {"ID": "i1", "Version": {"Index": 5}, "Spec": {"Name": name, "Labels": labels, "Data": data}}


def entry(run: str, state: str = "live") -> journal.Journal:
    return journal.Journal("id", 1, run, state, {"run": run})


def test_a_journal_gives_the_scope_back() -> None:
    data = base64.b64encode(json.dumps(SCOPE).encode()).decode()
    read = journal.parse(config("ccci-run-run-a", {"ccci.run": "run-a", "ccci.state": "kept"}, data))
    assert (read.run, read.state, read.scope) == ("run-a", "kept", SCOPE)
    assert read.stacks == ["d_ci_test", "s_ci_test"]


def test_a_spoilt_journal_still_names_its_run() -> None:
    read = journal.parse(config("ccci-run-run-a", {}, "no json"))
    assert (read.run, read.state, read.scope, read.stacks) == ("run-a", "live", {"run": "run-a"}, [])


def test_everything_but_the_live_run_and_what_is_kept_is_dead() -> None:
    all_of_them = [entry("a"), entry("b", "kept"), entry("c", "leftover"), entry("d"), entry("e", "warm")]
    assert [one.run for one in journal.dead(all_of_them, alive="d")] == ["a", "c"]
    assert [one.run for one in journal.dead(all_of_them, alive="")] == ["a", "c", "d"]
