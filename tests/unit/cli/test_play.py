"""`ccci play` from the command line to the verdict: real ansible-playbook, scratch playbooks in place of a node."""

from __future__ import annotations

import json

import pytest

from ccci import paths
from ccci.cli import main as command_line

HEAD = """\
- name: Scratch
  hosts: "{{ (lookup('ansible.builtin.file', ccci_plan_file) | from_json).run.node }}"
  gather_facts: false
  vars:
    ccci_run_dir: "{{ ccci_plan_file | dirname }}"
    plan: "{{ lookup('ansible.builtin.file', ccci_plan_file) | from_json }}"
  tasks:
"""
ALL_PASS = """\
    - ccci_record:
        results: "{{ plan.expected | map('combine', {'outcome': 'pass'}) | list }}"
        facts: {deploys: {"made": 1}}
      tags: [always]
"""


@pytest.fixture
def playbooks(world, monkeypatch):
    world.configure("ccci_platform: scratch\n")
    folder = world.root / "playbooks"
    folder.mkdir()
    monkeypatch.setattr(paths, "PLAYBOOKS", folder)
    clean = "    - ccci_record: {results: [{id: teardown.removed, outcome: pass, tier: teardown}]}\n"
    (folder / "clean.yml").write_text(HEAD + clean)
    return folder


def play(world, *words: str) -> int:
    return command_line.run(["play", "demo", "-i", str(world.inventory), *words])


def test_a_pass_is_0_and_json_alone_on_stdout(world, playbooks, capsys):
    (playbooks / "play.yml").write_text(HEAD + ALL_PASS)
    code = play(world, "--format", "json")
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert (code, result["verdict"]) == (0, "pass"), result["cause"]
    assert "install" in err, "progress goes to stderr"
    folder = world.root / "runs" / result["run"]["id"]
    assert json.loads((folder / "result.json").read_text()) == result
    kept = {path.name for path in folder.iterdir()}
    assert kept == {"plan.json", "recipe.bundle", "events.jsonl", "logs", "result.json", "junit.xml", "report.html"}


def test_a_recipes_failure_is_1_and_said(world, playbooks, capsys):
    red = "    - ccci_record: {results: [{id: install.health, outcome: fail, observed: it fell}]}\n"
    (playbooks / "play.yml").write_text(HEAD + ALL_PASS + red)
    code = play(world)
    out, _ = capsys.readouterr()
    assert code == 1, out
    assert "it fell" in out


def test_a_play_that_cannot_begin_is_3_says_why_and_its_folder_too(world, playbooks, capsys):
    (playbooks / "play.yml").write_text("- hosts: [\n")
    assert play(world) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "ended before the play began" in err
    (folder,) = (world.root / "runs").iterdir()
    assert json.loads((folder / "result.json").read_text())["exit_code"] == 3
