"""A real Chromium that reaches an app through its ingress, and what pages need: retries, frames, the console."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .polling import retries_told, short

if TYPE_CHECKING:
    from playwright.sync_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        ElementHandle,
        Frame,
        Page,
        Request,
        Response,
    )

T = TypeVar("T")

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
            raise NoBrowserError(f"{path} does not start: {short(str(error))}") from error
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


class Late(TimeoutError):  # noqa: N818 - says what happened
    """The time was over. `failure_id` is the catalogue's name for the last state, where it has one."""

    def __init__(self, text: str, failure_id: str | None = None) -> None:
        super().__init__(text)
        self.failure_id = failure_id


class Console:
    """What a page said while it was looked at, bounded: `errors` and `failed` requests, each a text; `retried`, the
    tries that went wrong, each (seconds since the first one, words); `loading` and `refused` as in `cold`."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.failed: list[str] = []
        self.retried: list[tuple[float, str]] = []
        self.loading: dict[Request, str] = {}
        self.refused: dict[Frame, str] = {}
        self._began: float | None = None

    def attach(self, page: Page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self._keep(self.errors, str(error)))
        page.on("request", self._begin)
        page.on("response", self._answered)
        page.on("requestfinished", self._end)
        page.on("requestfailed", self._end)
        page.on("requestfailed", lambda request: self._keep(self.failed, f"{request.url}: {request.failure}"))

    def retry(self, words: str) -> None:
        """Remembers a try that went wrong."""
        now = time.monotonic()
        self._began = self._began or now
        self.retried.append((now - self._began, words))

    def told(self) -> str:
        lines = retries_told(self.retried)
        lines += [f"console error: {text}" for text in self.errors]
        return "\n".join(lines + [f"request failed: {text}" for text in self.failed])

    def _hear(self, message: ConsoleMessage) -> None:
        # Browsers ask for an icon by themselves; that a site has none is no error of its page.
        if message.type == "error" and not message.location.get("url", "").endswith("/favicon.ico"):
            self._keep(self.errors, message.text)

    def _begin(self, request: Request) -> None:
        """Keeps what a page is made of. Its own calls may stay open for ever: that is how it hears of news. And a page
        whose own document has not come yet has no frames to be cold."""
        kind = request.resource_type
        if kind in ("script", "stylesheet") or (kind == "document" and _frame_of(request) is not None):
            self.loading[request] = request.url

    def _answered(self, response: Response) -> None:
        frame = _frame_of(response.request) if response.request.resource_type == "document" else None
        if frame is not None:
            self.refused.pop(frame, None)
            if response.status >= 500:
                self.refused[frame] = f"{response.url} answered {response.status}"

    def _end(self, request: Request) -> None:
        self.loading.pop(request, None)

    @staticmethod
    def _keep(where: list[str], text: str) -> None:
        if len(where) < KEPT:
            where.append(short(text))


def _frame_of(request: Request) -> Frame | None:
    """The frame inside a page that a document is for; None for the page's own."""
    from playwright.sync_api import Error

    try:
        return request.frame if request.frame.parent_frame else None
    except Error:  # a page that is only being made has no frame yet
        return None


def new_page(context: BrowserContext, console: Console) -> Page:
    page = context.new_page()
    console.attach(page)
    return page


def goto_with_retry(
    page: Page, url: str, deadline: float, status: tuple[int, ...] = (), console: Console | None = None
) -> Response | None:
    """Loads a page, again after a browser's error and after a wrong status, until `deadline` (time.monotonic()).

    `status`: the right ones; empty means below 400. Late tells the last answer; `console` gets every other one.
    """
    from playwright.sync_api import Error
    from playwright.sync_api import TimeoutError as NoAnswer

    heard, last = console or Console(), ""
    while True:
        limit = max(1.0, min(30.0, deadline - time.monotonic()))
        try:
            response = page.goto(url, wait_until="load", timeout=limit * 1000)
            got = response.status if response else 200
            if got in status if status else got < 400:
                return response
            words = f"status {got}"
        except NoAnswer as error:
            words = said(error)
        except Error as error:
            words = said(error)
        late, still = time.monotonic() + PAUSE > deadline, cold(page, heard)
        if late:
            # What the last try was cut off from saying, an earlier one may have said.
            last = last if "Timeout" in words and last else words
            if "Timeout" in words and still:
                raise Late(f"{url}: {words}; {still}", "cold-frame")
            raise Late(f"{url}: {last}", "browser-transient" if transient(last) else None)
        heard.retry(f"{url}: {words}")
        last = words if "Timeout" not in words or not last else last
        time.sleep(PAUSE)


