"""The live view: what it prints in a pipe, and that it never breaks a terminal."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from life import START, green, plan, stopped_at
from rich.console import Console

from ccci.report.live import LiveView, past_seconds


@pytest.fixture(autouse=True)
def no_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CCCI_RUNS_DIR", str(tmp_path))
    return tmp_path


def shown(stream: list[dict[str, object]], mode: str = "plain", width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=mode == "live")
    view = LiveView(plan(), console, mode)
    for event in stream:
        view.on_event(event)
        view.on_tick()
    view.close()
    view.close()
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_a_pipe_gets_plain_lines() -> None:
    text = shown(green(plan()))
    assert "\x1b" not in text
    for tier in ("prepare", "install", "upgrade", "backup", "restore", "custom", "teardown"):
        assert len(re.findall(rf"^✓ {tier}", text, re.MULTILINE)) == 1


def test_a_failure_is_said_when_it_happens() -> None:
    text = shown(stopped_at(plan(), "upgrade.converged", observed="app is unhealthy"))
    assert "✗ upgrade.converged: app is unhealthy" in text
    assert re.search(r"^✗ upgrade", text, re.MULTILINE)
    assert re.search(r"^✓ teardown", text, re.MULTILINE)


@pytest.mark.parametrize("width", [10, 40, 200])
def test_the_moving_line_fits_and_ends(width: int) -> None:
    progress = {"at": START, "type": "progress", "tier": "install", "text": "app 0/1 \x1b[2Jstarting " + "x" * 300}
    stream = green(plan())
    text = shown([*stream[:9], progress, *stream[9:]], "live", width)
    assert "\x1b[2J" not in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")


def test_odd_events_break_nothing() -> None:
    shown(
        [
            {"type": "result"},
            {"type": "task"},
            {"type": "progress", "tier": 7},
            {"type": "result", "outcome": [], "tier": "x"},
        ]
    )


def test_what_is_going_on_is_named_when_it_begins() -> None:
    begin = {
        "at": START,
        "type": "begin",
        "tier": "install",
        "name": "abra_deploy : main | Deploy",
        "module": "ccci_app",
    }
    for mode in ("plain", "live"):
        assert re.search(r"install.*Deploy", shown([begin], mode))


def test_the_verdict_that_fails_a_play_marks_no_tier() -> None:
    task = {"at": START, "type": "task", "module": "ccci_verdict", "outcome": "failed", "name": "Give the verdict"}
    stream = green(plan())
    assert re.search(r"^✓ teardown", shown([*stream, task]), re.MULTILINE)


def test_signals_and_cleaning_are_said() -> None:
    text = shown([{"type": "signal", "signal": "SIGINT"}, {"type": "play_start", "playbook": "clean.yml", "pid": 1}])
    assert "SIGINT: ending the play" in text
    assert "taking away what the play could not" in text


def test_estimates_come_from_green_whole_runs_of_the_recipe(no_past: Path) -> None:
    for number, (recipe, verdict, wall, tags) in enumerate(
        [("custom-html", "pass", 30, ["all"]), ("custom-html", "pass", 40, ["all"]),
         ("custom-html", "fail", 5, ["all"]), ("notes", "pass", 90, ["all"]), ("custom-html", "pass", 9, ["restore"])]
    ):  # fmt: skip
        folder = no_past / f"run-{number}"
        folder.mkdir()
        data = {"recipe": recipe, "verdict": verdict, "run": {"tags": tags}, "time": {"wall": wall}, "tiers": []}
        (folder / "result.json").write_text(json.dumps(data))
    (no_past / "broken").mkdir()
    (no_past / "broken" / "result.json").write_text("{")
    assert past_seconds(no_past, "custom-html") == {"": 35}
    assert past_seconds(no_past, "unknown") == {}
