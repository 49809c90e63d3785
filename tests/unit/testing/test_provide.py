"""A provider's file as a playbook runs it: real processes, a real server behind the facts."""

from __future__ import annotations

import json
import stat
import textwrap
from pathlib import Path
from typing import Any

import pytest
from test_probe_modules import play
from test_pytest_module import play as play_tests
from webserver import Site

from ccci import redaction
from ccci.schemas import facts as kinds

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
SECRET, PASSWORD = "clients-own-secret-7391", "persons-own-password-5520"
PROVIDE = """
def provide(app, wants):
    app.hide("client_secret", {secret!r})
    print("working with", {secret!r})
    facts = {facts!r}
    facts["client_id"] = wants["name"]
    {more}
    return facts

def withdraw(app, wants):
    assert wants["name"] == "run-1-sso"
"""
WANTS = {"redirect_uris": ["https://app.ci.test/callback"]}


def sso_facts(site: Site) -> dict[str, Any]:
    issuer = site.url("/realms/x", "sso.ci.test")
    return {
        "issuer": issuer, **{name: f"{issuer}/{name}" for name in ENDPOINTS}, "client_secret": SECRET,
        "user": {"username": "ada", "password": PASSWORD, "email": "ada@ci.test"},
        "admin": {"url": issuer, "username": "admin", "secret": "admin_password"},
        "login_form": {"username": "#u", "password": "#p", "submit": "#s"},
    }  # fmt: skip


def provide(
    site: Site,
    folder: Path,
    text: str = "",
    more: str = "pass",
    given: dict[str, Any] | None = None,
    withdraw: str = "",
    **options: Any,
) -> tuple[int, list[dict[str, Any]], str]:
    """Plays the module for the dep `sso`; `(return code, results, everything that can be read)`."""
    file = folder / "sso.py"
    facts = given if given is not None else sso_facts(site)
    file.write_text(textwrap.dedent(text) or PROVIDE.format(secret=SECRET, facts=facts, more=more))
    task = {"ccci_provide": {"kind": "sso", "file": str(file), "wants": WANTS, "limit": 20, **options}}
    plan = {
        "recipe": {"name": "keycloak"}, "head": {"version": None}, "scope": {"run": "run-1"},
        "app": {"domain": "sso.ci.test", "stack": "sso_ci_test"},
    }  # fmt: skip
    code, stream, output = play(
        folder,
        task,
        ccci_dep="sso",
        ccci_dep_plan=plan,
        ccci_ingress_address="127.0.0.1",
        ccci_ca_file=site.ca_file,
        **({"ccci_withdraw": withdraw} if withdraw else {}),
    )
    return code, [one for one in stream if one["type"] == "result"], output + json.dumps(stream)


def discovery(site: Site, **other: Any) -> None:
    facts = sso_facts(site)
    document = {name: facts[name] for name in ("issuer", *ENDPOINTS)} | other
    page = (200, {"Content-Type": "application/json"}, json.dumps(document).encode())
    site.answers["/realms/x/.well-known/openid-configuration"] = page


def test_good_facts_are_kept_where_nobody_reads_them(site: Site, tmp_path: Path) -> None:
    discovery(site)
    redaction.add_secrets(tmp_path, {"sso.client_secret": "the-deps-own-swarm-secret"})
    code, results, shown = provide(site, tmp_path)
    assert code == 0, shown
    assert [(one["outcome"], one["expected"]) for one in results] == [("pass", "sso by keycloak")]
    kept = tmp_path / "deps.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert json.loads(kept.read_text()) == {"sso": {**sso_facts(site), "client_id": "run-1-sso"}}
    assert SECRET not in shown
    assert PASSWORD not in shown
    assert "<secret sso.facts.client_secret>" in results[0]["evidence"]
    known = redaction.load_secrets(tmp_path)
    assert known["sso.client_secret"] == "the-deps-own-swarm-secret"
    assert known["sso.facts.user.password"] == PASSWORD
    assert "deps.json" not in redaction.find_leaks(tmp_path)


@pytest.mark.parametrize(
    ("more", "failure_id", "words"),
    [
        ("facts.pop('jwks_uri')", "dep-wrong-facts", "needs 'jwks_uri'"),
        ("facts['client_secrt'] = 'q8w7-never-shown'", "dep-wrong-facts", "unknown key 'client_secrt'"),
        ("facts['user']['password'] = 5520", "dep-wrong-facts", "user.password: must have type string"),
        ("facts = None", "dep-wrong-facts", "must have type object"),
        ("raise RuntimeError('the realm is not there')", "dep-not-provided", "the realm is not there (sso.py:"),
        ("import time; time.sleep(60)", "dep-not-provided", "still running after 4 s"),
        ("import os; os._exit(3)", "dep-not-provided", "return code 3"),
    ],
)
def test_what_is_no_fact_ends_the_life_and_names_the_dep(
    site: Site, tmp_path: Path, more: str, failure_id: str, words: str
) -> None:
    discovery(site)
    code, results, shown = provide(site, tmp_path, more=more, limit=4)
    assert code != 0
    assert [(one["outcome"], one["failure_id"]) for one in results] == [("error", failure_id)]
    assert results[0]["observed"].startswith("keycloak (dep sso): ")
    assert words in results[0]["observed"]
    assert not (tmp_path / "deps.json").exists()
    assert not [text for text in (SECRET, PASSWORD, "q8w7-never-shown") if text in shown]


