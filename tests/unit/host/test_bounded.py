"""What runs on strangers' files: it gets its input, and is ended when it says too much or takes too long."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from ccci_host import bounded

HERE = {"PATH": "/usr/bin:/bin"}


def test_a_program_gets_its_input_however_slow_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first look a busy machine may do nothing at all."""
    real, first = subprocess.Popen.communicate, iter([0.0])

    def late(process: Any, *words: Any, timeout: float) -> Any:
        return real(process, *words, timeout=next(first, timeout))

    monkeypatch.setattr(subprocess.Popen, "communicate", late)
    words = b"words" * 100_000  # more than a pipe holds
    assert bounded.run(["cat"], words, 20, HERE) == (0, words, b"")


def test_one_that_says_too_much_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MOST_OUTPUT", 1000)
    with pytest.raises(bounded.TooMuch):
        bounded.run(["yes"], b"", 20, HERE)


def test_one_that_takes_too_long_is_ended() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        bounded.run(["sleep", "20"], b"", 0.1, HERE)


def test_what_it_says_of_an_error_is_apart() -> None:
    assert bounded.run(["sh", "-c", "echo told; echo wrong >&2; exit 3"], b"", 20, HERE) == (3, b"told\n", b"wrong\n")
