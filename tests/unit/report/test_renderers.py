"""Terminal, junit.xml, report.html and result.json: what a reader must find in them, and what must never get out."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from life import RUN, START, green, plan, result, stopped_at
from rich.console import Console

from ccci import events, redaction
from ccci.errors import InfrastructureError
from ccci.report import clean, terminal, words, write
from ccci.report.model import Result
from ccci.report.result import compute
from ccci.schemas import check

HOSTILE = "\x1b[2J\x1b]0;owned\x07<script>alert(1)</script>[bold]{{ 7 * 7 }}\x00\u202egnp.exe\r\nsecond ]]> line"
RED = {"expected": "healthy", "observed": HOSTILE, "evidence": f"log: {HOSTILE}", "service": "app", "hint": "look"}


def printed(computed: Result, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system="truecolor")
    terminal.print_result(computed, console)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def plainly(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CCCI_RUNS_DIR", str(tmp_path))
    folder = tmp_path / RUN
    (folder / "logs").mkdir(parents=True)
    (folder / "screenshots").mkdir()
    (folder / "logs" / "app.log").write_text(f"start\n{HOSTILE}\n")
    (folder / "screenshots" / "install.png").write_bytes(b"\x89PNG picture")
    return folder


def written(folder: Path, one: dict[str, Any], stream: list[dict[str, Any]]) -> Result:
    (folder / "plan.json").write_text(json.dumps(one))
    artefacts = [
        {"at": START, "type": "artefact", "kind": "log", "path": "logs/app.log", "title": "Log of app"},
        {"at": START, "type": "artefact", "kind": "screenshot", "path": "screenshots/install.png", "tier": "install"},
        {"at": START, "type": "artefact", "kind": "log", "path": "../outside.log"},
    ]
    lines = [stream[0], *artefacts, *stream[1:]]
    (folder / events.EVENTS_FILE).write_text("".join(json.dumps(event) + "\n" for event in lines))
    return write.write_all(folder)


def test_a_green_run_is_a_line_per_tier() -> None:
    text = plainly(printed(compute(plan(), green(plan()))))
    for tier in ("prepare", "install", "upgrade", "backup", "restore", "custom", "teardown"):
        assert len(re.findall(rf"^{tier} +✓ pass", text, re.MULTILINE)) == 1
    assert "PASS  custom-html, pull request 2" in text
    assert "harness" in text


def test_a_red_run_says_what_why_and_how_to_do_it_again(run_dir: Path) -> None:
    one = plan()
    computed = written(run_dir, one, stopped_at(one, "upgrade.converged", failure_id="health-kill", **RED))
    text = plainly(printed(computed))
    for part in (
        "upgrade.converged  All services have converged again  [health-kill]", "expected  healthy",
        "observed  <script>", "hint      look", "more      ccci explain health-kill",
        "│ second ]]> line", str(run_dir / "logs" / "app.log"),
        "ccci play custom-html --pr 2 --tags upgrade", "not reached, because upgrade.converged failed", "FAIL",
    ):  # fmt: skip
        assert part in re.sub(r"\s*\n\s*", " ", text) or part in text, (part, text)
    assert "[bold]{{ 7 * 7 }}" in text


@pytest.mark.parametrize("width", [20, 40, 59, 60, 100, 200])
def test_no_escape_sequence_of_a_service_reaches_the_terminal(width: int) -> None:
    one = {**plan(), "notes": [HOSTILE]}
    one["head"]["label"] = HOSTILE
    stream = stopped_at(one, "upgrade.converged", "error", **RED)
    stream.append({"at": START, "type": "fact", "name": "left_behind", "value": [{"kind": "volume", "name": HOSTILE}]})
    stream.append(result("custom-html.x", "custom", "skip", evidence=HOSTILE))
    text = printed(compute(one, stream), width)
    assert not re.search(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert set(re.findall(r"\x1b.[^A-Za-z]*[A-Za-z]", text)) <= set(re.findall(r"\x1b\[[0-9;]*m", text))


def test_the_files_of_a_red_run(run_dir: Path) -> None:
    one = plan()
    (run_dir.parent / "outside.log").write_text("outside")
    computed = written(run_dir, one, stopped_at(one, "upgrade.converged", failure_id="health-kill", **RED))
    data = json.loads((run_dir / write.RESULT_FILE).read_text())
    assert check.problems("result", data) == []
    assert (data["verdict"], data["exit_code"], data["failure_id"]) == ("fail", 1, "health-kill")
    assert data["explain"] == "ccci explain health-kill"
    assert {item["path"] for item in data["artefacts"]} >= {"logs/app.log", "report.html", "junit.xml", "plan.json"}
    assert computed.to_json()["tiers"][0] == data["tiers"][0]

    suites = ET.parse(run_dir / write.JUNIT_FILE).getroot()
    assert (suites.get("failures"), suites.get("errors")) == ("1", "0")
    failure = suites.find(".//testcase[@name='upgrade.converged']/failure")
    assert failure is not None
    assert failure.get("type") == "health-kill"
    for part in ("second ]]> line", "more: ccci explain health-kill", "reproduce: ccci play", "files: logs/app.log"):
        assert part in str(failure.text), failure.text
    assert suites.find(".//testcase[@name='restore.run']/skipped") is not None

    page = (run_dir / write.HTML_FILE).read_text()
    assert "ccci explain health-kill" in page
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "{{ 7 * 7 }}" in page
    assert "data:image/png;base64,iVBORyBwaWN0dXJl" in page
    assert not re.search(r"(src|href)=\"(?!#|data:)", page), "the page loads something"
    assert "outside" not in page.replace("../outside.log", "")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", page)


@pytest.mark.parametrize("name", ["x; rm -rf /", "Big", "-x", "a--b", "", None, "$(id)"])
def test_only_an_id_becomes_a_command(name: str | None) -> None:
    assert words.explain(name) is None


def test_a_green_run_writes_valid_files_too(run_dir: Path) -> None:
    one = plan(("restore",))
    written(run_dir, one, green(one))
    data = json.loads((run_dir / write.RESULT_FILE).read_text())
    assert check.problems("result", data) == []
    assert ET.parse(run_dir / write.JUNIT_FILE).getroot().get("failures") == "0"
    assert "What went wrong" not in (run_dir / write.HTML_FILE).read_text()


def test_a_secret_reaches_no_report(run_dir: Path) -> None:
    redaction.add_secrets(run_dir, {"db_password": "correct-horse-battery"})
    one = plan()
    written(run_dir, one, stopped_at(one, "upgrade.converged", observed="login with correct-horse-battery failed"))
    (run_dir / events.EVENTS_FILE).unlink()
    assert redaction.find_leaks(run_dir) == {}
    assert "&lt;secret db_password&gt;" in (run_dir / write.HTML_FILE).read_text()


def test_an_unreadable_plan_is_said(run_dir: Path) -> None:
    (run_dir / "plan.json").write_text("{")
    with pytest.raises(InfrastructureError, match=r"plan\.json cannot be read"):
        write.write_all(run_dir)


def test_an_empty_run_still_gets_its_reports(run_dir: Path) -> None:
    (run_dir / "plan.json").write_text(json.dumps(plan()))
    assert write.write_all(run_dir).verdict == "error"
    assert "did not start" in (run_dir / write.HTML_FILE).read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x07", "link"),
        ("\x1b]0;never ended\nnext", "\nnext"),
        ("\x9b31mred", "red"),
        ("\x1bPq#0;2;0;0;0\x1b\\after", "after"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\x1b", ""),
        ("\x1b[", ""),
        ("tab\tand ünïcode ✓", "tab\tand ünïcode ✓"),
        ("\ud800\ufffe", ""),
    ],
)
def test_what_is_left_of_hostile_text(text: str, expected: str) -> None:
    assert clean.plain(text) == expected


def test_differences_and_durations() -> None:
    assert words.difference("a", "b") == ["- a", "+ b"]
    assert words.difference("a\nb", "a\nc") == ["  a", "- b", "+ c"]
    assert words.difference(None, "") == []
    assert len(words.difference("x\n" * 50, "y\n" * 50, 10)) == 10
    said = [words.seconds(value) for value in (0.24, 9.96, 59.4, 61, 3605)]
    assert said == ["0.2 s", "10.0 s", "59 s", "1 min 01 s", "60 min 05 s"]
