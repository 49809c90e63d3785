"""Recipes with databases, deps and logins, each with the verdict that a maintainer has to get."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playing import PROJECT, Played, Player, green, red

pytestmark = pytest.mark.recipes
LOGINS = ("install.login", "upgrade.login", "restore.login")
STAGES = ("1-provider", "2-back", "3-user", "4-logged-out", "5-again")  # each leaves a picture
Play = Callable[..., Played]  # the fixture: recipe, words of the command line
FORGE = Path(__file__).parent / "forge"


def logged_in(played: Played) -> None:
    for name in LOGINS:
        told = played.assertion(name)
        assert (told["outcome"], told["observed"].endswith("and out again")) == ("pass", True), told
        for stage in STAGES:
            assert (played.run_dir / "screenshots" / f"{name}-{stage}.png").stat().st_size > 1000


def test_keycloak_itself(play: Play) -> None:
    green(play("keycloak"), deploys=1)


def test_keycloak_with_a_good_change(play: Play) -> None:
    played = play("keycloak", "--pr", "1")
    green(played, deploys=1)
    assert "no-op" not in str(played.assertion("upgrade.images_changed")["observed"])


def test_keycloak_whose_restore_does_nothing_and_says_nothing(play: Play) -> None:
    played = play("keycloak", "--pr", "2")
    red(played, "restore", deploys=1)
    assert played.assertion("restore.marker_back")["failure_id"] == "silent-restore"


def test_gitea_with_a_good_change_and_a_provider(play: Play) -> None:
    played = play("gitea", "--pr", "1")
    green(played, deploys=2)
    assert played.assertion("install.post_install")["outcome"] == "pass"
    assert "no-op" not in str(played.assertion("upgrade.images_changed")["observed"])
    logged_in(played)


def test_gitea_with_a_provider_that_is_kept_warm(play: Play, player: Player) -> None:
    """The verdicts are those of the cold one (above and below), and the provider outlives the plays."""
    try:
        made = player.run("deps", "warm", "keycloak", "--yes", "--format", "json", limit=600)
        assert (made.code, made.json["verdict"]) == (0, "pass"), made.err
        played = play("gitea", "--pr", "1")
        green(played, deploys=1)
        logged_in(played)
        assert played.assertion("teardown.sso.withdrawn")["outcome"] == "pass"
        red(play("gitea", "--pr", "2"), "upgrade", deploys=1)
    finally:
        cooled = player.run("deps", "cool", "keycloak")
    assert cooled.code == 0, cooled.err


def test_gitea_with_a_configuration_that_cannot_be_deployed(play: Play) -> None:
    played = play("gitea", "--pr", "2")
    red(played, "upgrade", deploys=2)
    deployed = played.assertion("upgrade.deploy")
    assert deployed["outcome"] == "fail"
    assert "app_ini" in deployed["observed"], deployed
    assert played.assertion("install.login")["outcome"] == "pass"
    assert played.assertion("upgrade.login")["outcome"] == "not reached"


def test_drive_with_a_good_change(play: Play) -> None:
    played = play("lasuite-drive", "--pr", "3")
    green(played, deploys=2)
    logged_in(played)


def test_drive_whose_office_server_is_killed_while_it_boots(play: Play) -> None:
    played = play("lasuite-drive", "--pr", "4")
    red(played, "upgrade", deploys=2)
    converged = played.assertion("upgrade.converged")
    assert (converged["outcome"], converged["failure_id"], converged["service"]) == ("fail", "health-kill", "collabora")


def test_a_recipe_that_needs_a_forge(play: Play, player: Player, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FORGE, tmp_path / "recipe_tests"))
    shutil.copytree(PROJECT / "recipe_tests" / "gitea", folder / "gitea")  # and no keycloak: the forge needs none
    consumer = Player(player.inventory, player.runs, {"CCCI_RECIPE_TESTS_DIR": str(folder)})
    played = play("custom-html", by=consumer)
    green(played, deploys=2)
    told = {tier["tier"]: tier["assertions"] for tier in played.json["tiers"]}["custom"]
    assert len(told) == 4, told
