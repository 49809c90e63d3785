"""Runs the steps of a browser check, one after the other, and tells which one failed and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import browser as pages

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ElementHandle, Frame, Page

KINDS = ("goto", "fill", "click", "press", "expect_text", "expect_selector", "screenshot", "frame", "fresh_context")
MAIN = "main"
RELOAD_EVERY = 20.0  # seconds: an app that compiles itself at the first visit may show it only to the next one


@dataclass
class Story:
    """What became of a browser check. `artefacts` are paths relative to the run's folder."""

    outcome: str = "pass"
    observed: str = ""
    evidence: str = ""
    failure_id: str | None = None
    artefacts: list[dict[str, str]] = field(default_factory=list)


def problem(step: Mapping[str, Any]) -> str | None:
    """What is wrong with a step as it was written; None for a good one."""
    if len(step) != 1 or next(iter(step)) not in KINDS:
        return f"a step is one of {', '.join(KINDS)}, not {', '.join(map(str, step)) or 'empty'}"
    kind, value = next(iter(step.items()))
    if kind == "fill" and (not isinstance(value, Mapping) or set(value) != {"selector", "value"}):
        return "fill needs {selector, value}"
    if kind == "press" and (not isinstance(value, Mapping) or set(value) != {"selector", "key"}):
        return "press needs {selector, key}"
    if kind not in ("fill", "press", "fresh_context") and not (isinstance(value, str) and value):
        return f"{kind} needs a text"
    return None


def wrong_steps(steps: Sequence[Mapping[str, Any]]) -> str | None:
    """What is wrong with steps as they were written; None for good ones."""
    found = (f"step {number}: {wrong}" for number, step in enumerate(steps, 1) if (wrong := problem(step)))
    return next(found, None)


def judge(answer: Any, options: Mapping[str, Any], expected: str, play: Callable[[Browser, float], Story]) -> None:
    """Makes the result `id` of an `Answer` out of what `play(browser, deadline)` tells. `options` are the module's: id,
    retry_for (seconds), ingress_address and spki_file."""
    try:
        with answer.waiting("browser"), pages.browser(options["ingress_address"], options["spki_file"]) as chromium:
            told = play(chromium, time.monotonic() + options["retry_for"])
        answer.artefacts = told.artefacts
        answer.result(options["id"], told.outcome, expected=expected, observed=told.observed,
                      evidence=told.evidence or None, failure_id=told.failure_id)  # fmt: skip
    except (pages.NoBrowserError, OSError, ValueError) as error:
        answer.result(
            options["id"], "error", expected="a browser that starts", observed=str(error),
            hint="ccci doctor tells what the controller can and cannot do",
        )  # fmt: skip


class Stage:
    """A browser's page on which steps are played."""

    def __init__(self, browser: Browser, run_dir: str | None, deadline: float, tier_title: str) -> None:
        self._browser, self._deadline, self._title = browser, deadline, tier_title
        self._run_dir = Path(run_dir) if run_dir else None
        self.console = pages.Console()
        self._page: Page = self._fresh()
        self._frame: Frame | None = None
        self._untouched = False  # nothing was done on the page since it was loaded: it can be loaded again
        self.story = Story()
        self._actions: dict[str, Callable[[Any], None]] = {
            "goto": self._goto, "fill": self._fill, "press": self._press, "click": self._click,
            "frame": self._choose_frame, "expect_text": self._expect_text, "expect_selector": self._expect_selector,
            "screenshot": self._screenshot, "fresh_context": self._fresh_context,
        }  # fmt: skip

    def play(self, steps: Sequence[Mapping[str, Any]]) -> Story:
        """Every failure ends the story; a screenshot shows what the page looked like then."""
        from playwright.sync_api import Error

        done = 0
        try:
            for step in steps:
                kind, value = next(iter(step.items()))
                self._actions[kind](value)
                done += 1
        except (TimeoutError, Error) as error:
            kind, value = next(iter(steps[done].items()))
            told = pages.said(error)
            self.story.outcome = "error" if pages.unreachable(told) or pages.transient(told) else "fail"
            self.story.failure_id = getattr(error, "failure_id", None)
            where = value.get("selector") if isinstance(value, Mapping) else value
            self.story.observed = f"step {done + 1} of {len(steps)}, {kind} {where}: {told}"
            self._keep_picture(f"screenshots/{self._title}-failed.png", "when the check failed")
        else:
            self.story.observed = f"{len(steps)} steps, title {self._page.title()!r}"
        warnings = len(self.console.errors)
        if warnings:
            self.story.observed += f", {warnings} console error{'s' if warnings > 1 else ''} (a warning)"
        self.story.evidence = f"{self._page.url}\n{self.console.told()}".strip()
        return self.story

    def _goto(self, url: str) -> None:
        self._frame = None
        pages.goto_with_retry(self._page, url, self._deadline, console=self.console)
        self._untouched = True

    def _fill(self, value: Mapping[str, str]) -> None:
        self._find(value["selector"]).fill(str(value["value"]), timeout=self._left())
        self._untouched = False

    def _press(self, value: Mapping[str, str]) -> None:
        self._find(value["selector"]).press(str(value["key"]), timeout=self._left())
        self._untouched = False

    def _click(self, selector: str) -> None:
        self._find(selector).click(timeout=self._left())
        self._untouched = False

    def _expect_text(self, text: str) -> None:
        pages.find_text(self._page, text, self._deadline, self._frame, self._reloads, self.console)

    def _expect_selector(self, selector: str) -> None:
        self._find(selector)

    def _find(self, selector: str) -> ElementHandle:
        return pages.find_in_frames(
            self._page, selector, self._deadline, self._frame, self._reloads, self.console
        )[1]  # fmt: skip

    @property
    def _reloads(self) -> float | None:
        """A page on which something was typed would lose it, and a frame that was chosen would be gone."""
        return RELOAD_EVERY if self._untouched and self._frame is None else None

    def _screenshot(self, path: str) -> None:
        self._keep_picture(path, self._title)

    def _choose_frame(self, name: str) -> None:
        self._frame = None if name == MAIN else pages.find_frame(
            self._page, name, self._deadline, self._reloads, self.console
        )  # fmt: skip

    def _fresh_context(self, _: Any) -> None:
        """A browser that has never been here: no cookies, no storage."""
        self._page.context.close()
        self._page, self._frame, self._untouched = self._fresh(), None, False

    def _fresh(self) -> Page:
        return pages.new_page(self._browser.new_context(viewport={"width": 1280, "height": 800}), self.console)

    def _left(self) -> float:
        return max(1.0, self._deadline - time.monotonic()) * 1000

    def _keep_picture(self, path: str, title: str) -> None:
        from playwright.sync_api import Error

        if self._run_dir is None:
            return
        target = (self._run_dir / path).resolve()
        if not target.is_relative_to(self._run_dir.resolve()):
            raise TimeoutError(f"{path} is not inside the run's folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._page.screenshot(path=str(target), timeout=15_000)
        except Error as error:
            self.story.evidence = f"no screenshot: {pages.said(error)}"
            return
        self.story.artefacts.append({"kind": "screenshot", "path": path, "title": title})
