"""Published versions of a recipe: their order, and which one a run starts from. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ccci.errors import UsageError

_RECIPE_PART = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?")
_UPSTREAM_PART = re.compile(r"v?(\d+(?:\.\d+)*)(?:[-_.+]?([0-9A-Za-z][0-9A-Za-z._+-]*))?")

Identifiers = tuple[tuple[int, int, str], ...]
# Numbers first, then "no suffix comes after any suffix" as semver has it for pre-releases.
Part = tuple[tuple[int, ...], bool, Identifiers]
Order = tuple[Part, Part]


@dataclass(frozen=True)
class Version:
    """An annotated tag `<recipe version>+<upstream version>`."""

    tag: str
    commit: str
    subject: str = ""

    @property
    def order(self) -> Order:
        parsed = parse(self.tag)
        if parsed is None:
            raise ValueError(self.tag)
        return parsed


@dataclass(frozen=True)
class Head:
    """The ref under test. `kind` is main, pr, ref or version; `version` is the tag on its commit, when there is one."""

    kind: str
    label: str
    pr: int | None
    commit: str
    version: str | None
    subject: str


@dataclass(frozen=True)
class Base:
    """The version that is installed first, and why it was chosen."""

    version: str
    commit: str
    reason: str


def parse(tag: str) -> Order | None:
    """The sort key of a tag; None for tags that are no version (they are skipped, as abra does)."""
    recipe, plus, upstream = tag.partition("+")
    left = _RECIPE_PART.fullmatch(recipe)
    if left is None:
        return None
    first: Part = (tuple(int(number or 0) for number in left.groups()[:3]), left[4] is None, _identifiers(left[4]))
    if not plus:
        return first, ((), False, ())
    right = _UPSTREAM_PART.fullmatch(upstream)
    if right is None:
        return None
    return first, (_without_zeros(right[1]), right[2] is None, _identifiers(right[2]))


def in_order(versions: Sequence[Version]) -> list[Version]:
    """Oldest first; tags that are no version are left out."""
    return sorted((version for version in versions if parse(version.tag) is not None), key=lambda v: (v.order, v.tag))


def pick_base(
    versions: Sequence[Version], head: Head, ancestors: Collection[str], wanted: str | None = None
) -> tuple[Base | None, str]:
    """The version to install before the head, with the reason; (None, reason) when nothing was published before it.

    `versions` as from `in_order`, `ancestors` the commits that the head holds, `wanted` a tag that the user named.
    """
    if wanted is not None:
        chosen = find(versions, wanted)
        return _base(chosen, "asked for")
    earlier = [version for version in versions if version.commit != head.commit]
    order = parse(head.version) if head.version else None
    if order is not None:
        earlier = [version for version in earlier if version.order < order]
    if head.kind == "version":
        if earlier:
            return _base(earlier[-1], f"the version before {head.version}")
        return None, f"no version was published before {head.version}"
    held = [version for version in earlier if version.commit in ancestors]
    if held:
        return _base(held[-1], "the newest published version that the ref under test builds on")
    if earlier:
        return _base(earlier[-1], "the newest published version; none is an ancestor of the ref under test")
    return None, "no earlier version of this recipe is published"


def find(versions: Sequence[Version], tag: str) -> Version:
    """The version with this tag; UsageError with the nearest ones when there is none."""
    for version in versions:
        if version.tag == tag:
            return version
    tags = [version.tag for version in versions]
    near = nearest(tag, tags) or tags[-3:]
    raise UsageError(
        f"No published version is called {tag!r}",
        expected=("one of " + ", ".join(near)) if near else "a published version; this recipe has none",
        next_step="Only annotated tags of the form 1.2.3+<upstream version> count as published",
    )


def nearest(word: str, known: Collection[str]) -> list[str]:
    """Up to three of the known names that are spelt like `word`."""
    return difflib.get_close_matches(word, sorted(known), n=3, cutoff=0.5)


def _base(version: Version, reason: str) -> tuple[Base, str]:
    return Base(version.tag, version.commit, reason), reason


def _without_zeros(numbers: str) -> tuple[int, ...]:
    parts = [int(number) for number in numbers.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()  # 2.9 and 2.9.0 are the same upstream version
    return tuple(parts)


def _identifiers(suffix: str | None) -> Identifiers:
    """Numbers before words, numbers by value: the order of semver's pre-release identifiers."""
    words = re.split(r"[.\-_+]", suffix) if suffix else []
    return tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in words)
