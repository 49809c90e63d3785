"""No secret, and no part of one that a cut left over, is ever shown."""

from __future__ import annotations

import base64
import json
import random
import string
import time
import urllib.parse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ccci import redaction
from ccci.redaction import SHORTEST, Redactor
from ccci_host.answer import cut

HEX = "0f3a9c77b1d24e5a8b6c7d9e0f1a2b3c"
ODD = "pa55 wörd/\"with'&=+<everything>"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nZm9vYmFyYmF6cXV4\n-----END PRIVATE KEY-----\n"
SPELLINGS: list[Callable[[str], str]] = [
    str,
    lambda value: json.dumps(value)[1:-1],
    lambda value: repr(f"{value} ")[1:-2],
    lambda value: repr(f"{value} '\"")[1:-5],
    lambda value: urllib.parse.quote(value, safe=""),
    lambda value: base64.b64encode(value.encode()).decode(),
]


def shown_part(text: str, spelling: str) -> str:
    """The longest piece of the secret that can be read in a text."""
    lines = [line for line in spelling.split("\n") if len(line) >= 2 * SHORTEST]
    pieces = [
        line[start:end] for line in lines for start in range(len(line)) for end in range(start + 1, len(line) + 1)
    ]
    return max((piece for piece in pieces if piece in text), key=len, default="")


@pytest.mark.parametrize("secret", [HEX, ODD, KEY], ids=["hex", "odd", "key"])
@pytest.mark.parametrize("spelled", SPELLINGS, ids=["plain", "json", "repr", "repr2", "url", "base64"])
def test_a_cut_through_a_secret_leaves_nothing_of_it(secret: str, spelled: Callable[[str], str]) -> None:
    redactor, spelling = Redactor({"key": secret}), spelled(secret)
    text = f"boot failed, key is {spelling} | and then it stopped"
    whole, limit = len(text.encode()), redaction.least_part(spelling)
    for kept in range(len(" | and then it stopped") + 1, whole):
        for evidence in (cut(text, kept), f"log of app: {cut(text, kept)}", f"'{text[-kept:]}'", text[-kept:]):
            left = shown_part(redactor.text(str(evidence)), spelling)
            assert len(left) < limit, (evidence, left)
    for kept in range(len("boot failed, key is "), len(text)):
        for observed in (text[:kept], f"said {text[:kept]}… and so on", f"stdout '{text[:kept]}'", text[:kept] + "\nx"):
            left = shown_part(redactor.text(observed), spelling)
            assert len(left) < limit, (observed, left)


def test_a_piece_from_inside_a_secret_is_hidden() -> None:
    assert redaction.Redactor({"key": HEX}).text(f"a\n{HEX[5:20]}\nb") == "a\n<rest of secret key>\nb"


def test_wrapped_lines_give_nothing_away() -> None:
    wrapped = f"key={HEX[:18]}\n{HEX[18:]} ok"
    assert Redactor({"key": HEX}).text(wrapped) == "key=<rest of secret key>\n<rest of secret key> ok"


def test_ordinary_text_stays_as_it_is() -> None:
    """Also where the secret has a word in it that the text uses."""
    redactor = Redactor({"url": "postgresql://app:0f3a9c77@postgres/app", "key": HEX})
    text = (
        "the service postgres is unhealthy\napp: waiting for postgres at postgresql://other\n\n  … 'postgres' \"x\"\n"
    )
    assert redactor.text(text) == text
    letters = string.ascii_letters + string.digits + " \n'\"…"
    noise = "".join(random.Random(4).choices(letters, k=20_000))
    assert redactor.text(noise) == noise
    assert Redactor({}).text(noise) == noise


def test_short_values_are_no_secrets() -> None:
    assert Redactor({"pin": "12345"}).text("12345") == "12345"


@pytest.mark.parametrize("text", [" " * 10**6, "\n" * 10**6, f"'{HEX[:12]}\n" * 20_000])
def test_no_text_keeps_the_redactor_busy(text: str) -> None:
    began = time.process_time()
    Redactor({"key": HEX}).text(text)
    assert time.process_time() - began < 3.0


def test_a_log_of_a_service_is_read_in_no_time() -> None:
    secrets = {f"key{number}": f"{number:02d}" + HEX for number in range(10)} | {"pem": KEY * 10}
    log = "\n".join(f"2026-01-01T00:00:00Z level=info msg='request {number} done'" for number in range(20_000))
    redactor, began = Redactor(secrets), time.process_time()
    assert redactor.text(log) == log
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize("around", [("", ""), ("a:", "!"), ("ab:", "?>"), ("user:", ""), ("abc:xy", "\xff")])
def test_a_secret_in_the_middle_of_base64_is_hidden(around: tuple[str, str]) -> None:
    secret = "s3cret?>value~~of-a-run"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(f"{around[0]}{secret}{around[1]}".encode()).decode()
        redactor = Redactor({"admin": secret})
        assert redactor.finds(f"Authorization: Basic {text}") == {"admin"}
        assert "<secret admin>" in redactor.text(f"Authorization: Basic {text}")


def test_a_secret_is_made_once_however_many_ask_for_it(tmp_path: Path) -> None:
    made = iter(range(1000))

    def ask(number: int) -> tuple[str, str]:
        name = f"person{number % 5}"
        return name, redaction.secret_of(tmp_path, name, lambda: f"password-{next(made)}")

    with ThreadPoolExecutor(20) as pool:
        told = list(pool.map(ask, range(60)))
    assert len(set(told)) == 5, "everybody was told the same"
    assert redaction.load_secrets(tmp_path) == dict(told)


def test_who_is_killed_while_writing_leaves_nothing_for_ever(tmp_path: Path) -> None:
    (tmp_path / ".secrets.json.abc123").write_text('{"old": "half-written')
    redaction.add_secrets(tmp_path, {"new": "a-value-to-hide"})
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
