"""A real Chromium that reaches an app through its ingress, and what pages need: retries, frames, the console."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, ElementHandle, Frame, Page, Response

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PAUSE = 0.25  # seconds between two looks at a page
KEPT = 50  # console messages that are kept of a page
# A browser phones home, looks for updates and keeps caches of its own. A test's browser speaks to the app alone.
QUIET = (
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--disable-quic", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check",
    "--no-pings", "--metrics-recording-only",
    "--disable-features=OptimizationHints,MediaRouter,Translate,DialMediaRouteProvider",
)  # fmt: skip
_HOME = ("HOME", "PATH", "LANG", "TMPDIR", "XDG_RUNTIME_DIR")


class NoBrowserError(Exception):
    """There is no Chromium, or it does not start. The text says what to do."""


def find_chromium() -> str:
    """The distribution's Chromium; CCCI_BROWSER names another one. Raises NoBrowserError."""
    own = os.environ.get("CCCI_BROWSER")
    found = own if own and Path(own).is_file() else next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        looked = ", ".join(NAMES)
        raise NoBrowserError(f"no browser found (looked for {looked}); on the controller: apt-get install chromium")
    return found


def flags(ingress_address: str | None, spki: str | None, root: bool) -> list[str]:
    """Chromium's switches. `spki`: the base64 SHA-256 of the ingress' public key, the one certificate that is accepted
    although no public authority signed it."""
    switches = list(QUIET)
    if ingress_address:
        switches.append(f"--host-resolver-rules=MAP * {ingress_address}")
    if spki:
        switches.append(f"--ignore-certificate-errors-spki-list={spki}")
    if root:
        switches.append("--no-sandbox")  # Chromium's sandbox refuses to work for root
    return switches


def read_spki(spki_file: str | None) -> str | None:
    """The first line of the file that bootstrap wrote; ValueError for what is no base64 SHA-256."""
    if not spki_file:
        return None
    line = Path(spki_file).read_text().split("\n")[0].strip()
    if not re.fullmatch(r"[A-Za-z0-9+/]{43}=", line):
        raise ValueError(f"{spki_file} holds no base64 SHA-256")
    return line


@contextlib.contextmanager
def browser(ingress_address: str | None, spki_file: str | None) -> Iterator[Browser]:
    """Starts Chromium and ends it again. Raises NoBrowserError."""
    from playwright.sync_api import Error, sync_playwright

    path, switches = find_chromium(), flags(ingress_address, read_spki(spki_file), os.geteuid() == 0)
    environment: dict[str, str | float | bool] = {name: os.environ[name] for name in _HOME if name in os.environ}
    with driver(sync_playwright) as playwright:
        try:
            made = playwright.chromium.launch(
                executable_path=path, args=switches, headless=True, env=environment, timeout=30_000
            )
        except Error as error:
            raise NoBrowserError(f"{path} does not start: {' '.join(str(error).split())[:600]}") from error
        try:
            yield made
        finally:
            made.close()


@contextlib.contextmanager
def driver(start: Callable[[], Any]) -> Iterator[Any]:
    """Playwright's driver is a program of its own. NoBrowserError when that cannot even start."""
    manager = start()
    try:
        playwright = manager.__enter__()
    except Exception as error:
        raise NoBrowserError(
            f"Playwright's driver does not start ({error}); on the controller: apt-get install libatomic1"
        ) from error
    try:
        yield playwright
    finally:
        manager.__exit__(None, None, None)


