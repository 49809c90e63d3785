"""A whole node in one container: set up once for all integration tests, and kept for the next time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playing import Node, Player

# Recipe tests that a test brings along; they run inside a play.
collect_ignore = ["dep_pair"]
BOOTSTRAP_LIMIT = 1200.0  # seconds; from nothing it takes about three minutes


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("CCCI_TEST_RUNS")  # to look at the reports afterwards
    return Path(kept).resolve() if kept else tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def player(runs: Path) -> Player:
    player = Player("nested", runs)
    done = player.run("bootstrap", "--yes", limit=BOOTSTRAP_LIMIT)
    assert done.code == 0, f"{done.out[-4000:]}\n{done.err[-4000:]}"
    return player


@pytest.fixture(scope="session")
def node(player: Player) -> Node:
    return Node(["docker", "exec", "ccci-nested", "sh", "-c"])
