"""A few quick faults, injected for real; `make faults` injects all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases import CASES
from judge import Case
from stage import Stage
from suite import BOOTSTRAP_LIMIT, run, table

pytestmark = pytest.mark.nested


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    done = Stage(folder / "runs", folder).player.run("bootstrap", "--yes", limit=BOOTSTRAP_LIMIT)
    assert done.code == 0, f"{done.out[-4000:]}\n{done.err[-4000:]}"
    return folder


@pytest.mark.parametrize("case", [case for case in CASES if case.smoke], ids=lambda case: case.id)
def test_a_fault_is_named_in_time(case: Case, folder: Path):
    outcome = run(case, folder)
    assert outcome["ok"], table([outcome])
