"""What a forge is to those that depend on it: repositories by token, and people who log in through an application."""

import secrets
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest


class Form(HTMLParser):
    """The hidden fields of the one form on a page that goes to `action`."""

    def __init__(self, page: str, action: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.there = self._inside = False
        self._action = action
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._inside = (given.get("action") or "").endswith(self._action)
            self.there = self.there or self._inside
        elif tag == "input" and self._inside and given.get("type") == "hidden":
            self.fields[given.get("name") or ""] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"


@pytest.fixture
def operator(app, deps):
    """A client with the administrator's token."""
    http = app.http(retry_for=60)
    http.session.headers["Authorization"] = f"token {deps.forge.admin.token}"
    return http


@pytest.fixture
def person(app, deps, operator):
    """Whoever is signed in as the administrator, with a password that the token's owner was given for this."""
    forge, name, password = deps.forge.url, deps.forge.admin.username, secrets.token_urlsafe(24)
    change = {"source_id": 0, "login_name": name, "password": password, "must_change_password": False}
    set_ = operator.request("PATCH", f"{forge}/api/v1/admin/users/{name}", json=change)
    assert set_.status_code == 200, f"no password was set: {set_.status_code} {set_.text[:200]}"
    browser = app.http(retry_for=60)
    form = Form(browser.get(f"{forge}/user/login").text, "/user/login")
    assert form.there, "the sign-in page has no form"
    answer = browser.post(
        f"{forge}/user/login",
        data={**form.fields, "user_name": name, "password": password},
        allow_redirects=False,
    )
    assert answer.status_code in (302, 303), f"not signed in: {answer.status_code}"
    return browser


class Flow:
    """The authorization-code flow of the application that was made for this app, as that person."""

    def __init__(self, app: Any, deps: Any, person: Any) -> None:
        self._app, self._forge, self._person = app, deps.forge.url, person
        self._client, self._secret = deps.forge.oauth2.client_id, deps.forge.oauth2.client_secret
        self.back = f"{app.url.rstrip('/')}/login"

    def authorize(self, back: str, state: str) -> Any:
        """The forge's answer to the browser that the app sent there; consent is given where it is asked for."""
        query = {"client_id": self._client, "redirect_uri": back, "response_type": "code", "state": state}
        answer = self._person.get(f"{self._forge}/login/oauth/authorize", params=query, allow_redirects=False)
        form = Form(answer.text, "/login/oauth/grant")
        if not form.there:
            return answer
        data = {**form.fields, "granted": "true"}
        return self._person.post(f"{self._forge}/login/oauth/grant", data=data, allow_redirects=False)

    def code(self) -> str:
        state = secrets.token_urlsafe(16)
        answer = self.authorize(self.back, state)
        assert answer.status_code in (302, 303), f"no way back: {answer.status_code}"
        assert answer.headers["Location"].startswith(f"{self.back}?"), "the way back is another one"
        given = parse_qs(urlsplit(answer.headers["Location"]).query)
        assert given["state"] == [state]
        return given["code"][0]

    def token(self, code: str, secret: str = "") -> Any:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": self.back,
            "client_id": self._client, "client_secret": secret or self._secret,
        }  # fmt: skip
        return self._app.http(retry_for=60).post(f"{self._forge}/login/oauth/access_token", data=form)


@pytest.fixture
def flow(app, deps, person):
    return Flow(app, deps, person)


def test_the_app_has_what_the_forge_provided(app, deps):
    seen = app.exec_in("app", ["sh", "-c", "echo $FORGE_SERVER $FORGE_CLIENT_ID; cat /run/secrets/client_secret"])
    assert seen.stdout.splitlines()[0] == f"{deps.forge.url} {deps.forge.oauth2.client_id}"
    assert seen.stdout.splitlines()[1] == deps.forge.oauth2.client_secret == app.secret("client_secret")


def test_a_repository_is_made_with_the_token(app, deps, operator):
    name = f"ccci-{secrets.token_hex(6)}"
    made = operator.post(f"{deps.forge.url}/api/v1/user/repos", json={"name": name, "private": True})
    assert made.status_code in (201, 409), f"{made.status_code} {made.text[:200]}"  # 409: sent again
    path = f"{deps.forge.url}/api/v1/repos/{deps.forge.admin.username}/{name}"
    assert operator.get(path).json()["private"] is True
    assert app.http().get(path).status_code == 404, "a stranger sees a private repository"
    forged = app.http().get(path, headers={"Authorization": f"token {secrets.token_hex(20)}"})
    assert forged.status_code == 401, "a forged token is as good as the real one"


def test_a_person_logs_in_through_the_application(app, deps, flow):
    code = flow.code()
    answer = flow.token(code)
    assert answer.status_code == 200, f"no token: {answer.status_code}"
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    me = app.http().get(f"{deps.forge.url}/api/v1/user", headers=bearer)
    assert (me.status_code, me.json()["login"]) == (200, deps.forge.admin.username)
    assert flow.token(code).status_code in (400, 401), "a code is good for two tokens"


def test_nobody_else_is_the_application(flow):
    code = flow.code()
    assert flow.token(code, secret=secrets.token_urlsafe(32)).status_code in (400, 401)
    assert flow.token(code).status_code == 200, "the code was good: it was the secret that was refused"
    elsewhere = flow.authorize("https://elsewhere.example.org/login", "x")
    assert "elsewhere.example.org" not in elsewhere.headers.get("Location", ""), "a code goes to whoever asks"
    assert elsewhere.status_code >= 400, f"{elsewhere.status_code}"
