"""A git forge for one parent: an administrator of its own with a token, and an OAuth2 application.

Gitea shows a token and a client's secret only when they are made. So asked twice, it has one administrator and one
application as before, but a new token, and a new secret, which is then the only one that holds.
"""

import hashlib
import secrets
from typing import Any

# What is made for a parent belongs to one user, so that it all goes with that user.
USER = ["gitea", "admin", "user"]
SCOPES = "all"
APPLICATIONS = "/api/v1/user/applications/oauth2"


def provide(app: Any, wants: dict[str, Any]) -> dict[str, Any]:
    name, user = wants["name"], _user(wants)
    made = app.exec_in("app", [
        *USER, "create", "--admin", "--username", user, "--email", f"{user}@example.org",
        "--must-change-password=false", "--random-password",
    ])  # fmt: skip
    assert made.rc == 0 or "already exists" in made.stdout + made.stderr, f"no administrator: {made.stderr[-300:]}"
    token, http = _token(app, user), app.http(retry_for=90)
    http.session.headers["Authorization"] = f"token {token}"
    known = http.get(APPLICATIONS)
    assert known.status_code == 200, f"the applications cannot be read: {known.status_code} {known.text[:200]}"
    wanted = {"name": name, "redirect_uris": wants["redirect_uris"], "confidential_client": True}
    found = [one["id"] for one in known.json() if one["name"] == name]
    if found:
        answer = http.request("PATCH", f"{APPLICATIONS}/{found[0]}", json=wanted)
    else:
        answer = http.post(APPLICATIONS, json=wanted)
    assert answer.status_code in (200, 201), f"no OAuth2 application was made: status {answer.status_code}"
    oauth2 = answer.json()
    return {
        "url": app.url.rstrip("/"),
        "admin": {"username": user, "token": token},
        "oauth2": {
            "client_id": oauth2["client_id"],
            "client_secret": app.hide(f"{name}-oauth2", oauth2["client_secret"]),
        },
    }


def withdraw(app: Any, wants: dict[str, Any]) -> None:
    """The user's token, application and repositories go with the user."""
    gone = app.exec_in("app", [*USER, "delete", "--username", _user(wants), "--purge"])
    said = gone.stdout + gone.stderr
    assert gone.rc == 0 or "does not exist" in said, f"{_user(wants)} is still there: {said[-300:]}"


def _user(wants: dict[str, Any]) -> str:
    """Gitea's names have at most 40 characters, and what the parent calls itself may have more."""
    return f"ccci-{hashlib.sha256(wants['name'].encode()).hexdigest()[:12]}"


def _token(app: Any, user: str) -> str:
    # The name of a token can be used once.
    arguments = ["--username", user, "--token-name", f"ccci-{secrets.token_hex(4)}", "--scopes", SCOPES, "--raw"]
    made = app.exec_in("app", [*USER, "generate-access-token", *arguments])
    assert made.rc == 0, f"no token was made: {made.stderr[-300:]}"
    return app.hide(f"{user}-token", made.stdout.split()[-1])
