"""A provider that does everything right passes, and each thing that it does wrong is found by the check for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from little_sso import BRIEF, SECRET, USER, LittleSso, serving
from test_probe_modules import play

from ccci_probe import oidc
from ccci_probe.connection import session


@pytest.fixture
def sso(authority: tuple[Path, Path, Path]) -> Iterator[LittleSso]:
    with serving(authority[0], authority[1]) as made:
        yield made


def examine(sso: LittleSso, *checks: str, **other: Any) -> dict[str, str]:
    """{check: what is wrong, empty when nothing is}."""
    facts = {**sso.facts, **other}
    examination = oidc.Examination(facts, session("127.0.0.1", sso.ca_file), time.monotonic() + 5)
    seen = {name: examination.look(name) for name in checks or oidc.CHECKS}
    assert not [one for one in seen.values() if SECRET in one.observed or USER["password"] in one.observed]
    return {name: "" if one.outcome == "pass" else one.observed for name, one in seen.items()}


def test_a_good_provider_passes_everything(sso: LittleSso) -> None:
    assert examine(sso) == dict.fromkeys(oidc.CHECKS, "")


@pytest.mark.parametrize(
    ("wrong", "check", "words"),
    [
        ("secret", "wrong_secret", "a wrong client secret is answered with status 200"),
        ("id_token", "wrong_audience", "an ID token, which is for the client, is answered with status 200"),
        ("forged", "tampered", "a token with another content is answered with status 200"),
        ("none", "tampered", "without a signature (alg none) is answered with status 200"),
        ("expired", "expired", "an expired token is answered with status 200"),
        ("issuer", "password", "InvalidClaimError: invalid_claim: Invalid claim: 'iss'"),
        ("audience", "password", "'aud'"),
        ("stale", "password", "ExpiredTokenError"),
        ("signature", "password", "BadSignatureError"),
        ("issuer", "client_credentials", "'iss'"),
        ("sub", "userinfo", "userinfo speaks of 'else'"),
        ("weak", "discovery", "no signing algorithm is usable: none, HS256"),
    ],
)
def test_what_a_provider_does_wrong_is_found(sso: LittleSso, wrong: str, check: str, words: str) -> None:
    sso.lenient = {wrong}
    assert words in examine(sso, check)[check]


@pytest.mark.parametrize("check", ["userinfo", "wrong_audience", "tampered"])
def test_who_refuses_everything_proves_nothing(sso: LittleSso, check: str) -> None:
    sso.lenient = {"nobody"}
    assert "to a good token" in examine(sso, check)[check]


def test_wrong_facts_are_no_good_provider(sso: LittleSso) -> None:
    assert "issuer is" in examine(sso, "discovery", issuer=f"{sso.issuer}/")["discovery"]
    assert "password grant of shop: status 401" in examine(sso, "wrong_secret", client_secret="another")["wrong_secret"]
    assert "live for 300 s" in examine(sso, "expired", brief={"client_id": "shop", "client_secret": SECRET})["expired"]
    assert "leave `expired` out" in examine(sso, "expired", brief=None)["expired"]


def test_a_token_of_another_client_does_not_pass_as_ours(sso: LittleSso) -> None:
    examination = oidc.Examination(sso.facts, session("127.0.0.1", sso.ca_file), time.monotonic() + 5)
    foreign = sso.token("ID", BRIEF, "ada")
    with pytest.raises(oidc.Wrong, match="'aud'"):
        examination.verified(foreign)
    assert examination.verified(foreign, client=BRIEF)["sub"] == "ada"


@pytest.mark.parametrize(
    ("wrong", "other", "words"),
    [
        ("", {}, ""),
        ("public", {}, "to a stranger, and sends nobody to"),
        ("state", {}, "there is no state"),
        ("", {"client_id": "else"}, "the app calls itself 'shop', not 'else'"),
        ("", {"authorization_endpoint": "https://other.ci.test/auth"}, "not to https://other.ci.test/auth"),
    ],
)
def test_an_app_must_send_strangers_to_its_provider(sso: LittleSso, wrong: str, other: Any, words: str) -> None:
    sso.lenient = {wrong}
    client = session("127.0.0.1", sso.ca_file)
    seen = oidc.redirect(f"{sso.app}/", {**sso.facts, **other}, client, time.monotonic() + 5)
    assert (seen.outcome == "pass") == (not words), seen.observed
    assert words in seen.observed


def test_the_module_says_it_in_results_that_hold_no_secret(sso: LittleSso, tmp_path: Path) -> None:
    sso.lenient = {"secret"}
    asked = {
        "facts": sso.facts, "checks": ["password", "wrong_secret"], "url": sso.app, "app_path": "/", "retry_for": 20,
        "ingress_address": "127.0.0.1", "ca_file": sso.ca_file,
    }  # fmt: skip
    code, stream, output = play(tmp_path, {"ccci_assert_oidc": asked})
    found = {one["id"]: one for one in stream if one["type"] == "result"}
    assert code == 0, output
    assert {name: one["outcome"] for name, one in found.items()} == {
        "password": "pass", "wrong_secret": "fail", "redirect": "pass",
    }  # fmt: skip
    assert sso.issuer in found["password"]["observed"]
    assert SECRET not in output + (tmp_path / "events.jsonl").read_text()
