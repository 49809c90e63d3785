"""The recipes of the embedded catalogue that need more than a minute: `make test-recipes`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playing import Node, Played, Player

from ccci.inventory import chosen
from ccci.settings import load_settings

# Recipe tests that a test brings along; they run inside a play.
collect_ignore = ["forge"]
BOOTSTRAP_LIMIT = 1200.0  # seconds
# Of one play. The first one of a recipe also builds its images: Gitea's take five minutes, all others less.
LIMIT = 1500.0


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("CCCI_TEST_RUNS")  # to look at the reports afterwards
    return Path(kept).resolve() if kept else tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def player(runs: Path) -> Player:
    player = Player(os.environ.get("CCCI_RECIPES_INVENTORY", "nested"), runs)
    done = player.run("bootstrap", "--yes", limit=BOOTSTRAP_LIMIT)
    assert done.code == 0, f"{done.out[-4000:]}\n{done.err[-4000:]}"
    return player


@pytest.fixture(scope="session")
def node(player: Player) -> Node:
    settings = load_settings(player.inventory)
    found = chosen(settings.inventory, settings.node)
    assert found.local or found.container, f"{player.inventory} leads to {found}; these tests look into a container"
    return Node([*(["docker", "exec", found.container] if found.container else []), "sh", "-c"])


@pytest.fixture
def play(player: Player, node: Node) -> Callable[..., Played]:
    """Plays, and makes sure that the node is afterwards what it was before."""

    def run(recipe: str, *words: str, by: Player = player) -> Played:
        before = node.objects()
        played = by.play(recipe, *words, limit=LIMIT)
        assert played.json is not None, played.err
        assert played.json["left_behind"] == []
        assert node.objects() == before
        return played

    return run
