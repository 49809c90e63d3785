"""The browser's steps, in a real Chromium against a real server with TLS."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from webserver import Site

from ccci_probe import browser as pages
from ccci_probe.steps import Stage, Story, problem

HTML = {"Content-Type": "text/html"}


@pytest.fixture(scope="module")
def spki(authority: tuple[Path, Path, Path]) -> str:
    return str(authority[2])


@pytest.fixture(scope="module")
def chromium(spki: str) -> Iterator[Any]:
    with pages.browser("127.0.0.1", spki) as made:
        yield made


def play(chromium: Any, site: Site, run_dir: Path | None, *steps: dict[str, Any], limit: float = 5) -> Story:
    return Stage(chromium, str(run_dir) if run_dir else None, time.monotonic() + limit, "page").play(steps)


def test_a_page_is_shown_and_kept(chromium: Any, site: Site, tmp_path: Path) -> None:
    story = play(chromium, site, tmp_path, {"goto": site.url()}, {"screenshot": "screenshots/page.png"})
    assert (story.outcome, story.observed.split(",")[1]) == ("pass", " title 'A page'")
    assert story.artefacts == [{"kind": "screenshot", "path": "screenshots/page.png", "title": "page"}]
    assert (tmp_path / "screenshots/page.png").read_bytes().startswith(b"\x89PNG")
    assert site.seen[0][2]["host"] == f"app.ci.test:{site.port}"


def test_forms_frames_and_fresh_contexts(chromium: Any, site: Site) -> None:
    site.answers["/sent"] = (200, {**HTML, "Set-Cookie": "known=1"}, b"<p>Thank you")
    site.answers["/who"] = lambda count: (200, HTML, b"<p>cookie: " + site.seen[-1][2].get("cookie", "none").encode())
    story = play(
        chromium, site, None,
        {"goto": site.url()}, {"expect_text": "Inside the frame"}, {"expect_selector": "#deep"},
        {"frame": "inner"}, {"expect_selector": "#deep"}, {"frame": "main"},
        {"fill": {"selector": "input[name=who]", "value": "Änne & co"}}, {"click": "button"},
        {"expect_text": "Thank you"},
        {"goto": site.url("/who")}, {"expect_text": "known=1"},
        {"fresh_context": True}, {"goto": site.url("/who")}, {"expect_text": "cookie: none"},
    )  # fmt: skip
    assert story.outcome == "pass", story
    assert any(path == "/sent?who=%C3%84nne+%26+co" for _, path, _, _ in site.seen)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            {"expect_text": "Good bye"},
            "step 2 of 2, expect_text Good bye: 'Good bye' is not shown; the page shows: 'Hello",
        ),
        ({"expect_selector": "#nowhere"}, "#nowhere is not visible in any of 2 frames"),
        ({"click": "#nowhere"}, "#nowhere is not visible"),
        ({"frame": "elsewhere"}, "no frame 'elsewhere'; there are"),
    ],
)
def test_a_step_that_fails_is_named_and_pictured(
    chromium: Any, site: Site, tmp_path: Path, step: dict[str, Any], said: str
) -> None:
    story = play(chromium, site, tmp_path, {"goto": site.url()}, step, limit=5)
    assert story.outcome == "fail"
    assert said in story.observed
    assert [artefact["path"] for artefact in story.artefacts] == ["screenshots/page-failed.png"]


def test_pages_are_loaded_again_until_they_are_ready(chromium: Any, site: Site) -> None:
    site.answers["/boot"] = lambda count: (200, HTML, b"<p>ready") if count > 1 else (503, HTML, b"<p>wait")
    assert play(chromium, site, None, {"goto": site.url("/boot")}).outcome == "pass"
    site.answers["/down"] = (502, HTML, b"bad gateway")
    story = play(chromium, site, None, {"goto": site.url("/down")}, limit=5)
    assert (story.outcome, "status 502" in story.observed) == ("fail", True)


def test_retries_of_a_page_are_in_the_evidence(chromium: Any, site: Site) -> None:
    site.answers["/boot"] = lambda count: (200, HTML, b"<p>ready") if count > 1 else (503, HTML, b"<p>wait")
    story = play(chromium, site, None, {"goto": site.url("/boot")})
    assert (story.outcome, story.failure_id) == ("pass", None)
    assert f"2 times: {site.url('/boot')}: status 503" in story.evidence


@pytest.mark.parametrize(("times", "outcome", "name"), [(2, "pass", None), (99, "error", "browser-transient")])
def test_a_network_that_changes_under_the_browser(
    chromium: Any, site: Site, times: int, outcome: str, name: str | None
) -> None:
    """With one of Chromium's own errors about its network; ERR_NETWORK_CHANGED cannot be asked for."""
    stage, left = Stage(chromium, None, time.monotonic() + 3, "page"), [times]

    def interfere(route: Any) -> None:
        left[0] -= 1
        route.abort("internetdisconnected") if left[0] >= 0 else route.continue_()

    stage._page.route("**/*", interfere)
    story = stage.play([{"goto": site.url()}])
    assert (story.outcome, story.failure_id) == (outcome, name), story
    assert "net::ERR_INTERNET_DISCONNECTED" in story.evidence


