"""Order of versions, and the choice of the base."""

from __future__ import annotations

import random

import pytest

from ccci.errors import UsageError
from ccci.source.versions import Head, Version, in_order, parse, pick_base


def versions(*tags: str) -> list[Version]:
    return in_order([Version(tag, f"commit-of-{tag}") for tag in tags])


def head(kind: str = "pr", commit: str = "head", version: str | None = None) -> Head:
    return Head(kind, "pull request 1", 1, commit, version, "subject")


@pytest.mark.parametrize(
    "ordered",
    [
        ["0.1.0", "0.2.0", "1.0.0+v1.6.870-0"],
        ["1.9.0+1.28.0", "1.10.0+1.22.1", "1.11.0+1.29.0"],
        ["1.0.0+1.9.9", "1.0.0+1.10.0"],
        ["v1.0.1", "v1.0.2", "v1.0.3"],
        ["1.0.0+2024.06.27", "1.0.0+2024.06.37", "1.0.0+2024.7.1"],
        ["2.0.0+1.0.5-social-amd64", "2.0.1+1.0.6-social-amd64"],
        ["1.0.0+1.2.0-rc.2", "1.0.0+1.2.0-rc.10", "1.0.0+1.2.0"],
        ["1.0.0-rc1+2", "1.0.0+2"],
        ["1.0.0+9.2", "1.0.0+9.3.1.2"],
    ],
)
def test_order(ordered: list[str]) -> None:
    shuffled = random.Random(1).sample(ordered, len(ordered))
    assert [version.tag for version in versions(*shuffled)] == ordered


@pytest.mark.parametrize("tag", ["latest", "release-1", "1.0.0+", "1.0.0+latest", "", "1.2.3.4", "+1.0"])
def test_what_is_no_version_is_skipped(tag: str) -> None:
    assert parse(tag) is None
    assert versions(tag) == []


def test_newest_ancestor_wins_over_a_newer_release() -> None:
    base, reason = pick_base(
        versions("1.0.0+1", "1.1.0+1", "2.0.0+1"), head(), {"commit-of-1.0.0+1", "commit-of-1.1.0+1"}
    )
    assert base is not None
    assert base.version == "1.1.0+1"
    assert "builds on" in reason


def test_the_heads_own_version_is_not_its_base() -> None:
    held = {"commit-of-1.0.0+1", "commit-of-1.1.0+1"}
    base, _ = pick_base(versions("1.0.0+1", "1.1.0+1"), head("main", "commit-of-1.1.0+1", "1.1.0+1"), held)
    assert base is not None
    assert base.version == "1.0.0+1"


def test_without_an_ancestor_the_newest_counts_and_it_is_said() -> None:
    base, reason = pick_base(versions("1.0.0+1", "1.1.0+1"), head(), set())
    assert base is not None
    assert base.version == "1.1.0+1"
    assert "none is an ancestor" in reason


def test_a_version_starts_from_the_one_before_it() -> None:
    known = versions("1.0.0+1", "1.1.0+1", "1.2.0+1")
    base, reason = pick_base(known, head("version", "commit-of-1.1.0+1", "1.1.0+1"), {v.commit for v in known})
    assert base is not None
    assert base.version == "1.0.0+1"
    assert reason == "the version before 1.1.0+1"


def test_the_first_version_has_no_base() -> None:
    base, reason = pick_base(versions("1.0.0+1"), head("version", "commit-of-1.0.0+1", "1.0.0+1"), set())
    assert base is None
    assert "no version was published before 1.0.0+1" in reason


def test_nothing_published() -> None:
    base, reason = pick_base([], head(), set())
    assert base is None
    assert "no earlier version" in reason


def test_asked_for() -> None:
    known = versions("1.0.0+1", "1.1.0+1")
    base, reason = pick_base(known, head(), {v.commit for v in known}, "1.0.0+1")
    assert base is not None
    assert (base.version, reason) == ("1.0.0+1", "asked for")
    with pytest.raises(UsageError) as error:
        pick_base(known, head(), set(), "1.0.1+1")
    assert "1.0.0+1" in error.value.expected
