"""Providers that are kept warm on a node: which ones, as this controller remembers, and what they are called there.

The node itself knows the rest (`module_utils/ccci_host/warm.py`). A name that stands here without anything on the node
does no harm: the next run that needs it makes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ccci import paths

FILE = "warm.json"  # beside what bootstrap learnt about the node: a list of recipes
LABEL = "warm"  # in place of a ref, where the domain is made


def run_of(recipe: str) -> str:
    """What its journal and its folder are called, as if it were a run."""
    return f"warm-{recipe}"


def kept(node: str) -> frozenset[str]:
    """The recipes that runs on this node borrow instead of deploying them."""
    try:
        return frozenset(map(str, json.loads(_path(node).read_text())))
    except (FileNotFoundError, ValueError):
        return frozenset()


def remember(node: str, recipe: str) -> None:
    _write(node, kept(node) | {recipe})


def forget(node: str, recipe: str) -> None:
    _write(node, kept(node) - {recipe})


def _write(node: str, recipes: Iterable[str]) -> None:
    path = _path(node)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(sorted(recipes)) + "\n")


def _path(node: str) -> Path:
    return paths.node_facts_dir(node) / FILE