def test_a_frame_that_is_still_cold_has_a_name(chromium: Any, site: Site) -> None:
    site.answers["/frame"] = (502, HTML, b"bad gateway")
    story = play(chromium, site, None, {"goto": site.url()}, {"expect_selector": "#deep"}, limit=4)
    assert (story.outcome, story.failure_id) == ("fail", "cold-frame")
    assert f"{site.url('/frame')} answered 502" in story.observed


def test_a_script_that_does_not_come_leaves_the_page_cold(chromium: Any, site: Site) -> None:
    def compiling(count: int) -> Any:
        time.sleep(8)
        return (200, {"Content-Type": "text/javascript"}, b"document.title = 'done'")

    site.answers["/app.js"] = compiling
    site.answers["/spa"] = (200, HTML, b"<p>Loading<script defer src=/app.js></script>")
    story = play(chromium, site, None, {"goto": site.url("/spa")}, limit=3)
    assert (story.outcome, story.failure_id) == ("fail", "cold-frame"), story
    assert "/app.js is still loading" in story.observed


def test_an_app_that_compiles_itself_is_looked_at_again(
    chromium: Any, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccci_probe.steps.RELOAD_EVERY", 1.0)
    site.answers["/cold"] = lambda count: (200, HTML, b"<p id=app>There" if count > 1 else b"<p>Compiling")
    story = play(chromium, site, None, {"goto": site.url("/cold")}, {"expect_selector": "#app"}, limit=20)
    assert story.outcome == "pass", story
    assert "loaded again, because #app is not visible" in story.evidence


def test_a_form_is_not_loaded_again(chromium: Any, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccci_probe.steps.RELOAD_EVERY", 0.5)
    fill = {"fill": {"selector": "input[name=who]", "value": "me"}}
    story = play(chromium, site, None, {"goto": site.url()}, fill, {"expect_text": "nowhere"}, limit=4)
    assert (story.outcome, story.failure_id) == ("fail", None)
    assert sum(path == "/" for _, path, _, _ in site.seen) == 1


def test_console_errors_are_warnings(chromium: Any, site: Site) -> None:
    site.answers["/noisy"] = (200, HTML, b"<p>x<script>console.error('broken widget'); throw new Error('oh')</script>")
    story = play(chromium, site, None, {"goto": site.url("/noisy")})
    assert (story.outcome, "2 console errors (a warning)" in story.observed) == ("pass", True)
    assert "console error: broken widget" in story.evidence


def test_an_ingress_that_does_not_listen_is_infrastructures_fault(chromium: Any, site: Site) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    story = play(chromium, site, None, {"goto": f"https://app.ci.test:{port}/"}, limit=5)
    assert (story.outcome, "ERR_CONNECTION_REFUSED" in story.observed) == ("error", True)


def test_pictures_stay_in_the_runs_folder(chromium: Any, site: Site, tmp_path: Path) -> None:
    story = play(chromium, site, tmp_path / "run", {"goto": site.url()}, {"screenshot": "../outside.png"})
    assert story.outcome == "fail"
    assert not (tmp_path / "outside.png").exists()


def test_a_missing_browser_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(pages.NoBrowserError, match="apt-get install chromium"):
        pages.find_chromium()


def test_switches() -> None:
    assert "--no-sandbox" not in pages.flags(None, None, root=False)
    given = pages.flags("10.0.0.7", "x=", root=True)
    assert "--host-resolver-rules=MAP * 10.0.0.7" in given
    assert "--ignore-certificate-errors-spki-list=x=" in given
    assert "--ignore-certificate-errors" not in given


@pytest.mark.parametrize(
    "step", [{}, {"goto": ""}, {"jump": "x"}, {"goto": "x", "click": "y"}, {"fill": "x"}, {"fill": {"selector": "x"}}]
)
def test_steps_that_are_written_wrongly(step: dict[str, Any]) -> None:
    assert problem(step)
    assert not problem({"goto": "https://x"})
