"""A marker that the app itself keeps, as a playbook runs it: real processes, and an app that is a file of values."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from test_probe_modules import play

from ccci import api_marker, redaction
from ccci.testing.context import read_lines
from ccci_probe import child

APP = """
import json, os
from pathlib import Path

KEPT = Path(__file__).with_name("kept.json")

def values():
    return json.loads(KEPT.read_text()) if KEPT.exists() else []

def seed(app, value):
    KEPT.write_text(json.dumps([*values(), value]))

def check(app, value):
    return value in values()

def destroy(app, value):
    KEPT.write_text(json.dumps([one for one in values() if one != value]))
"""


class Life:
    """One run's folder with a marker.py; `act(state)` gives {id: result}."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.kept = folder, folder / "kept.json"
        self.write(APP)
        plan = {
            "recipe": {"name": "demo"}, "head": {"version": None}, "scope": {"run": "run-1"},
            "app": {"domain": "app.ci.test", "stack": "app_ci_test"},
        }  # fmt: skip
        (folder / "plan.json").write_text(json.dumps(plan))

    def write(self, text: str, more: str = "") -> None:
        (self.folder / "marker.py").write_text(textwrap.dedent(text) + "\n" + textwrap.dedent(more))

    def act(self, state: str, **options: Any) -> dict[str, dict[str, Any]]:
        task = {"ccci_api_marker": {"state": state, "file": str(self.folder / "marker.py"), **options}}
        before = len(self._stream())
        self.code, stream, self.output = play(self.folder, task)
        return {one["id"]: one for one in stream[before:] if one["type"] == "result"}

    def _stream(self) -> list[str]:
        path = self.folder / "events.jsonl"
        return path.read_text().splitlines() if path.exists() else []

    def values(self) -> list[str]:
        return list(json.loads(self.kept.read_text()))


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


