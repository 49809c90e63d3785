"""Somebody who may do everything."""

import secrets
from dataclasses import dataclass
from typing import Any

import pytest

SCOPES = "write:repository,write:user"


@dataclass(frozen=True)
class Person:
    """Somebody with an account; `http` has the token in its headers."""

    name: str
    token: str
    http: Any


@pytest.fixture
def admin(app) -> Person:
    """An administrator, made as an operator makes one."""
    name = f"ccci-{secrets.token_hex(4)}"
    gitea = ["gitea", "admin", "user"]
    options = ["--admin", "--username", name, "--email", f"{name}@example.org", "--must-change-password=false"]
    made = app.exec_in("app", [*gitea, "create", *options, "--random-password"])
    assert made.rc == 0, f"no admin was made: {made.stderr[-300:]}"
    token = app.exec_in("app", [*gitea, "generate-access-token", "--username", name, "--scopes", SCOPES, "--raw"])
    assert token.rc == 0, f"no token was made: {token.stderr[-300:]}"
    person = Person(name, token.stdout.split()[-1], app.http(retry_for=90))
    person.http.session.headers["Authorization"] = f"token {person.token}"
    return person
