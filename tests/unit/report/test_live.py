"""The live view: what it prints in a pipe, and that it never breaks a terminal."""

from __future__ import annotations

import io
import re

import pytest
from life import START, green, plan, stopped_at
from rich.console import Console

from ccci.report.estimate import Estimate
from ccci.report.live import LiveView, usual

PAST = Estimate({"install": 30.0, "upgrade": 20.0, "teardown": 4.0}, 60.0, 3)


def shown(
    stream: list[dict[str, object]], mode: str = "plain", width: int = 100, estimate: Estimate | None = None
) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=mode == "live")
    view = LiveView(plan(), console, mode, estimate)
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


@pytest.mark.parametrize(
    ("tier", "elapsed", "told"),
    [
        (None, 0.0, "about 1 min 00 s left"),
        ("install", 12.0, "of about 30 s, about 42 s left"),
        ("install", 40.0, "of about 30 s, about 24 s left"),
        ("install", 60.0, "longer than usual"),
        ("backup", 1.0, "about 4.0 s left"),  # not planned before: only the teardown is still to come
        ("teardown", 3.8, "of about 4.0 s"),
    ],
)
def test_how_long_it_usually_takes(tier: str | None, elapsed: float, told: str) -> None:
    assert usual(PAST, tier, elapsed) == told


def test_a_narrow_terminal_keeps_room_for_the_sign_of_life() -> None:
    assert usual(PAST, "install", 12.0, brief=True) == "about 42 s left"
    assert usual(Estimate({"install": 30.0}, None, 1), "install", 12.0, brief=True) == "of about 30 s"


def test_nothing_is_estimated_without_a_past() -> None:
    assert usual(None, "install", 3.0) == ""
    assert "usually" not in shown(green(plan()))


def test_the_estimate_is_shown() -> None:
    assert re.search(r"install .*\(usually 30 s\)", shown(green(plan()), estimate=PAST))
    assert re.search(r"of about 30 s, about \d+ s left", shown(green(plan())[:30], "live", estimate=PAST))
