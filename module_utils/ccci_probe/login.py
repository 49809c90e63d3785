"""A person logs in to an app through its provider, and out again, in a real browser that has never been there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .browser import transient
from .polling import short
from .steps import Stage, Story

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAUSE = 0.25  # seconds between two looks at where the browser is
ASKED_AGAIN = 2.0  # seconds for which a new page of the provider shows its form: the credentials were not taken
AGAIN = 4.0  # seconds for which the user is looked for after the logout; longer when it took longer after the login
KNOWN = ("username", "email", "name")  # of the user, in steps; the password is typed by us alone
PICTURES = {
    "1-provider": "the provider's page", "2-back": "back in the app", "3-user": "the user",
    "4-logged-out": "logged out", "5-again": "the visit afterwards",
}  # fmt: skip
_USER = re.compile(r"\{\{\s*user\.([a-z_]+)\s*\}\}")
Step = Mapping[str, Any]


def with_user(step: Any, user: Mapping[str, Any]) -> Any:
    """A step, or a list of steps, with `{{ user.username }}` and the like filled in. ValueError for what a step may not
    know. Pure."""
    if isinstance(step, list):
        return [with_user(one, user) for one in step]
    if isinstance(step, Mapping):
        return {key: with_user(value, user) for key, value in step.items()}
    if not isinstance(step, str):
        return step

    def value(match: re.Match[str]) -> str:
        if match[1] not in KNOWN or match[1] not in user:
            raise ValueError(f"user.{match[1]} is not known in a step; known are {', '.join(KNOWN)}")
        return str(user[match[1]])

    return _USER.sub(value, step)


class Login(Stage):
    """A page on which the steps of a login are played, besides those of every browser check."""

    def __init__(
        self, browser: Browser, run_dir: str | None, deadline: float, title: str, facts: Mapping[str, Any], app: str
    ) -> None:
        """`facts` of a dep of kind sso; `app` is the app's address."""
        super().__init__(browser, run_dir, deadline, title)
        self._whole = deadline - time.monotonic()
        self._facts, self._app, self._shown_after = facts, urlsplit(app).netloc, 0.0
        self._then: Sequence[Step] = ()
        self._actions |= {
            "at_provider": self._at_provider, "credentials": self._credentials, "back": self._back,
            "the_user": self._the_user, "picture": self._picture, "not_the_user": self._not_the_user,
        }  # fmt: skip

    def tell(self, path: str, start: Sequence[Step], then: Sequence[Step], logout: Sequence[Step]) -> Story:
        """The whole story: a visit of `path`, `start` until the provider's page shows, credentials, `then`, which
        proves the user, `logout`, and the visit again."""
        url, user, self._then = f"https://{self._app}{path}", self._facts["user"], then
        story = [
            {"goto": url}, *start,
            {"at_provider": self._facts["issuer"]}, {"picture": "1-provider"},
            {"credentials": user["username"]}, {"back": self._app}, {"picture": "2-back"},
            {"the_user": user["username"]}, {"picture": "3-user"},
        ]  # fmt: skip
        if logout:
            story += [*logout, {"picture": "4-logged-out"}]
            story += [{"goto": url}, {"not_the_user": user["username"]}, {"picture": "5-again"}]
        told = self.play(story)
        if told.outcome == "fail" and self._disturbed():
            # What the provider hands over is good for one callback: sent again by the browser, it can never work.
            self.console.retry(f"the network changed under the browser, and the login began again: {told.observed}")
            self.console.failed.clear()
            self.story, self._deadline = Story(artefacts=told.artefacts), time.monotonic() + self._whole
            told = self.play([{"fresh_context": True}, *story])
            if told.outcome == "fail" and self._disturbed():
                told.outcome, told.failure_id = "error", "browser-transient"
        # The address of a page on the way may hold a code that is as good as a password.
        told.evidence = "\n".join([bare(self._page.url), self.console.told()]).strip()
        told.failure_id = told.failure_id or ("login-failed" if told.outcome == "fail" else None)
        if told.outcome == "pass":
            how = "and out again" if logout else "and nobody says how to log out"
            told.observed = f"{user['username']} logged in through {self._facts['issuer']}, {how}"
        return told

    def _disturbed(self) -> bool:
        return any(transient(text) for text in self.console.failed)

    def _picture(self, name: str) -> None:
        self._keep_picture(f"screenshots/{self._title}-{name}.png", f"{self._title}: {PICTURES[name]}")

    def _at_provider(self, issuer: str) -> None:
        self._frame = None
        self._arrive(urlsplit(issuer).netloc, "the provider")
        self._find(self._facts["login_form"]["username"])

    def _credentials(self, username: str) -> None:
        form = self._facts["login_form"]
        self._find(form["username"]).fill(username, timeout=self._left())
        if form.get("next"):
            self._find(form["next"]).click(timeout=self._left())
        field = self._find(form["password"])
        if field.get_attribute("type") != "password":
            raise TimeoutError(f"{form['password']} would show what is typed: it is no field for passwords")
        field.fill(self._facts["user"]["password"], timeout=self._left())
        self._page.evaluate("document.documentElement.dataset.ccciTyped = ''")  # it goes with this page
        self._find(form["submit"]).click(timeout=self._left())
        self._untouched = False

    def _back(self, host: str) -> None:
        self._arrive(host, "the app", self._asks_again)  # which may be a callback: it is not to be loaded again

    def _asks_again(self) -> bool:
        """A whole new page of the provider shows the form once more. A form in a frame is not looked for."""
        from playwright.sync_api import Error

        form = self._facts["login_form"]
        fields = [form["username"]] if form.get("next") else [form["username"], form["password"]]
        try:
            shown = self._page.evaluate(
                "document.readyState === 'complete' && !('ccciTyped' in document.documentElement.dataset)"
            )
            return bool(shown) and all(self._page.is_visible(field) for field in fields)
        except Error:  # the page is being replaced
            return False

    def _arrive(self, host: str, whose: str, hopeless: Callable[[], bool] = lambda: False) -> None:
        """Waits until the browser is at a host, or it has been hopeless for a while; what the page shows instead says
        why it is not."""
        hoped = time.monotonic()
        while urlsplit(self._page.url).netloc != host:
            if not hopeless():
                hoped = time.monotonic()
            if time.monotonic() + PAUSE > self._deadline or time.monotonic() - hoped > ASKED_AGAIN:
                shown = short(str(self._page.evaluate("document.body ? document.body.innerText : ''")))
                raise TimeoutError(f"the browser is at {bare(self._page.url)}, not at {whose}: {shown!r}")
            self._page.wait_for_timeout(PAUSE * 1000)
        self._page.wait_for_load_state("domcontentloaded", timeout=self._left())

    def _the_user(self, _: str) -> None:
        began = time.monotonic()
        for step in self._then:
            self._act(step)
        self._shown_after = time.monotonic() - began

    def _not_the_user(self, _: str) -> None:
        """The very steps that proved the user must fail now: who is logged in still, or again without being asked, is
        not logged out."""
        from playwright.sync_api import Error

        whole, self._deadline = self._deadline, time.monotonic() + max(AGAIN, 2 * self._shown_after)
        try:
            for step in self._then:
                self._act(step)
        except (TimeoutError, Error):
            return
        finally:
            self._deadline = whole
        raise TimeoutError(f"the user is still shown after the logout, at {bare(self._page.url)}")

    def _act(self, step: Step) -> None:
        kind, value = next(iter(step.items()))
        self._actions[kind](value)


def bare(url: str) -> str:
    """An address without its query and fragment."""
    return url.partition("?")[0].partition("#")[0]
