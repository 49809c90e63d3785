"""Six real applications that nobody wrote for ccci, each with a good and a subtly broken pull request.

`make test` plays the two that are quick, `make test-recipes` all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from playing import Played, green, red

Play = Callable[..., Played]


class Broken(NamedTuple):
    """What the broken pull request must be told for: a result that is red, its failure id, words of it, and the first
    red one, which the verdict's sentence is about, where that is another."""

    tier: str
    id: str
    failure_id: str | None
    words: str
    first: str = ""


BROKEN = {
    "mumble": Broken("prepare", "prepare.compose_valid", "port-taken", "service web publishes port 64738/tcp"),
    "bluesky-pds": Broken("upgrade", "upgrade.secrets_kept", None, "pds_plc_rotation_key_v1 → pds_plc_rotation_key_v2"),
    "matrix-synapse": Broken("restore", "restore.marker_back", "silent-restore", "it does not exist"),
    "uptime-kuma": Broken("restore", "restore.marker_back", "silent-restore", "a value written after the backup"),
    "ghost": Broken("restore", "restore.marker_back", "silent-restore", "a value written after the backup"),
    "n8n": Broken("upgrade", "upgrade.marker_survived", None, "decrypt", first="upgrade.secrets_kept"),
}
QUICK = ("mumble", "bluesky-pds")
pytestmark = pytest.mark.recipes
EACH = [pytest.param(name, marks=[pytest.mark.nested] if name in QUICK else []) for name in BROKEN]


@pytest.mark.parametrize("recipe", EACH)
def test_a_good_change_is_green(play: Play, recipe: str) -> None:
    played = play(recipe, "--pr", "1")
    green(played, deploys=1)
    assert "no-op" not in str(played.assertion("upgrade.images_changed")["observed"])
    own = [one for one in played.tier("custom")["assertions"] if one["id"].startswith(f"{recipe}.")]
    assert len(own) >= 2
    assert [one["id"] for one in own if one["outcome"] != "pass"] == []


@pytest.mark.parametrize("recipe", EACH)
def test_a_broken_change_is_red_for_its_cause(play: Play, recipe: str) -> None:
    broken = BROKEN[recipe]
    played = play(recipe, "--pr", "2")
    red(played, broken.tier, deploys=1)
    told: dict[str, Any] = played.assertion(broken.id)
    assert (told["outcome"], told["failure_id"]) == ("fail", broken.failure_id), told
    assert broken.words in told["observed"]
    # The sentence that a maintainer reads first is about the cause, and about nothing that followed from it.
    assert played.json["cause"].startswith(f"{broken.first or broken.id}: "), played.json["cause"]