class Console:
    """What a page's console and network said: `errors` and `failed` requests, each a text, bounded."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.failed: list[str] = []

    def attach(self, page: Page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self._keep(self.errors, str(error)))
        page.on("requestfailed", lambda request: self._keep(self.failed, f"{request.url}: {request.failure}"))

    def _hear(self, message: ConsoleMessage) -> None:
        # Browsers ask for an icon by themselves; that a site has none is no error of its page.
        if message.type == "error" and not message.location.get("url", "").endswith("/favicon.ico"):
            self._keep(self.errors, message.text)

    @staticmethod
    def _keep(where: list[str], text: str) -> None:
        if len(where) < KEPT:
            where.append(" ".join(text.split())[:400])

    def told(self) -> str:
        lines = [f"console error: {text}" for text in self.errors] + [f"request failed: {text}" for text in self.failed]
        return "\n".join(lines)


def new_page(context: BrowserContext, console: Console) -> Page:
    page = context.new_page()
    console.attach(page)
    return page


def goto_with_retry(page: Page, url: str, deadline: float, status: tuple[int, ...] = ()) -> Response | None:
    """Loads a page, again after a browser's error and after a wrong status, until `deadline` (time.monotonic()).

    `status`: the right ones; empty means below 400. TimeoutError tells the last answer.
    """
    from playwright.sync_api import Error
    from playwright.sync_api import TimeoutError as NoAnswer

    last = ""
    while True:
        limit = max(1.0, min(30.0, deadline - time.monotonic()))
        try:
            response = page.goto(url, wait_until="load", timeout=limit * 1000)
            got = response.status if response else 200
            if got in status if status else got < 400:
                return response
            last = f"status {got}"
        except NoAnswer as error:
            last = last or said(error)  # what the last try was cut off from saying, an earlier one may have said
        except Error as error:
            last = said(error)
        if time.monotonic() + PAUSE > deadline:
            raise TimeoutError(f"{url}: {last}")
        time.sleep(PAUSE)


def find_in_frames(
    page: Page, selector: str, deadline: float, frame: Frame | None = None, reload_every: float | None = None
) -> tuple[Frame, ElementHandle]:
    """Looks for an element in every frame of a page (or in `frame` alone) until it is visible.

    `reload_every` seconds the page is loaded again, for apps that compile themselves at the first visit.
    TimeoutError names the frames that were searched.
    """
    from playwright.sync_api import Error

    loaded = time.monotonic()
    while True:
        for one in [frame] if frame else page.frames:
            with contextlib.suppress(Error):  # a frame may go away while it is searched
                for element in one.query_selector_all(selector):
                    if element.is_visible():
                        return one, element
        if time.monotonic() + PAUSE > deadline:
            places = ", ".join(one.url for one in page.frames)
            raise TimeoutError(f"{selector} is not visible in any of {len(page.frames)} frames ({places})")
        if reload_every and time.monotonic() - loaded > reload_every:
            loaded = time.monotonic()
            with contextlib.suppress(Error):
                page.reload(timeout=max(1.0, min(30.0, deadline - loaded)) * 1000)
        page.wait_for_timeout(PAUSE * 1000)


def find_text(page: Page, text: str, deadline: float, frame: Frame | None = None) -> Frame:
    """The frame that shows a text; TimeoutError with the beginning of what is shown instead."""
    from playwright.sync_api import Error

    while True:
        shown = []
        for one in [frame] if frame else page.frames:
            with contextlib.suppress(Error):
                body = str(one.evaluate("document.body ? document.body.innerText : ''"))
                if text in body:
                    return one
                shown.append(body)
        if time.monotonic() + PAUSE > deadline:
            raise TimeoutError(f"{text!r} is not shown; the page shows: {' '.join(' '.join(shown).split())[:400]!r}")
        page.wait_for_timeout(PAUSE * 1000)


def find_frame(page: Page, wanted: str, deadline: float) -> Frame:
    """The frame with this name, or whose address holds this text; TimeoutError with the frames there are."""
    while True:
        for frame in page.frames:
            if frame.name == wanted or (wanted in frame.url and frame != page.main_frame):
                return frame
        if time.monotonic() + PAUSE > deadline:
            places = ", ".join(f"{frame.name or '(no name)'} {frame.url}" for frame in page.frames)
            raise TimeoutError(f"no frame {wanted!r}; there are {places}")
        page.wait_for_timeout(PAUSE * 1000)


def said(error: Any) -> str:
    """The first line of a browser's error, without its call log."""
    return str(error).strip().split("\n")[0][:400]


def unreachable(text: str) -> bool:
    """Whether an error is about getting to the ingress at all, which is not the app's fault."""
    return any(code in text for code in ("ERR_CONNECTION_REFUSED", "ERR_NAME_NOT_RESOLVED", "ERR_ADDRESS_UNREACHABLE"))
