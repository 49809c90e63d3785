"""The list of failure ids: well-formed, true to the code, and printed as it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from literals import failure_ids

from ccci.cli import main as command_line
from ccci.failures.known import FAULTS, HOW, known, raw
from ccci.plan.tiers import TIERS
from ccci.schemas import check
from ccci_host import diagnose

PROJECT = Path(__file__).resolve().parents[3]
CODE = [path for folder in ("module_utils", "library", "src", "plugins") for path in (PROJECT / folder).rglob("*.py")]


@pytest.fixture
def ccci(capsys):
    def call(*words: str) -> tuple[int, str, str]:
        code = command_line.run(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_the_list_is_well_formed() -> None:
    assert check.problems("failures", raw()) == []
    names = [entry["id"] for entry in raw()]
    assert len(names) == len(set(names))
    for failure in known().values():
        assert list(failure.tiers) == [tier for tier in TIERS if tier in failure.tiers], failure.id
        assert (failure.fault == "never") <= (failure.how in ("waited", "prevented", "refused")), failure.id


def test_the_schema_knows_the_words_of_the_code() -> None:
    properties = check.schema("failures")["items"]["properties"]
    assert set(properties["fault"]["enum"]) == set(FAULTS)
    assert set(properties["how"]["enum"]) == set(HOW)
    assert properties["tiers"]["items"]["enum"] == list(TIERS)
    broken = [{**raw()[0], "id": "No Id", "fault": "mine", "tiers": [], "todo": "no sentence"}]
    assert {problem[0][1] for problem in check.problems("failures", broken)} == {"id", "fault", "tiers", "todo"}


def test_every_id_that_the_code_uses_is_in_the_list() -> None:
    used = failure_ids(CODE)
    assert len(used) > 15, "the search finds too little to mean anything"
    assert {name: places for name, places in used.items() if name not in known()} == {}
    assert set(diagnose.OTHER_IDS) | set(diagnose.ORDER) <= set(known())


def test_every_id_that_a_result_may_carry_is_used_by_the_code() -> None:
    used = set(failure_ids(CODE))
    assert {failure.id for failure in known().values() if failure.how == "named"} <= used
    assert {failure.id for failure in known().values() if failure.how in ("prevented", "refused")} & used == set()


def test_ids_in_task_files_are_in_the_list() -> None:
    texts = [path.read_text() for folder in ("roles", "playbooks") for path in (PROJECT / folder).rglob("*.yml")]
    names = {str(yaml.safe_load(name)) for text in texts for name in re.findall(r"failure_id: *([^\s{}\"']+)", text)}
    assert names <= set(known())


@pytest.mark.parametrize(
    "code",
    [
        'answer.result("a.b", "fail", failure_id="made-up")',
        'one |= {"failure_id": "made-up"}',
        'one["failure_id"] = other or "made-up"',
        "raced = 'made-up' if tries else None\nanswer.result('a', failure_id=raced)",
        "class Finding:\n    outcome: str\n    failure_id: str\nFinding('fail', 'made-up')",
        "def _pattern(words, failure_id): ...\nx = (_pattern('a', 'made-up'),)",
        "def _id(rc) -> str:\n    return 'made-up' if rc else ''\nfailure_id = _id(1)",
        "seen = first.failure_id in ('made-up',)",
        "FAILURE_ID = 'made-up'",
        "class Late(Exception):\n    def __init__(self, words, failure_id=None): ...\nraise Late(words, 'made-up')",
    ],
)
def test_ids_are_found_wherever_they_are_written(code: str, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(code)
    assert list(failure_ids([tmp_path / "code.py"])) == ["made-up"]


def test_ids_are_followed_from_file_to_file_but_not_to_others_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "diagnose.py").write_text("class Finding:\n    outcome: str\n    failure_id: str")
    (tmp_path / "policy.py").write_text("class Finding:\n    rule: str\n    place: str")
    (tmp_path / "one.py").write_text("from .diagnose import Finding as F\nF('fail', 'first')")
    (tmp_path / "two.py").write_text("from . import diagnose, policy\ndiagnose.Finding('fail', 'second')")
    (tmp_path / "three.py").write_text("from .policy import Finding\nFinding('rule', 'no id')")
    (tmp_path / "why.py").write_text("LATE = 'fourth'\ndef why(rc) -> str | None:\n    return LATE if rc else 'third'")
    (tmp_path / "four.py").write_text("from . import why\nlost = why.why(1)\nreport(failure_id=lost)")
    assert set(failure_ids(tmp_path.glob("*.py"))) == {"first", "second", "third", "fourth"}


def test_the_page_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_failures.py", "--check"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    page = (PROJECT / "docs" / "failures.md").read_text()
    assert set(re.findall(r"^## ([a-z-]+)$", page, re.MULTILINE)) == set(known())


def test_explain_says_everything_about_one_id(ccci, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    code, out, err = ccci("explain", "silent-restore")
    assert (code, err) == (0, "")
    failure = known()["silent-restore"]
    for text in (failure.id, failure.title, *(part for pair in failure.paragraphs for part in pair)):
        assert text in out


def test_explain_lists_every_id(ccci, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = ccci("explain")[1].splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(known())]] == list(known())


def test_explain_in_json(ccci) -> None:
    assert json.loads(ccci("explain", "oom", "--format", "json")[1]) == known()["oom"].to_json()
    assert [one["id"] for one in json.loads(ccci("explain", "--format", "json")[1])] == list(known())


@pytest.mark.parametrize(("name", "near"), [("crashloop", "crash-loop"), ("empty-backups", "empty-backup")])
def test_an_unknown_id_names_the_nearest(ccci, name: str, near: str) -> None:
    code, out, err = ccci("explain", name)
    assert (code, out) == (2, "")
    assert name in err
    assert near in err


def test_an_id_may_be_copied_with_its_brackets(ccci) -> None:
    assert ccci("explain", "[oom]")[0] == 0


def test_the_shell_completes_ids(monkeypatch, capsys) -> None:
    monkeypatch.setenv("_CCCI_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "ccci explain back")
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit):
        command_line.run([])
    assert capsys.readouterr().out == "plain,backup-race\n"
