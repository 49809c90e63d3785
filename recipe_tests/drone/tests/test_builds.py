"""What Drone is for: people of the forge log in, and their repositories are built."""

import base64
import re
import secrets
import time
from urllib.parse import parse_qs, urlsplit

import pytest

QUEUED_WITHIN = 60  # seconds
PIPELINE = """\
kind: pipeline
type: docker
name: default
steps:
  - name: say
    image: alpine
    commands: ["true"]
"""


@pytest.fixture
def operator(app, deps):
    """A client of the forge with its administrator's token."""
    http = app.http(retry_for=60)
    http.session.headers["Authorization"] = f"token {deps.forge.admin.token}"
    return http


@pytest.fixture
def browser(app, deps, operator):
    """Somebody who is signed in at the forge as its administrator, and at Drone through it."""
    forge, name, password = deps.forge.url, deps.forge.admin.username, secrets.token_urlsafe(24)
    change = {"source_id": 0, "login_name": name, "password": password, "must_change_password": False}
    done = operator.request("PATCH", f"{forge}/api/v1/admin/users/{name}", json=change)
    assert done.status_code == 200, f"no password was set: {done.status_code} {done.text[:200]}"
    http = app.http(retry_for=60)
    form = {**_hidden(http.get(f"{forge}/user/login").text), "user_name": name, "password": password}
    http.post(f"{forge}/user/login", data=form)
    consent = http.get("/login")  # on to the forge, which asks once whether Drone may
    if urlsplit(consent.url).path == "/login/oauth/authorize":
        http.post(f"{forge}/login/oauth/grant", data={**_hidden(consent.text), "granted": "true"})
    return http


def _hidden(page: str) -> dict[str, str]:
    """The hidden fields of a page, as Gitea writes them."""
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))


def test_the_login_begins_at_the_forge(app, deps):
    answer = app.http().get("/login", allow_redirects=False)
    assert answer.status_code in (302, 303), f"{answer.status_code} {answer.text[:200]}"
    to = urlsplit(answer.headers["Location"])
    assert f"{to.scheme}://{to.netloc}{to.path}" == f"{deps.forge.url}/login/oauth/authorize"
    asked = parse_qs(to.query)
    assert asked["client_id"] == [deps.forge.oauth2.client_id]
    assert asked["redirect_uri"] == [f"{app.url.rstrip('/')}/login"]
    assert asked["state"][0], "whoever answers is believed"


def test_a_person_of_the_forge_is_known(deps, browser):
    me = browser.get("/api/user")
    assert me.status_code == 200, f"{me.status_code} {me.text[:200]}"
    assert (me.json()["login"], me.json()["admin"]) == (deps.forge.admin.username, True)


def test_a_build_is_made_of_a_commit(deps, browser, operator):
    owner, name = deps.forge.admin.username, f"ccci-{secrets.token_hex(6)}"
    repository = f"{deps.forge.url}/api/v1/repos/{owner}/{name}"
    body = {"name": name, "auto_init": True, "default_branch": "main"}
    made = operator.post(f"{deps.forge.url}/api/v1/user/repos", json=body)
    assert made.status_code in (201, 409), f"{made.status_code} {made.text[:200]}"  # 409: sent again
    file = {"content": base64.b64encode(PIPELINE.encode()).decode(), "message": "Add a pipeline", "branch": "main"}
    pushed = operator.post(f"{repository}/contents/.drone.yml", json=file)
    assert pushed.status_code in (201, 422), f"{pushed.status_code} {pushed.text[:200]}"
    commit = operator.get(f"{repository}/branches/main").json()["commit"]["id"]

    known = browser.post("/api/user/repos", params={"async": "false"})
    assert known.status_code == 200, f"{known.status_code} {known.text[:200]}"
    assert f"{owner}/{name}" in [one["slug"] for one in browser.get("/api/user/repos").json()]
    active = browser.post(f"/api/repos/{owner}/{name}")
    assert active.status_code == 200, f"{active.status_code} {active.text[:200]}"
    begun = browser.post(f"/api/repos/{owner}/{name}/builds", params={"branch": "main"})
    assert begun.status_code == 200, f"{begun.status_code} {begun.text[:200]}"
    number, deadline = begun.json()["number"], time.monotonic() + QUEUED_WITHIN
    while True:  # without a runner, a build that is good waits for one
        build = browser.get(f"/api/repos/{owner}/{name}/builds/{number}").json()
        if build["status"] in ("pending", "running"):
            break
        assert time.monotonic() < deadline, f"build {number} is {build['status']}: {build.get('error')}"
        time.sleep(1)
    assert (build["after"], [stage["name"] for stage in build["stages"]]) == (commit, ["default"])