def find_in_frames(
    page: Page, selector: str, deadline: float, frame: Frame | None = None, reload_every: float | None = None,
    console: Console | None = None,
) -> tuple[Frame, ElementHandle]:  # fmt: skip
    """Looks for an element in every frame of a page (or in `frame` alone) until it is visible.

    `reload_every` seconds the page is loaded again, for apps that compile themselves at the first visit.
    Late names the frames that were searched.
    """
    from playwright.sync_api import Error

    def look() -> tuple[Frame, ElementHandle] | None:
        for one in [frame] if frame else page.frames:
            with contextlib.suppress(Error):  # a frame may go away while it is searched
                for element in one.query_selector_all(selector):
                    if element.is_visible():
                        return one, element
        return None

    def missing() -> str:
        places = ", ".join(one.url for one in page.frames)
        return f"{selector} is not visible in any of {len(page.frames)} frames ({places})"

    return _look(page, look, missing, deadline, reload_every, console)


def find_text(
    page: Page, text: str, deadline: float, frame: Frame | None = None, reload_every: float | None = None,
    console: Console | None = None,
) -> Frame:  # fmt: skip
    """The frame that shows a text; Late with the beginning of what is shown instead."""
    from playwright.sync_api import Error

    shown: list[str] = []

    def look() -> Frame | None:
        shown.clear()
        for one in [frame] if frame else page.frames:
            with contextlib.suppress(Error):
                body = str(one.evaluate("document.body ? document.body.innerText : ''"))
                if text in body:
                    return one
                shown.append(body)
        return None

    def missing() -> str:
        return f"{text!r} is not shown; the page shows: {short(' '.join(shown))!r}"

    return _look(page, look, missing, deadline, reload_every, console)


def find_frame(
    page: Page, wanted: str, deadline: float, reload_every: float | None = None, console: Console | None = None
) -> Frame:
    """The frame with this name, or whose address holds this text; Late with the frames there are."""

    def look() -> Frame | None:
        for frame in page.frames:
            if frame.name == wanted or (wanted in frame.url and frame != page.main_frame):
                return frame
        return None

    def missing() -> str:
        places = ", ".join(f"{frame.name or '(no name)'} {frame.url}" for frame in page.frames)
        return f"no frame {wanted!r}; there are {places}"

    return _look(page, look, missing, deadline, reload_every, console)


def cold(page: Page, console: Console) -> str:
    """What of a page has not come yet, in words: requests for its documents, scripts and styles that are still open,
    and frames whose document was refused with a status of 500 and more. Empty when all of it is there."""
    waits = [f"{url} is still loading" for url in console.loading.values()]
    waits += [words for frame, words in console.refused.items() if frame in page.frames]
    return ", ".join(waits[:3])


def _look(
    page: Page, look: Callable[[], T | None], missing: Callable[[], str], deadline: float,
    reload_every: float | None, console: Console | None,
) -> T:  # fmt: skip
    """Looks until something is found. What is missing from a page that has not come wholly is `cold-frame`."""
    from playwright.sync_api import Error

    heard, loaded = console or Console(), time.monotonic()
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() + PAUSE > deadline:
            still = cold(page, heard)
            raise Late(f"{missing()}; {still}" if still else missing(), "cold-frame" if still else None)
        if reload_every and time.monotonic() - loaded > reload_every:
            heard.retry(f"loaded again, because {missing()}")
            loaded = time.monotonic()
            with contextlib.suppress(Error):
                page.reload(timeout=max(1.0, min(30.0, deadline - loaded)) * 1000)
        page.wait_for_timeout(PAUSE * 1000)


def transient(text: str) -> bool:
    """Whether an error is about the browser's own network, which changed under it: neither the app's nor ours."""
    return any(
        code in text for code in ("ERR_NETWORK_CHANGED", "ERR_NETWORK_IO_SUSPENDED", "ERR_INTERNET_DISCONNECTED")
    )


def said(error: Any) -> str:
    """The first line of a browser's error, without its call log."""
    return short(str(error).strip().split("\n")[0])


def unreachable(text: str) -> bool:
    """Whether an error is about getting to the ingress at all, which is not the app's fault."""
    return any(code in text for code in ("ERR_CONNECTION_REFUSED", "ERR_NAME_NOT_RESOLVED", "ERR_ADDRESS_UNREACHABLE"))
