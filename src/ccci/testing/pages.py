"""The fixtures `page` and `fresh_context`: Chromium, through the app's ingress, with what tests of slow apps need."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccci.testing.context import Context
from ccci_probe import browser as probe

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ElementHandle, Frame, Page, Response


class AppPage:
    """A Playwright page (everything that it can do works here) with bounded retries. `console` holds what it said."""

    def __init__(self, page: Page, console: probe.Console, context: Context, kept: list[dict[str, str]]) -> None:
        self.page, self.console = page, console
        self._context, self._kept = context, kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)

    def goto_with_retry(self, url: str, retry_for: float = 60.0, status: tuple[int, ...] = ()) -> Response | None:
        """Loads a page, again after the browser's errors and after wrong statuses: not in `status`, or 400 and more."""
        return probe.goto_with_retry(self.page, url, time.monotonic() + retry_for, status, self.console)

    def find_in_frames(
        self, selector: str, retry_for: float = 60.0, reload_every: float | None = None
    ) -> tuple[Frame, ElementHandle]:
        """The first visible element in any frame, and its frame."""
        return probe.find_in_frames(
            self.page, selector, time.monotonic() + retry_for, None, reload_every, self.console
        )  # fmt: skip

    def find_text(self, text: str, retry_for: float = 60.0, reload_every: float | None = None) -> Frame:
        """The frame that shows a text."""
        return probe.find_text(self.page, text, time.monotonic() + retry_for, None, reload_every, self.console)

    def keep_picture(self, name: str, title: str = "") -> None:
        """A screenshot for the run's report."""
        if not self._context.run_dir:
            return
        path = f"screenshots/{Path(name).stem}.png"
        target = Path(self._context.run_dir) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(target), timeout=15_000)
        self._kept.append({"kind": "screenshot", "path": path, "title": title or name})


class Pages:
    """Makes pages in one browser, and closes them again."""

    def __init__(self, browser: Browser, context: Context) -> None:
        self._browser, self._context = browser, context
        self.kept: list[dict[str, str]] = []
        self.open: list[AppPage] = []

    def fresh(self) -> AppPage:
        """A page in a browser that has never been here: no cookies, no storage."""
        console = probe.Console()
        made = self._browser.new_context(viewport={"width": 1280, "height": 800})
        page = AppPage(probe.new_page(made, console), console, self._context, self.kept)
        self.open.append(page)
        return page

    def close(self) -> None:
        for page in self.open:
            page.page.context.close()
        self.open.clear()
