"""The fixture `deps`: the facts of the run's deps, by the names that recipe.yml gives them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ccci.testing.context import Context

DEPS_FILE = "deps.json"


class Facts(Mapping[str, Any]):
    """Read as `deps.sso.user.username` or `deps["sso"]["user"]["username"]`. Never shows a value by itself: some are
    secret."""

    def __init__(self, place: str, values: Mapping[str, Any]) -> None:
        self._place, self._values = place, values

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise KeyError(f"{self._place} has no {name!r}; there is {', '.join(self._values) or 'nothing'}")
        value = self._values[name]
        return Facts(f"{self._place}.{name}", value) if isinstance(value, Mapping) else value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<{self._place}: {', '.join(self._values) or 'nothing'}>"


def load(context: Context) -> Facts:
    """What the providers of this run gave; nothing when the recipe has no deps."""
    path = Path(context.run_dir) / DEPS_FILE
    return Facts("deps", json.loads(path.read_text()) if path.is_file() else {})
