"""Compose files that are written to do harm: each ends in an error with file and line, soon and without much memory."""

from __future__ import annotations

import itertools
import time
import tracemalloc

import pytest

from ccci_host.compose import ComposeError, parse_env, read_stack

LETTERS = "abcdefghijk"


def chain(first: str, line: str) -> str:
    """Anchors of which each refers to the one before nine times."""
    pairs = itertools.pairwise(LETTERS)
    return first + "".join(line.format(name=b, all=", ".join([f"*{a}"] * 9)) for a, b in pairs)


HOSTILE = {
    "aliases of aliases": chain("x-a: &a [1, 1]\n", "x-{name}: &{name} [{all}]\n"),
    "merge keys of merge keys": chain("x-a: &a {k: 1}\n", "x-{name}: &{name}\n  <<: [{all}]\n"),
    "an alias to itself": "services: &a\n  app: *a\n",
    "a merge key to itself": "services: &a\n  <<: *a\n",
    "flow lists": "a: " + "[" * 100_000,
    "flow lists on lines": "a: " + "[\n" * 100_000,
    "flow mappings": "{a: " * 50_000,
    "block mappings": "".join(" " * depth + "a:\n" for depth in range(600)),
    "complex keys": "? " * 100_000,
    "dashes": "- " * 100_000,
    "a huge file": "a: " + "x" * 300_000,
    "many values": "services: {app: {image: x, labels: {" + ", ".join(f"k{n}: v" for n in range(20_000)) + "}}}",
    "a long text again and again": "x-a: &a " + "y" * 200_000 + "\nx-b: [" + "*a, " * 1000 + "]\n",
    "port ranges": "services: {app: {image: x, ports: [" + ", ".join(['"1-1000:1-1000"'] * 5000) + "]}}",
    "a variable again and again": "services: {app: {image: x, labels: {"
    + ", ".join(f"k{n}: '${{BIG}}'" for n in range(5000)) + "}}}",
    "a value that grows": "services: {app: {image: '" + "${BIG}" * 1000 + "'}}",
    "a python object": "services: !!python/object/apply:os.system ['true']\n",
    "a NUL character": "a: \x00",
    "half a surrogate": "a: \ud800",
    "two documents": "a: 1\n---\nb: 2\n",
    "a list": "- a\n",
    "only a tab": "\t",
    "a mapping as key": "? {a: b}\n: c\n",
    "an endless default": 'services: {app: {image: "${A' + ":-" * 50_000 + '"}}',
    "a long number as duration": 'services: {app: {image: x, stop_grace_period: "' + "1" * 100_000 + '"}}',
    "quotes without end": 'services: {app: {image: x, command: "' + "a " * 60_000 + "'\"}}",
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_are_refused_in_time(text: str) -> None:
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises(ComposeError) as caught:
            read_stack({"compose.yml": text}, ["compose.yml"], {"BIG": "x" * 30_000})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < 10
    assert most < 100 * 1024 * 1024
    assert caught.value.file == "compose.yml"
    assert caught.value.line >= 1
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("value", "text"),
    [("1:" + ":".join(["59"] * 60_000), None), ("9" * 200_000, None), ("1_0", "10"), ("22:22", "22:22")],
    ids=["base 60", "a long integer", "an underscore", "a time"],
)
def test_numbers_of_old_yaml_do_no_harm(value: str, text: str | None) -> None:
    began = time.monotonic()
    document = f"services: {{app: {{image: x, environment: {{A: {value}}}}}}}"
    assert read_stack({"compose.yml": document}, [], {}).services["app"].environment["A"] == (text or value)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("text", "line"),
    [("A=x\n" + "A=$A$A\n" * 60, 13), ("A=" + "x" * 40_000, 1), ("\nA=b\x00c", 2), ("x" * 300_000, 1)],
    ids=["doubling", "a long value", "NUL", "a huge file"],
)
def test_hostile_env_files_are_refused(text: str, line: int) -> None:
    with pytest.raises(ComposeError) as caught:
        parse_env(text)
    assert caught.value.file == ".env"
    assert abs(caught.value.line - line) <= 4
