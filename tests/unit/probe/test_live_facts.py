"""Facts are compared with what the provider itself says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from webserver import Site

from ccci_probe import live_facts
from ccci_probe.connection import session

JSON = {"Content-Type": "application/json"}


def verify(kind: str, facts: dict[str, Any], site: Site) -> Any:
    return live_facts.verify(kind, facts, session("127.0.0.1", site.ca_file))


@pytest.mark.parametrize(
    ("status", "login", "outcome"), [(200, "ada", "pass"), (200, "somebody", "fail"), (401, "ada", "fail")]
)
def test_a_forge_must_know_whose_the_token_is(site: Site, status: int, login: str, outcome: str) -> None:
    site.answers["/api/v1/user"] = (status, JSON, json.dumps({"login": login}).encode())
    token = "the-token-of-ada-6612"
    seen = verify("forge", {"url": site.url("/"), "admin": {"username": "ada", "token": token}}, site)
    assert seen.outcome == outcome
    assert site.seen[0][2]["authorization"] == f"token {token}"
    assert token not in seen.observed


def test_an_outage_of_the_provider_is_waited_for(site: Site) -> None:
    document = {name: f"{site.url()}{name}" for name in live_facts.TOLD} | {"issuer": site.url("")}
    good = (200, JSON, json.dumps(document).encode())
    site.answers["/.well-known/openid-configuration"] = lambda earlier: good if earlier > 1 else (502, {}, b"")
    assert verify("sso", document, site).outcome == "pass"
    assert len(site.seen) == 3


def test_what_cannot_be_asked_is_said(site: Site) -> None:
    seen = verify("smtp", {"host": "mail", "port": 25, "from": "a@b"}, site)
    assert (seen.outcome, seen.observed) == ("pass", "facts of a smtp, which nobody was asked about")


@pytest.mark.parametrize(
    ("kind", "path", "status", "outcome"),
    [
        ("sso", "/realms/x/.well-known/openid-configuration", 404, "pass"),
        ("sso", "/realms/x/.well-known/openid-configuration", 200, "fail"),
        ("forge", "/api/v1/user", 401, "pass"),
        ("forge", "/api/v1/user", 200, "fail"),
    ],
)
def test_what_was_withdrawn_is_not_known_any_more(site: Site, kind: str, path: str, status: int, outcome: str) -> None:
    site.answers[path] = (status, JSON, b"{}")
    facts = {"issuer": site.url("/realms/x"), "url": site.url("/"), "admin": {"username": "ada", "token": "abcdefgh"}}
    seen = live_facts.gone(kind, facts, session("127.0.0.1", site.ca_file))
    assert (seen.outcome, "still there" in seen.observed) == (outcome, outcome == "fail")


def test_a_kind_that_cannot_be_asked_takes_the_provider_at_its_word(site: Site) -> None:
    seen = live_facts.gone("postgres", {}, session("127.0.0.1", site.ca_file))
    assert (seen.outcome, "nobody can ask" in seen.observed) == ("pass", True)
