"""The owner of the site, logged in as a browser is: with a cookie, and from the site's own pages."""

import secrets
import time
from typing import Any

import pytest

API = "/ghost/api/admin"
EMAIL, NAME, TITLE = "owner@example.org", "Olive Owner", "The Weekly Ccci"


class Owner:
    """`http` carries the session."""

    email, name, title, api = EMAIL, NAME, TITLE, API

    def __init__(self, app: Any) -> None:
        self.app, self.password = app, app.password("owner")
        self.http = app.http(retry_for=90)
        # Ghost takes a cookie only together with the site's own origin.
        self.http.session.headers["Origin"] = app.url.rstrip("/")

    def sets_up(self) -> None:
        """Makes this person the owner, when nobody is."""
        known = self.http.get(f"{API}/authentication/setup/")
        assert known.status_code == 200, f"set-up: {known.status_code} {known.text[:200]}"
        if known.json()["setup"][0]["status"]:
            return
        person = {"name": NAME, "email": EMAIL, "password": self.password, "blogTitle": TITLE}
        made = self.http.post(f"{API}/authentication/setup/", json={"setup": [person]})
        # 403: this very request was sent again after an answer that was lost. Then the log-in tells.
        assert made.status_code in (201, 403), f"no owner was made: {made.status_code} {made.text[:200]}"

    def logs_in(self) -> None:
        answer = self.http.post(f"{API}/session/", json={"username": EMAIL, "password": self.password})
        assert answer.status_code == 201, f"no session was made: {answer.status_code} {answer.text[:200]}"

    def writes(self, title: str, html: str, status: str = "published", **more: Any) -> dict[str, Any]:
        """A new post."""
        post = {"title": title, "html": html, "status": status, **more}
        made = self.http.post(f"{API}/posts/", params={"source": "html"}, json={"posts": [post]})
        assert made.status_code == 201, f"no post was made: {made.status_code} {made.text[:200]}"
        (post,) = made.json()["posts"]
        return post

    def reads(self, post: dict[str, Any]) -> dict[str, Any]:
        found = self.http.get(f"{API}/posts/{post['id']}/", params={"formats": "html"})
        assert found.status_code == 200, f"the post cannot be read: {found.status_code} {found.text[:200]}"
        (post,) = found.json()["posts"]
        return post


@pytest.fixture
def owner(app) -> Owner:
    person = Owner(app)
    person.sets_up()
    person.logs_in()
    return person


@pytest.fixture
def words() -> str:
    """What no other page says."""
    return f"märked-{secrets.token_hex(8)}"


@pytest.fixture
def public(app):
    """`public(path, status)`: the page as a stranger gets it. Ghost tells its pages of a new post a moment later."""
    stranger = app.http(retry_for=30)

    def get(path: str, status: int, within: float = 30) -> Any:
        end = time.monotonic() + within
        while True:
            answer = stranger.get(path, allow_redirects=False)
            if answer.status_code == status:
                return answer
            assert time.monotonic() < end, f"{path}: {answer.status_code} for {within:.0f} s, wanted {status}"
            time.sleep(0.5)

    return get
