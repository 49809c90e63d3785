"""Where things live on the controller. One place per path."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PLAYBOOKS = PROJECT / "playbooks"
# The fault suite plays recipes with other settings than theirs.
RECIPE_TESTS = Path(os.environ.get("CCCI_RECIPE_TESTS_DIR") or PROJECT / "recipe_tests").resolve()
INVENTORY = PROJECT / "inventory"


def cache_dir() -> Path:
    """Mirrors, image archives, node facts: all of it can be deleted and comes back."""
    own = os.environ.get("CCCI_CACHE_DIR")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ccci"


def runs_dir() -> Path:
    """One folder per run. Never deleted by ccci."""
    return Path(os.environ.get("CCCI_RUNS_DIR") or "runs").resolve()


def node_facts_dir(node: str) -> Path:
    """What bootstrap learnt about a node and the controller needs: `ca.crt`, `leaf-spki`."""
    return cache_dir() / "nodes" / node
