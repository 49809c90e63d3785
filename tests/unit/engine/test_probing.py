"""What a check that is asked again and again shows meanwhile; test_probe_modules.py has it in a playbook."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import pytest

from ccci import probing
from ccci_probe import polling
from ccci_probe.polling import Seen


def test_what_is_said_of_a_long_wait():
    sign = {"about": "install.ready: GET https://app.ci.test/", "began": 100.0, "seen": "status 503"}
    assert probing.told(sign, 112.2) == "install.ready: GET https://app.ci.test/: status 503 (12 s)"
    assert probing.told({**sign, "seen": ""}, 106.0).endswith(": no answer yet (6 s)")
    assert probing.told(sign, 104.9) == ""
    assert probing.told({}, 104.9) == ""


def test_the_last_words_of_a_check_are_read_back(tmp_path: Path):
    path = tmp_path / "sign.json"
    path.touch()
    assert probing.read(path) == {}
    tell = polling.sign(str(path), "the port")
    assert probing.read(path)["seen"] == ""
    for words in ("a longer sentence about what was seen", "a short one", "two\nlines"):
        tell(words)
        assert (probing.read(path)["about"], probing.read(path)["seen"]) == ("the port", words.replace("\n", " "))
    path.write_text('{"about": "the p')
    assert probing.read(path) == {}


def test_a_sign_that_nobody_looks_for_is_written_nowhere(tmp_path: Path):
    polling.sign("", "the port")("refused")
    polling.sign(str(tmp_path / "gone"), "the port")("refused")
    assert list(tmp_path.iterdir()) == []


def test_a_check_tells_each_try_after_which_it_goes_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(polling, "FIRST_PAUSE", 0.01)
    seen = iter([Seen("fail", "refused"), Seen("pass", "open"), Seen("pass", "open")])
    said: list[str] = []
    assert polling.poll(lambda: next(seen), time.monotonic() + 5, successes=2, tell=said.append).tries == 3
    assert said == ["refused", "1 of 2 successes in a row; open"]


def test_it_is_said_again_and_again_and_a_full_disk_ends_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(probing, "EVERY", 0.02)
    monkeypatch.setattr(probing, "LOOK", 0.01)
    path, said = tmp_path / "sign.json", []
    path.touch()
    with probing.saying(path, said.append):
        polling.sign(str(path), "the port")("refused")
        end = time.monotonic() + 5
        while len(said) < 3 and time.monotonic() < end:
            time.sleep(0.01)
    assert len(said) >= 3
    assert said[-1].startswith("the port: refused (")

    def full(_: str) -> None:
        said.clear()
        raise OSError(errno.ENOSPC, "no space left")

    with probing.saying(path, full):
        while said and time.monotonic() < end:
            time.sleep(0.01)
    assert said == []
