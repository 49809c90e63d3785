"""A person logs in through a provider, in a real browser; and each way in which that goes wrong is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from little_sso import USER, LittleSso, serving
from test_probe_modules import play

from ccci_probe import browser as pages
from ccci_probe import login
from ccci_probe.steps import Story

THEN = [{"expect_text": "Hello ada"}]
LOGOUT = [{"click": "#out"}, {"expect_text": "You have left"}]


@pytest.fixture
def sso(authority: tuple[Path, Path, Path]) -> Iterator[LittleSso]:
    with serving(authority[0], authority[1]) as made:
        yield made


@pytest.fixture(scope="module")
def chromium(authority: tuple[Path, Path, Path]) -> Iterator[Any]:
    with pages.browser("127.0.0.1", str(authority[2])) as made:
        yield made


def tell(
    sso: LittleSso, chromium: Any, folder: Path, then: Any = THEN, logout: Any = LOGOUT, limit: float = 30, **other: Any
) -> Story:
    facts = {**sso.facts, **other}
    stage = login.Login(chromium, str(folder), time.monotonic() + limit, "install.login", facts, sso.app)
    told = stage.tell("/", [], then, logout)
    kept = told.observed + told.evidence + "".join(one["path"] for one in told.artefacts)
    assert USER["password"] not in kept
    assert "code=" not in told.observed
    return told


def test_in_and_out_again(sso: LittleSso, chromium: Any, tmp_path: Path) -> None:
    told = tell(sso, chromium, tmp_path)
    assert told.outcome == "pass", told.observed
    assert [Path(one["path"]).stem for one in told.artefacts] == [
        f"install.login-{name}" for name in ("1-provider", "2-back", "3-user", "4-logged-out", "5-again")
    ]
    assert all((tmp_path / one["path"]).stat().st_size > 1000 for one in told.artefacts)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"public"}, "not at the provider: 'Hello stranger"),
        ({"logout"}, "the user is still shown after the logout"),
        ({"provider_session"}, "the user is still shown after the logout"),
        ({"open"}, "would show what is typed"),
    ],
)
def test_what_goes_wrong_is_said(
    sso: LittleSso, chromium: Any, tmp_path: Path, wrong: set[str], words: str
) -> None:  # fmt: skip
    sso.lenient = wrong
    told = tell(sso, chromium, tmp_path, limit=12)
    assert (told.outcome, told.failure_id) == ("fail", "login-failed")
    assert words in told.observed


def test_without_a_way_out_the_result_says_so(sso: LittleSso, chromium: Any, tmp_path: Path) -> None:
    told = tell(sso, chromium, tmp_path, logout=[])
    assert (told.outcome, len(told.artefacts)) == ("pass", 3)
    assert "nobody says how to log out" in told.observed


def test_wrong_credentials_show_what_the_provider_says(sso: LittleSso, chromium: Any, tmp_path: Path) -> None:
    began = time.monotonic()
    told = tell(sso, chromium, tmp_path, limit=60, user={**USER, "password": "not this one at all"})
    assert time.monotonic() - began < 30, "the provider asks again at once: nothing is worth waiting for"
    assert "not at the app: 'Invalid username or password." in told.observed
    assert told.failure_id == "login-failed"


@pytest.mark.parametrize(("times", "outcome", "failure_id"), [(1, "pass", None), (2, "error", "browser-transient")])
def test_a_network_that_changes_begins_the_login_anew_once(
    sso: LittleSso, chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    times: int, outcome: str, failure_id: str | None,
) -> None:  # fmt: skip
    """The browser sends a callback again by itself then, and the code in it was used already."""
    real, left = login.Login._back, [f"{sso.app}/callback: net::ERR_NETWORK_CHANGED"] * times

    def back(stage: login.Login, host: str) -> None:
        real(stage, host)
        if left:
            stage.console.failed.append(left.pop())
            raise TimeoutError("status 400")

    monkeypatch.setattr(login.Login, "_back", back)
    told = tell(sso, chromium, tmp_path)
    assert (told.outcome, told.failure_id) == (outcome, failure_id), told.observed
    assert "the login began again" in told.evidence


def test_another_user_than_the_one_who_logged_in(sso: LittleSso, chromium: Any, tmp_path: Path) -> None:
    told = tell(sso, chromium, tmp_path, then=[{"expect_text": "Hello bob"}], limit=6)
    assert "the_user ada: 'Hello bob' is not shown; the page shows: 'Hello ada" in told.observed


def test_steps_know_the_user_and_no_password() -> None:
    steps = [{"fill": {"selector": "#a", "value": "{{ user.email }}"}}, {"expect_text": "Hello {{user.username}}!"}]
    assert login.with_user(steps, USER) == [
        {"fill": {"selector": "#a", "value": "ada@ci.test"}}, {"expect_text": "Hello ada!"},
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"user\.password is not known"):
        login.with_user({"expect_text": "{{ user.password }}"}, USER)


def test_the_module_keeps_its_pictures(sso: LittleSso, authority: tuple[Path, Path, Path], tmp_path: Path) -> None:
    asked = {
        "id": "install.login", "facts": sso.facts, "url": sso.app, "then": THEN, "logout": LOGOUT, "retry_for": 60,
        "ingress_address": "127.0.0.1", "spki_file": str(authority[2]), "run_dir": str(tmp_path),
    }  # fmt: skip
    code, stream, output = play(tmp_path, {"ccci_assert_login": asked})
    assert code == 0, output
    assert [(one["id"], one["outcome"]) for one in stream if one["type"] == "result"] == [("install.login", "pass")]
    assert len([one for one in stream if one["type"] == "artefact"]) == 5
    assert USER["password"] not in (tmp_path / "events.jsonl").read_text()


def test_a_login_that_proves_nothing_is_refused(sso: LittleSso, tmp_path: Path) -> None:
    asked = {"facts": sso.facts, "url": sso.app, "then": [], "logout": LOGOUT}
    code, _, output = play(tmp_path, {"ccci_assert_login": asked})
    assert code != 0
    assert "then: there are none" in output
