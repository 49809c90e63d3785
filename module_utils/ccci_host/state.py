"""`<node_dir>/state.json`: what one module leaves for a later one (docs/architecture.md). It holds secret values."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STATE_FILE = "state.json"
PREPULLED = "prepulled"  # the images that were on the node before anything was deployed, as the recipe names them


def load(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that was left so far; empty before the first `update`. ValueError for a spoilt file."""
    try:
        found = json.loads(_path(scope).read_text())
    except FileNotFoundError:
        return {}
    if not isinstance(found, dict):
        raise ValueError(f"{_path(scope)} holds no mapping")
    return found


def update(scope: Mapping[str, Any], **keys: Any) -> None:
    """Replaces the given top-level keys. The file is always complete, and nobody else can read it."""
    path = _path(scope)
    partial = path.with_name(f"{STATE_FILE}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({**load(scope), **keys}, file)
    partial.replace(path)


def _path(scope: Mapping[str, Any]) -> Path:
    return Path(str(scope["node_dir"])) / STATE_FILE