def outcomes(results: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {id: one["outcome"] for id, one in results.items()}


def test_a_whole_life(life: Life) -> None:
    assert outcomes(life.act("seeded")) == {"upgrade.marker_seeded": "pass"}
    assert outcomes(life.act("survived")) == {"upgrade.marker_survived": "pass"}
    assert outcomes(life.act("present")) == {"backup.marker_present": "pass"}
    saved = life.values()
    assert outcomes(life.act("changed")) == {"restore.mutated": "pass"}
    assert not set(saved) & set(life.values())
    life.kept.write_text(json.dumps(saved))
    assert outcomes(life.act("judged")) == {"restore.marker_back": "pass", "restore.write_ready": "pass"}
    assert len(life.values()) == 2, "the write after the restore is one more"


def test_a_check_that_always_says_yes_is_found_out(life: Life) -> None:
    life.write(APP, "def check(app, value):\n    return True")
    told = life.act("seeded")["upgrade.marker_seeded"]
    assert (told["outcome"], told["observed"]) == ("fail", "the check says yes to a value that nobody wrote")
    assert life.code != 0, "it is an operation: nothing can be judged after it"


def test_a_seed_that_does_nothing_is_found_out(life: Life) -> None:
    life.write(APP, "def seed(app, value):\n    pass")
    told = life.act("seeded")["upgrade.marker_seeded"]
    assert (told["outcome"], told["observed"]) == ("fail", "it took the value, and has no such thing")


def test_a_destroy_that_does_nothing_is_found_out(life: Life) -> None:
    life.act("seeded")
    life.write(APP, "def destroy(app, value):\n    pass")
    told = life.act("changed")["restore.mutated"]
    assert (told["outcome"], told["observed"]) == ("fail", "the seeded value is still there")
    assert life.code != 0


def test_what_an_upgrade_lost_is_told_and_written_anew_for_the_restore(life: Life) -> None:
    life.act("seeded")
    life.kept.write_text("[]")
    told = life.act("survived")["upgrade.marker_survived"]
    assert (told["outcome"], told["observed"]) == ("fail", "marker lost: it has no such thing")
    assert life.code == 0, "an assertion, and the life goes on"
    told = life.act("present")["backup.marker_present"]
    assert (told["outcome"], told["observed"]) == ("fail", "it has no such thing; a new one was written")
    assert outcomes(life.act("present")) == {"backup.marker_present": "pass"}


@pytest.mark.parametrize(
    ("gave", "observed"),
    [
        ((False, True), "a value written after the backup"),
        ((True, True), "the seeded value and a value written after the backup"),
        ((False, False), "it has no such thing"),
    ],
)
def test_a_restore_that_does_not_bring_back_what_was_is_no_pass(gave: tuple[bool, bool], observed: str) -> None:
    verdict = api_marker.back([{"gave": one} for one in gave], "", 1)
    assert (verdict.ok, verdict.observed) == (False, observed)
    assert api_marker.back([{"gave": True}, {"gave": False}], "", 1).ok


def test_a_restore_of_which_not_all_was_asked_is_no_pass() -> None:
    verdict = api_marker.back([{"gave": True}], "check() did not end within 300 s", 1)
    assert (verdict.ok, verdict.observed) == (False, "check() did not end within 300 s")


def test_a_check_after_a_write_gets_a_process_of_its_own() -> None:
    def shared(calls: list[api_marker.Call]) -> list[list[str]]:
        return [[name for name, _ in together] for together in api_marker.processes(calls)]

    assert shared(api_marker.seed("a")) == [["check", "seed"], ["check"]]
    assert shared(api_marker.change("a", "b")) == [["destroy", "seed"], ["check", "check"]]
    assert shared([("check", "a"), ("check", "b")]) == [["check", "check"]]
    assert shared([]) == []


def test_what_only_the_writer_remembers_is_found_out(life: Life) -> None:
    life.write("""
    KEPT = set()

    def seed(app, value):
        KEPT.add(value)

    def check(app, value):
        return value in KEPT

    def destroy(app, value):
        KEPT.discard(value)
    """)
    told = life.act("seeded")["upgrade.marker_seeded"]
    assert (told["outcome"], told["observed"]) == ("fail", "it took the value, and has no such thing")


def test_a_marker_that_is_not_back_bears_the_name_that_the_restore_has(life: Life) -> None:
    life.act("seeded")
    life.act("changed")
    told = life.act("judged", lost="silent-restore")
    assert outcomes(told) == {"restore.marker_back": "fail", "restore.write_ready": "pass"}
    assert told["restore.marker_back"]["failure_id"] == "silent-restore"


def test_one_that_was_never_seeded_is_no_pass(life: Life) -> None:
    told = life.act("survived")["upgrade.marker_survived"]
    assert told["outcome"] == "fail"
    assert "no marker was written in this run" in told["observed"]


@pytest.mark.parametrize(
    ("text", "outcome", "observed"),
    [
        ("assert 1 == 2, 'it cannot be decrypted'", "fail", "it cannot be decrypted (marker.py:"),
        ("return 'yes'", "fail", "TypeError: check gave 'yes'; it has to be True or False"),
        ("class NodeError(Exception): pass\nraise NodeError('away')", "error", "NodeError: away"),
        ("import time; time.sleep(60)", "fail", "it did not end"),
        ("import os; os._exit(3)", "fail", "it did not end"),
        ("import pytest; pytest.fail('it is ill')", "fail", "Failed: it is ill (marker.py:"),
        ("import sys; sys.exit('away')", "fail", "SystemExit: away (marker.py:"),
    ],
)
def test_a_check_that_cannot_answer_is_no_pass(tmp_path: Path, text: str, outcome: str, observed: str) -> None:
    file, results = tmp_path / "marker.py", tmp_path / "results.jsonl"
    file.write_text("def check(app, value):\n" + textwrap.indent(text, "    "))
    asked = {
        "recipe": "demo",
        "domain": "d",
        "url": "https://d",
        "stack": "d",
        "version": None,
        "results": str(results),
    }
    context = {**asked, "run_dir": str(tmp_path), "marker": {"file": str(file), "calls": [["check", "abc"]]}}
    (tmp_path / "context.json").write_text(json.dumps(context))
    child.run("ccci.testing.marker", [str(tmp_path / "context.json")], tmp_path, {}, 8)
    verdict = api_marker.found(read_lines(results), "it did not end")
    assert (verdict.ok, verdict.outcome) == (False, outcome)
    assert verdict.observed.startswith(observed), verdict


def test_a_password_is_one_for_the_run_and_hidden(life: Life) -> None:
    first = """
    def seed(app, value):
        print(app.password("owner"))
        KEPT.write_text(json.dumps([value, app.password("owner"), app.password("guest")]))

    def check(app, value):
        if value not in values():
            return False
        assert values()[1:] == [app.password("owner"), app.password("guest")], "another one"
        raise ValueError(app.password("owner"))
    """
    life.write(APP, first)
    told = life.act("seeded")["upgrade.marker_seeded"]
    owner, guest = life.values()[1:]
    assert told["observed"].startswith("ValueError: <secret password.owner>"), told
    assert owner != guest
    assert len(owner) >= 24
    assert re.search("[0-9]", owner)
    assert re.search("[A-Z]", owner)
    assert owner not in life.output
    assert redaction.load_secrets(life.folder) == {"password.owner": owner, "password.guest": guest}


def test_modules_beside_it_can_be_imported(life: Life) -> None:
    (life.folder / "demo_client.py").write_text("def answer():\n    return True\n")
    life.write(APP, "from demo_client import answer\nassert answer()")
    assert outcomes(life.act("seeded")) == {"upgrade.marker_seeded": "pass"}