def test_a_provider_with_another_issuer_or_endpoint_is_found_out(site: Site, tmp_path: Path) -> None:
    discovery(site, issuer="https://somebody.else/realms/x", token_endpoint="https://somebody.else/token")
    code, results, _ = provide(site, tmp_path)
    assert (code != 0, results[0]["failure_id"]) == (True, "dep-wrong-issuer")
    assert "issuer is 'https://somebody.else/realms/x'" in results[0]["observed"]
    assert "token_endpoint is" in results[0]["observed"]


def test_a_realm_that_is_not_there_is_a_wrong_issuer(site: Site, tmp_path: Path) -> None:
    _, results, _ = provide(site, tmp_path)
    assert (results[0]["failure_id"], "no such issuer" in results[0]["observed"]) == ("dep-wrong-issuer", True)


def test_what_was_made_is_taken_away_by_its_name(site: Site, tmp_path: Path) -> None:
    code, results, output = provide(site, tmp_path, withdraw="run-1-sso")
    assert (code, results[0]["outcome"], results[0]["id"]) == (0, "pass", "install.sso.withdrawn"), output
    assert provide(site, tmp_path, withdraw="run-2-sso")[0] != 0, "it was asked for that name"
    assert not (tmp_path / "deps.json").exists()


def test_wrong_wishes_never_reach_the_provider(site: Site, tmp_path: Path) -> None:
    code, results, output = provide(site, tmp_path, wants={"redirect_uri": "https://app.ci.test"})
    assert (code != 0, results) == (True, [])
    assert "unknown key 'redirect_uri'; did you mean 'redirect_uris'?" in output


def test_every_kind_knows_its_secrets() -> None:
    assert kinds.kinds() == ["forge", "postgres", "s3", "smtp", "sso"]
    assert kinds.secret_paths("sso") == {
        ("client_secret",), ("brief", "client_secret"), ("user", "password"), ("user", "grant_password"),
    }  # fmt: skip
    assert kinds.secret_paths("forge") == {("admin", "token"), ("oauth2", "client_secret")}
    assert kinds.secret_paths("postgres") == {("password",)} == kinds.secret_paths("smtp")
    assert kinds.secret_paths("s3") == {("secret_key",)}
    assert ("user", "username") in kinds.public_paths("sso")
    assert kinds.secrets("sso", {"client_secret": "abc", "user": "odd"}) == {"client_secret": "abc"}


def test_the_fixture_gives_facts_by_their_names_and_shows_none(tmp_path: Path) -> None:
    redaction.write_private(tmp_path / "deps.json", {"sso": {"client_secret": SECRET, "user": {"username": "ada"}}})
    found = play_tests(
        tmp_path,
        f"""
        def test_read(deps):
            assert deps.sso.user.username == deps["sso"]["user"]["username"] == "ada"
            assert deps.sso.client_secret == {SECRET!r}
            assert {SECRET!r} not in repr(deps.sso)

        def test_unknown(deps):
            deps.sso.isuer
        """,
        "test_read", "test_unknown", run_dir=str(tmp_path),
    )  # fmt: skip
    assert found["test_read"]["outcome"] == "pass", found["test_read"]
    assert "deps.sso has no 'isuer'; there is client_secret, user" in found["test_unknown"]["observed"]


def test_without_facts_a_test_is_red_and_never_skipped(tmp_path: Path) -> None:
    found = play_tests(tmp_path, "def test_it(deps):\n    deps.sso.issuer\n", "test_it", run_dir=str(tmp_path))
    assert found["test_it"]["outcome"] == "fail"
    assert "deps has no 'sso'; there is nothing" in found["test_it"]["observed"]


def test_a_deps_own_secret_comes_first(tmp_path: Path) -> None:
    redaction.add_secrets(tmp_path, {"admin": "the-parents-secret", "sso.admin": "the-deps-secret"})
    text = "def test_it(app):\n    assert app.secret('admin') == 'the-{}-secret'\n"
    for dep, whose in (("sso", "deps"), ("", "parents")):
        found = play_tests(tmp_path, text.format(whose), "test_it", run_dir=str(tmp_path), dep=dep)
        assert found["test_it"]["outcome"] == "pass", found
