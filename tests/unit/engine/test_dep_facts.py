"""What deps provide reaches their parent, and only as what it is; what is about a dep bears its name."""

from __future__ import annotations

import configparser
import json
from pathlib import Path
from typing import Any

import pytest

from ccci import dep_facts, events, paths, redaction
from ccci.actions import hand_over, named_for, of_dep, record
from ccci.errors import CcciError, InfrastructureError

SSO = {"issuer": "https://keyc-1.ci.test/realms/x", "client_secret": "s3cret-of-the-client"}
FORGE = {"url": "https://gite-1.ci.test", "admin": {"token": "t0ken-of-the-admin"}}
PLAN: dict[str, Any] = {
    "deps": [
        {"key": "forge-sso", "as": "sso", "parent": "forge", "secrets": {}, "late_env": {}},
        {"key": "sso", "as": "sso", "parent": "app", "secrets": {}, "late_env": {}},
        {"key": "forge", "as": "forge", "parent": "app", "late_env": {"ISSUER": "{{ deps.sso.issuer }}"},
         "secrets": {"key": {"hex": 32}, "rpcs": {"value_from": "deps.sso.client_secret"}}},
    ],
    "late_env": {"BOTH": "{{ deps.sso.issuer }} {{ deps.forge.url }}"},
    "late_env_from_upgrade": {"NEW": "{{ deps.forge.url }}/new"},
    "secrets": {"token": {"value_from": "deps.forge.admin.token"}},
}  # fmt: skip
FACTS = {"sso": SSO, "forge": FORGE, "forge-sso": {**SSO, "issuer": "https://other"}}


def test_each_app_knows_its_own_deps_by_its_own_names() -> None:
    app = dep_facts.late_values(PLAN, FACTS, "app")
    assert app["env"] == {"BOTH": f"{SSO['issuer']} {FORGE['url']}"}
    assert app["env_from_upgrade"] == {"NEW": "https://gite-1.ci.test/new"}
    assert dep_facts.late_values(PLAN, FACTS, "forge")["env"] == {"ISSUER": "https://other"}
    assert dep_facts.secret_values(PLAN, FACTS, "app") == {"token": "t0ken-of-the-admin"}
    assert dep_facts.secret_values(PLAN, FACTS, "forge") == {"rpcs": "s3cret-of-the-client"}
    assert dep_facts.secret_values(PLAN, {}, "sso") == {}


def test_modules_write_their_options_to_no_journal() -> None:
    config = configparser.ConfigParser()
    config.read(paths.PROJECT / "ansible.cfg")
    assert config.getboolean("defaults", "no_target_syslog")


def test_a_dep_that_said_nothing_is_named() -> None:
    with pytest.raises(InfrastructureError, match="dep forge has provided no facts"):
        dep_facts.late_values(PLAN, {"sso": SSO}, "app")
    with pytest.raises(InfrastructureError, match=r"deps\.forge\.admin\.token is no text"):
        dep_facts.secret_values(PLAN, {**FACTS, "forge": {"url": "https://x"}}, "app")
    with pytest.raises(CcciError, match="BOTH") as told:
        dep_facts.late_values(PLAN, {**FACTS, "sso": {"client_secret": SSO["client_secret"]}}, "app")
    assert SSO["client_secret"] not in str(told.value)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    redaction.write_private(tmp_path / redaction.DEPS_FILE, FACTS)
    return tmp_path


def test_modules_get_the_facts_and_secrets_that_they_ask_for(run_dir: Path) -> None:
    arguments: dict[str, Any] = {"facts_of": "sso", "id": "install.login"}
    hand_over(arguments, {}, run_dir)
    assert arguments == {"facts": SSO, "id": "install.login"}

    arguments = {"secrets": PLAN["deps"][2]["secrets"]}
    hand_over(arguments, {"ccci_dep": "forge"}, run_dir)
    assert arguments["secret_values"] == {"rpcs": "s3cret-of-the-client"}
    hand_over({"secrets": PLAN["secrets"]}, {"ccci_dep": ""}, run_dir)
    # Tests read the app's secrets by their names in its compose files.
    assert redaction.load_secrets(run_dir) == {
        "forge.rpcs": "s3cret-of-the-client", "token": "t0ken-of-the-admin",
    }  # fmt: skip

    arguments = {"secrets": {"key": {"hex": 32}}}
    hand_over(arguments, {}, run_dir)
    assert "secret_values" not in arguments
    with pytest.raises(InfrastructureError, match="dep db has provided no facts"):
        hand_over({"facts_of": "db"}, {}, run_dir)


def test_a_command_gets_the_facts_that_it_names_and_no_others(run_dir: Path) -> None:
    plain = {"id": "b", "argv": ["true"]}
    check = {"id": "a", "argv": ["sh"], "stdin_facts": ["admin.token", "url"]}
    arguments: dict[str, Any] = {"facts_of": "forge", "checks": [check, plain]}
    hand_over(arguments, {}, run_dir)
    assert arguments == {"checks": [check, plain], "stdin": {"a": "t0ken-of-the-admin\nhttps://gite-1.ci.test\n"}}
    for name in ("admin", "admin.tokn", "nothing"):
        with pytest.raises(InfrastructureError, match=f"no fact '{name}'") as told:
            hand_over({"facts_of": "forge", "checks": [{**check, "stdin_facts": ["url", name]}]}, {}, run_dir)
        assert "t0ken" not in str(told.value)
    with pytest.raises(InfrastructureError, match="one line"):
        dep_facts.stdin({"key": "two\nlines"}, ["key"])


ANSWER = {
    "results": [
        {"id": "install.converged", "outcome": "fail", "service": "app", "observed": "app ended with 1"},
        {"id": "prepare.policy", "outcome": "pass"},
    ],
    "facts": {"deploys": {"s": 1}, "images": {"base": []}, "resources": {"db": {"restarts": 0}}},
    "timeline": [
        {"at": 1.0, "service": "db", "what": "ready"}, {"at": 2.0, "service": "web:1", "what": "pulled"},
    ],
    "waits": [{"what": "docker", "start": 1.0, "end": 2.0}],
}  # fmt: skip


def test_what_is_about_a_dep_bears_its_key() -> None:
    told = of_dep(ANSWER, "sso")
    # That a dep failed is no verdict on the recipe.
    assert [(one["id"], one["outcome"], one.get("service")) for one in told["results"]] == [
        ("install.sso.converged", "error", "sso-app"), ("prepare.sso.policy", "pass", None),
    ]  # fmt: skip
    assert told["facts"] == {
        "deploys": {"s": 1}, "sso.images": {"base": []}, "resources": {"sso-db": {"restarts": 0}},
    }  # fmt: skip
    assert [moment["service"] for moment in told["timeline"]] == ["sso-db", "web:1"]  # an image is nobody's service
    assert told["waits"] == ANSWER["waits"]
    assert of_dep(ANSWER, "") == ANSWER
    assert named_for({"ccci_dep": "sso"}, {"admin": "x"}) == {"sso.admin": "x"}
    assert named_for({}, {"admin": "x"}) == {"admin": "x"}


def test_events_about_a_dep_bear_its_key(tmp_path: Path) -> None:
    record(tmp_path, ANSWER, {"ccci_tier": "install", "ccci_dep": "sso"}, 1.0)
    found = events.read(tmp_path)
    assert [event["id"] for event in found if event["type"] == "result"] == [
        "install.sso.converged", "prepare.sso.policy",
    ]  # fmt: skip
    assert {event["name"] for event in found if event["type"] == "fact"} == {"deploys", "sso.images", "resources"}
