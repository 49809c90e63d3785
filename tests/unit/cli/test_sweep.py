"""A sweep: what it is asked for, what it keeps of each play, what it comes to, and the page."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from ccci import errors, paths, sweep
from ccci.errors import UsageError
from ccci.report.sweep_page import render
from ccci.sweep import Running, Wish

RESULT = {
    "recipe": "demo", "verdict": "fail", "exit_code": 1, "cause": "upgrade.health: <b>no</b>", "failure_id": None,
    "ref": {"label": "pull request 2", "commit": "c" * 40, "version": None}, "base": {"version": "1.0.0+1"},
    "run": {"id": "20261125-154424-demo-3ec65a", "node": "here", "started": 100.0},
    "time": {"wall": 61.0, "harness": 9.0},
    "tiers": [
        {"tier": "install", "verdict": "pass", "prerequisite": True},
        {"tier": "upgrade", "verdict": "fail", "prerequisite": False},
    ],
    "artefacts": [
        {"kind": "screenshot", "tier": "install", "path": "screenshots/install.png"},
        {"kind": "screenshot", "tier": "custom", "path": "screenshots/one.png"},
        {"kind": "screenshot", "tier": "custom", "path": "../../outside.png"},
        {"kind": "log", "tier": "teardown", "path": "logs/app.log"},
    ],
}  # fmt: skip


def test_what_can_be_asked_for() -> None:
    assert Wish.parse("gitea").words() == ["gitea"]
    assert Wish.parse("gitea#12").words() == ["gitea", "--pr", "12"]
    for wrong in ("gitea#0", "gitea#", "#3", "gitea#x", "Gitea", "--pr"):
        with pytest.raises(UsageError):
            Wish.parse(wrong)


def test_what_is_kept_of_a_play() -> None:
    play = sweep.of_result(Wish.parse("demo#2"), "asked", RESULT)
    assert (play["ref"], play["versions"], play["node"]) == ("pull request 2", "1.0.0+1 → cccccccc", "here")
    assert play["tiers"] == {"upgrade": "fail"}
    assert play["pictures"] == ["../../outside.png", "screenshots/one.png", "screenshots/install.png"]
    assert "1 min 01 s" in sweep.line(play)


@pytest.mark.parametrize(
    ("codes", "interrupted", "code"),
    [
        ([0, 0], False, 0), ([0, 1], False, 1), ([1, 3], False, 3), ([3, 4, 1], False, 4), ([0], True, 130),
        ([], False, 0), ([-9, 0], False, 0), ([-9], False, 3),
    ],
)  # fmt: skip
def test_the_worst_code_is_the_sweeps(codes: list[int], interrupted: bool, code: int) -> None:
    assert sweep.exit_code(codes, interrupted) == code


def test_the_page_leads_to_the_reports_and_holds_no_code_of_others(tmp_path: Path) -> None:
    play = sweep.of_result(Wish.parse("demo#2"), "here", RESULT)
    shots = tmp_path / play["run"] / "screenshots"
    shots.mkdir(parents=True)
    (tmp_path / "outside.png").write_bytes(b"secret")
    (shots / "install.png").write_bytes(b"picture")
    lost = sweep.without_result(Wish.parse("gone"), "here", 2, "ccci: unknown recipe\n", 100.0)
    earlier = {**play, "verdict": "pass", "run": "20261124-154424-demo-3ec65a"}
    data = {"began": 90.0, "ended": 200.0, "nodes": ["here"], "plays": [play, lost]}
    page = render(data, {"demo#2": [earlier]}, tmp_path)
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert page.count('href="../20261125-154424-demo-3ec65a/report.html"') == 3
    assert page.count('href="../20261124-154424-demo-3ec65a/report.html"') == 1
    assert "data:image/png;base64,cGljdHVyZQ==" in page
    assert "1 failed, 1 without a verdict on the recipe" in page
    assert "ccci: unknown recipe" in page


@pytest.fixture
def fake(world, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What runs in place of `python -m ccci.cli.main play`: it tells the words that it got, and obeys signals."""
    program = world.root / "program"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib, signal, sys, time\n"
        "recipe = sys.argv[5]\n"
        f"result = json.loads({json.dumps(json.dumps(RESULT))})\n"
        "def end(*_):\n"
        "    print(json.dumps({**result, 'verdict': 'interrupted', 'exit_code': 130})); sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "pathlib.Path(f'began-{recipe}').touch()\n"
        "if recipe == 'slow': time.sleep(60)\n"
        "if recipe == 'broken': sys.exit('no such thing')\n"
        "print(json.dumps(result)); sys.exit(1)\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(program))
    return world.root


def test_a_sweep_goes_on_after_a_red_one(fake: Path, capsys) -> None:
    code = sweep.sweep(["demo#2", "broken", "demo"], str(fake / "inventory"), None, "json", False)
    data = json.loads(capsys.readouterr().out)
    assert code == 1
    assert [(play["what"], play["verdict"]) for play in data["plays"]] == [
        ("demo#2", "fail"), ("broken", "error"), ("demo", "fail"),
    ]  # fmt: skip
    assert data["plays"][1]["cause"] == "no such thing"
    assert Path(data["page"]).is_relative_to(paths.runs_dir())
    assert json.loads((Path(data["page"]).parent / sweep.FILE).read_text())["ended"] == data["ended"]


def test_a_signal_ends_the_play_under_way_and_begins_no_other(fake: Path, capsys) -> None:
    def interrupt() -> None:
        deadline = time.monotonic() + 20
        while not (fake / "began-slow").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt).start()
    code = sweep.sweep(["slow", "demo"], str(fake / "inventory"), "here", "human", False)
    told = capsys.readouterr()
    assert code == errors.INTERRUPTED
    assert "interrupted" in told.out
    assert "not played: demo" in told.err
    assert not (fake / "began-demo").exists()


def test_nothing_begins_once_it_is_over() -> None:
    running = Running()
    running.hand_on(signal.SIGTERM)
    assert running.start(["true"]) is None
