"""Recipe versions: `<x.y.z of the recipe>+<version upstream>`, ordered on both sides of the `+`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

_HALF = re.compile(r"v?(\d+(?:\.\d+)*)(.*)", re.DOTALL)

Key = tuple[tuple[tuple[int, ...], tuple[int, str]], ...]


def key(tag: str) -> Key | None:
    """What sorts tags; None for one that is no version."""
    recipe, _, upstream = tag.partition("+")
    first, second = _half(recipe), _half(upstream)
    return None if first is None else (first, second or ((), (0, upstream)))


def in_order(tags: Iterable[str]) -> list[str]:
    """The tags that are versions, oldest first."""
    keyed = sorted((found, tag) for tag in tags if (found := key(tag)) is not None)
    return [tag for _, tag in keyed]


def newer(tags: Iterable[str], than: str) -> list[str]:
    """The versions above one, oldest first. Nothing is newer than something that is no version."""
    floor = key(than)
    return [] if floor is None else [tag for tag in in_order(tags) if (key(tag) or ()) > floor]


def older(tags: Iterable[str], than: str) -> list[str]:
    ceiling = key(than)
    return [] if ceiling is None else [tag for tag in in_order(tags) if (key(tag) or ()) < ceiling]


def _half(text: str) -> tuple[tuple[int, ...], tuple[int, str]] | None:
    """Numbers first; a suffix after `-` makes a pre-release, which is older than the plain one."""
    match = _HALF.fullmatch(text)
    if not match or len(match[1]) > 100:
        return None
    numbers = tuple(int(part) for part in match[1].split("."))
    return numbers + (0,) * (3 - len(numbers)), ((0, match[2]) if match[2].startswith("-") else (1, match[2]))
