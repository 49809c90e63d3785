"""`.env`, `.env.sample`, `abra.sh`, variables in compose values, and the secrets that they describe."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ccci_host.compose import (
    ComposeError,
    SecretSpec,
    abra_exports,
    parse_env,
    parse_env_sample,
    read_stack,
    secrets_of,
)
from ccci_host.env_file import with_new_keys
from ccci_host.interpolate import interpolate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\n# B=2\n\n  C = 3 \n", {"A": "1", "C": "3"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A='$X `b` \"q\" # no'", {"A": '$X `b` "q" # no'}),
        ('X=1\nA="$X ${X}2 \\$X"', {"X": "1", "A": "1 12 $X"}),
        ("X=1\nA=$X-${X}_$Y", {"X": "1", "A": "1-1_"}),
        ("A=\\$X", {"A": "$X"}),
        ('F=compose.yml\nF="$F:compose.x.yml"', {"F": "compose.yml:compose.x.yml"}),
        ("A=1 # b\nB=a#b\nC= # nothing\nD='x' # y\nE=\"z\"   #w", {"A": "1", "B": "a#b", "C": "", "D": "x", "E": "z"}),
        ('A="one\\ntwo \\"q\\" \\\\ \\d"', {"A": 'one\ntwo "q" \\ \\d'}),
        ("A='it''s'\nB='open\nC=\"open", {"A": "'it''s'", "B": "'open", "C": '"open'}),
        ("export A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A==b=c", {"A": "=b=c"}),
        ("EXTRA_DOMAINS=', `www.x`'", {"EXTRA_DOMAINS": ", `www.x`"}),
        ('A="$B"\nB=1', {"A": "", "B": "1"}),
        ("X='a\\nb'\nA=\"$X\"", {"X": "a\\nb", "A": "a\\nb"}),
    ],
)
def test_env_1_values(text: str, expected: Mapping[str, str]) -> None:
    assert parse_env(text) == expected


def test_a_line_that_assigns_nothing_is_named() -> None:
    with pytest.raises(ComposeError, match=r"^app\.env:2: is not KEY=value: 'what'"):
        parse_env("A=1\nwhat\n", "app.env")


def test_env_2_modifiers_stay_apart_from_the_value() -> None:
    lines = parse_env_sample("A=v1 # length=12 charset=hex\nB='v2'     #generate=false\nC=v1 # some words, a=b\nD=1\n")
    assert [(line.key, line.value, dict(line.modifiers), line.line) for line in lines] == [
        ("A", "v1", {"length": "12", "charset": "hex"}, 1),
        ("B", "v2", {"generate": "false"}, 2),
        ("C", "v1", {"a": "b"}, 3),
        ("D", "1", {}, 4),
    ]


def test_cfg_2_exports_are_scanned_not_run() -> None:
    text = 'export A=v1\n  export B="q"  \nexport C=$(reboot)\nexport D=a=b\nE=no\n# export F=1\nexport G\n'
    assert abra_exports(text) == {"A": "v1", "B": '"q"', "C": "$(reboot)", "D": "a=b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A-${A}", "a-a"),
        ("$$A $$$A", "$A $a"),
        ("${A:-d}${Q:-d}${Q-e}", "ade"),
        ("[$Q]", "[]"),
        ("${E:-d}${E-e}", "d"),
        ("${Q:-${A}}", "${A}"),
        ("${Q:-}", ""),
        ("${A:?no}", "a"),
    ],
)
def test_cmp_3_variables(text: str, expected: str) -> None:
    assert interpolate(text, {"A": "a", "E": ""}) == expected


@pytest.mark.parametrize("text", ["$", "a $1", "${}", "${A", "${A.b}", "${A:+x}", "${Q:?gone}", "${Q?}"])
def test_cmp_3_what_is_no_variable_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"interpolation|needs the variable Q"):
        interpolate(text, {"A": "a"})


def test_secrets_are_tied_to_variables_by_their_raw_name() -> None:
    compose = """
services:
  app: {image: x, secrets: [pw, ssl_cert, fixed, {source: hmac, target: other}]}
secrets:
  pw: {external: true, name: "${STACK_NAME}_pw_${SECRET_PW_VERSION:-v1}"}
  ssl_cert: {external: true, name: "${STACK_NAME}_ssl_cert_${SECRET_WILDCARD_CERT_VERSION}"}
  fixed: {external: true, name: "${STACK_NAME}_fixed_v7"}
  hmac: {external: true, name: "${STACK_NAME}_hmac_${SECRET_HMAC_VERSION}"}
  unused: {external: true, name: "${STACK_NAME}_unused_v1"}
  own: {file: ./own}
"""
    env = "SECRET_WILDCARD_CERT_VERSION=v3 # generate=false\nSECRET_HMAC_VERSION= # length=32 charset=hex,special\n"
    again = "SECRET_WILDCARD_CERT_VERSION=v4\n"  # set once more without a comment: the modifiers still count
    stack = read_stack({"compose.yml": compose}, [], {"STACK_NAME": "st", **parse_env(env + again)})
    assert secrets_of(stack, parse_env_sample(env + again)) == [
        SecretSpec("pw", "SECRET_PW_VERSION", "v1", "st_pw_v1"),
        SecretSpec("ssl_cert", "SECRET_WILDCARD_CERT_VERSION", "v4", "st_ssl_cert_v4", generate=False),
        SecretSpec("fixed", "", "v7", "st_fixed_v7"),
        SecretSpec("hmac", "SECRET_HMAC_VERSION", "", "st_hmac_", length=32, charset="hex,special"),
    ]


def test_secrets_of_an_overlay_count_once_it_is_enabled() -> None:
    base = "services: {app: {image: x}}"
    over = "services: {app: {secrets: [s]}}\nsecrets: {s: {external: true, name: a_s_v1}}"
    files = {"compose.yml": base, "compose.s.yml": over}
    assert secrets_of(read_stack(files, ["compose.yml"], {})) == []
    assert [spec.name for spec in secrets_of(read_stack(files, ["compose.yml", "compose.s.yml"], {}))] == ["s"]


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_a_line_feed_ends_a_line_as_it_does_for_abra(end: str) -> None:
    text = f"DATA=/\n# a comment{end}DATA=content\n"
    assert parse_env(text) == {"DATA": "/"}
    assert abra_exports(f"export A=1\n# a comment{end}export A=2\n") == {"A": "1"}
    assert with_new_keys("A=1\n", f"# a comment{end}C=3\nB=2\n") == "A=1\nB=2\n"


def test_a_carriage_return_that_ends_no_line_is_refused() -> None:
    with pytest.raises(ComposeError, match=r"env:1: .*carriage return"):
        parse_env("DATA=content\rDATA=/\n")
