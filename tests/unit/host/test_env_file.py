"""Our block in an app's .env, read back by the same rules as abra's."""

from __future__ import annotations

import pytest

from ccci_host import env_file
from ccci_host.dotenv import parse_env, parse_env_sample

SAMPLE = "TYPE=web\nDOMAIN=web.example.com\nSECRET_A_VERSION=v1 # length=12\n"


@pytest.mark.parametrize(
    "value",
    ["", "plain", "a b", "$HOME", "${X}", "$5", "it's", "it's $HOME $5 ${X:-y}", '"', "'\"'", "a # length=3",
     "#", "a\nb", "a'\nb", "\\", "\\n", "'\\n", "\\'$X", "`id`", "{{ x }}", "a=b", " padded ",
     "ü€", "\t", "\r\n", "'\\$X", "$$", "'$"],
)  # fmt: skip
def test_every_value_is_read_back_as_it_was(value: str) -> None:
    text = env_file.with_block("X=other\n", {"KEY": value, "AFTER": "1"})
    assert parse_env(text) == {"X": "other", "KEY": value, "AFTER": "1"}


def test_the_sample_stays_as_it_was_and_our_values_win() -> None:
    text = env_file.with_block(SAMPLE, {"DOMAIN": "a.ci.test"})
    assert text.startswith(SAMPLE)
    assert parse_env(text)["DOMAIN"] == "a.ci.test"
    assert {line.key: line.modifiers for line in parse_env_sample(text)}["SECRET_A_VERSION"] == {"length": "12"}


def test_an_earlier_block_is_replaced() -> None:
    once = env_file.with_block(SAMPLE, {"A": "1", "B": "1"})
    assert env_file.with_block(once, {"A": "2"}) == env_file.with_block(SAMPLE, {"A": "2"})


def test_a_newer_version_adds_its_keys_with_their_modifiers_and_changes_no_value() -> None:
    own = env_file.with_block(SAMPLE.replace("v1", "v7"), {"DOMAIN": "a.ci.test"})
    newer = SAMPLE + "# comment\nSECRET_B_VERSION=v1 # generate=false\nX='a b'\n"
    text = env_file.with_new_keys(own, newer)
    assert text == SAMPLE.replace("v1", "v7") + "SECRET_B_VERSION=v1 # generate=false\nX='a b'\n"
    assert env_file.with_new_keys(own, SAMPLE) == SAMPLE.replace("v1", "v7")


def test_compose_files_come_from_settings_then_env_then_sample() -> None:
    sample = {"COMPOSE_FILE": "compose.yml:compose.db.yml"}
    assert env_file.compose_files(sample, {}, None) == ["compose.yml", "compose.db.yml"]
    assert env_file.compose_files(sample, {"COMPOSE_FILE": "x.yml"}, None) == ["x.yml"]
    assert env_file.compose_files(sample, {"COMPOSE_FILE": "x.yml"}, ["y.yml"]) == ["y.yml"]
    assert env_file.compose_files({}, {}, None) == ["compose.yml"]


def test_settings_may_choose_a_certificate_resolver_but_never_the_domain() -> None:
    env = {"DOMAIN": "evil", "STACK_NAME": "evil", "TIMEOUT": "9"}
    assert env_file.our_values("a.ci.test", "a_ci_test", env, ["compose.yml", "x.yml"], 300) == {
        "LETS_ENCRYPT_ENV": "", "TIMEOUT": "9", "DOMAIN": "a.ci.test", "STACK_NAME": "a_ci_test",
        "COMPOSE_FILE": "compose.yml:x.yml",
    }  # fmt: skip
    assert env_file.our_values("d", "d", {"LETS_ENCRYPT_ENV": "staging"}, [], None)["LETS_ENCRYPT_ENV"] == "staging"


def test_commands_that_abra_would_run_by_itself_are_silenced() -> None:
    text = 'A=1\nPOST_DEPLOY_CMDS="local evil"\nPOST_UNDEPLOY_CMDS="app x"\n'
    assert env_file.silenced(text) == {"POST_DEPLOY_CMDS": "", "POST_UNDEPLOY_CMDS": ""}
