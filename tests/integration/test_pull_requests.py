"""The pull requests of the embedded custom-html, each with the verdict that a maintainer has to get."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from playing import PROJECT, Node, Played, Player

pytestmark = pytest.mark.nested


@pytest.fixture
def play(player: Player, node: Node):
    """Plays, and makes sure that the node is afterwards what it was before."""

    def run(*words: str, recipe: str = "custom-html") -> Played:
        before = node.objects()
        played = player.play(recipe, *words)
        assert played.json is not None, played.err
        assert node.objects() == before
        assert played.json["left_behind"] == []
        return played

    return run


def test_1_a_good_change_passes(play):
    played = play("--pr", "1")
    assert (played.code, played.json["verdict"]) == (0, "pass"), played.err
    assert {tier["verdict"] for tier in played.json["tiers"]} == {"pass"}
    assert played.json["deploys"] == {"due": 1, "made": 1}
    assert "no-op" not in str(played.assertion("upgrade.images_changed")["observed"])
    for name in ("plan.json", "events.jsonl", "result.json", "junit.xml", "report.html", "screenshots/install.png"):
        assert (played.run_dir / name).stat().st_size > 100, name
    assert list((played.run_dir / "logs").glob("app*.log")), "the service's log was not kept"
    tasks = [event for event in played.events() if event["type"] == "task" and event.get("on") == "node"]
    life = [task["name"] for task in tasks if task.get("tier") != "custom"]  # the recipe's own tests are its own affair
    assert 0 < len(life) <= 14, life
    assert len(tasks) - len(life) <= 2, [task["name"] for task in tasks]  # one for each of its task files


def test_2_a_wrong_health_port_fails_in_upgrade_within_seconds(play):
    played = play("--pr", "2")
    assert (played.code, played.tier("upgrade")["verdict"]) == (1, "fail"), played.err
    converged = played.assertion("upgrade.converged")
    assert converged["service"] == "app"
    assert re.search(r"8080|connect", f"{converged['observed']} {converged['evidence']}"), converged
    assert played.tier("upgrade")["seconds"] < 60
    assert played.tier("backup")["verdict"] == "not reached"


def test_3_a_renamed_volume_loses_the_marker(play):
    played = play("--pr", "3")
    assert (played.code, played.tier("upgrade")["verdict"]) == (1, "fail"), played.err
    assert played.assertion("upgrade.marker_survived")["outcome"] == "fail"
    assert played.assertion("upgrade.volumes_kept")["outcome"] == "fail"
    assert "content" in played.assertion("upgrade.volumes_kept")["observed"]


def test_4_dropped_backup_labels_fail_in_backup(play):
    played = play("--pr", "4")
    assert (played.code, played.tier("backup")["verdict"]) == (1, "fail"), played.err
    assert played.tier("upgrade")["verdict"] == "pass"
    assert "no service" in played.tier("backup")["cause"].lower()


def test_5_a_missing_image_fails_before_anything_is_deployed(play):
    played = play("--pr", "5")
    assert (played.code, played.tier("prepare")["verdict"]) == (1, "fail"), played.err
    pulled = played.assertion("prepare.images_pulled")
    assert pulled["failure_id"] == "missing-image"
    assert re.search(r"manifest.*unknown|not found", f"{pulled['observed']} {pulled['evidence']}"), pulled
    assert not played.json["deploys"]["made"]


@pytest.mark.parametrize("number", ["6", "9"])
def test_6_a_broken_compose_file_is_named_with_its_line(play, number):
    played = play("--pr", number)
    assert (played.code, played.tier("prepare")["verdict"]) == (1, "fail"), played.err
    valid = played.assertion("prepare.compose_valid")
    assert re.search(r"compose\.yml:\d+", f"{valid['observed']} {valid['evidence']}"), valid
    assert not played.json["deploys"]["made"]


def test_7_a_change_of_the_readme_is_a_no_op_and_says_so(play):
    played = play("--pr", "7")
    assert (played.code, played.json["verdict"]) == (0, "pass"), played.err
    assert "no-op upgrade: image digests unchanged" in played.assertion("upgrade.images_changed")["observed"]


def test_8_templates_in_a_pull_request_stay_text(play, node: Node):
    """The pull request carries lookups that would make files in /tmp, here or on the node, were they ever rendered."""
    played = play("--pr", "8")
    assert (played.code, played.json["verdict"]) == (0, "pass"), played.err
    assert list(Path("/tmp").glob("ccci-pwned*")) == []
    assert node.run("ls /tmp/ | grep ccci-pwned || true") == ""
    assert any(".ccci/tests" in name for name in played.json["untrusted_tests"])


def test_a_recipe_without_a_folder_gets_every_generic_assertion(play):
    played = play(recipe="notes")
    assert (played.code, played.json["verdict"]) == (0, "pass"), played.err
    assert played.assertion("restore.marker_back")["outcome"] == "pass"
    assert any("functional" in gap for gap in played.json["coverage_gaps"])


def test_tags_give_the_verdict_on_one_tier(play):
    played = play("--pr", "1", "--tags", "restore")
    assert (played.code, played.json["verdict"]) == (0, "pass"), played.err
    assert played.tier("restore")["verdict"] == "pass"
    ids = [item["id"] for tier in played.json["tiers"] for item in tier["assertions"]]
    assert "install.health" not in ids
    assert "restore.marker_back" in ids


@pytest.mark.parametrize(("number", "tier", "good"), [("1", "restore", True), ("4", "backup", False)])
def test_plain_ansible_gives_the_same_verdict(player: Player, node: Node, number: str, tier: str, good: bool):
    """As an operations team runs it: a saved plan, no command line of ours, and a true return code."""
    before = node.objects()
    plan_file = player.run("plan", "custom-html", "--pr", number, "--save").out.strip()
    done = subprocess.run(
        [str(PROJECT / ".venv/bin/ansible-playbook"), "-i", "inventory/nested", "playbooks/play.yml", "--tags", tier,
         "-e", f"ccci_plan_file={plan_file}"],
        cwd=PROJECT, env=player.environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) is good, done.stdout[-3000:] + done.stderr[-1000:]
    assert ("no service is backed up" in done.stdout) is not good
    assert node.objects() == before
