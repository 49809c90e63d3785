"""The event file: what is in it must come out again, and what does not must not be taken for nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ccci import events, redaction


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r", "\n", "\ud800"])
def test_no_character_of_an_app_makes_a_result_disappear(tmp_path: Path, character: str) -> None:
    follower = events.Follower(tmp_path)
    events.append(tmp_path, "result", id="demo.page", outcome="fail", observed=f"a{character}b")
    assert [event["outcome"] for event in events.read(tmp_path)] == ["fail"]
    assert [event["outcome"] for event in follower.new()] == ["fail"]


@pytest.mark.parametrize("line", ['{"type": "result", "outcome": "fa', '{"outcome": "fail"}', "[]", "null"])
def test_a_line_that_cannot_be_read_is_no_silence(tmp_path: Path, line: str) -> None:
    (tmp_path / events.EVENTS_FILE).write_text(line + "\n")
    events.append(tmp_path, "result", id="demo.page", outcome="pass")
    broken, passed = events.read(tmp_path)
    assert (broken["type"], broken["outcome"], broken["observed"]) == ("result", "error", "line 1 cannot")
    assert passed["outcome"] == "pass"


def test_what_a_killed_process_left_half_written_is_no_event(tmp_path: Path) -> None:
    events.append(tmp_path, "result", id="demo.page", outcome="pass")
    with (tmp_path / events.EVENTS_FILE).open("a") as file:
        file.write('{"type": "resu')
    assert [event["outcome"] for event in events.read(tmp_path)] == ["pass"]


def test_a_secret_is_hidden_before_a_long_text_is_cut(tmp_path: Path) -> None:
    secret = "s3cr3t-0123456789"
    redaction.add_secrets(tmp_path, {"key": secret})
    evidence = secret + "x" * (events.EVIDENCE_LIMIT - 10)
    events.append(tmp_path, "result", id="demo.page", outcome="fail", evidence=evidence)
    assert secret[-10:] not in (tmp_path / events.EVENTS_FILE).read_text()


def test_an_event_that_a_full_disk_cuts_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: whole(descriptor, data[:5]))
    with pytest.raises(OSError, match="in part"):
        events.append(tmp_path, "result", id="demo.page", outcome="fail")
