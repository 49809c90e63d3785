"""What a recipe's pytest run knows about the app: the context file that the module ccci_pytest writes (mode 0600)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "CCCI_TEST_CONTEXT"


@dataclass(frozen=True)
class Context:
    """`results` is the file for what happened, one JSON object a line; `tests` are the plan's `{id, path}`.

    `dep` is the key of the dep that the app is, empty for the recipe's own; `provider` is for ccci.testing.provide,
    `marker` for ccci.testing.marker.
    """

    recipe: str
    domain: str
    url: str
    stack: str
    version: str | None
    results: str
    run_dir: str = ""
    ingress_address: str = ""
    ca_file: str = ""
    spki_file: str = ""
    inventory: str = ""
    node: str = ""
    scope: dict[str, Any] = field(default_factory=dict)
    tests: list[dict[str, Any]] = field(default_factory=list)
    dep: str = ""
    provider: dict[str, Any] = field(default_factory=dict)
    marker: dict[str, Any] = field(default_factory=dict)


def load_if_run() -> Context | None:
    """None outside a run: the plugin is silent then."""
    path = os.environ.get(VARIABLE)
    return load(path) if path else None


def load(path: str) -> Context:
    data = json.loads(Path(path).read_text())
    known = Context.__dataclass_fields__
    return Context(**{name: value for name, value in data.items() if name in known})


def write_line(context: Context, line: dict[str, Any]) -> None:
    """Adds to what happened, for ccci alone to read."""
    descriptor = os.open(context.results, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(line) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """What `write_line` wrote. Half a line, of a process that was killed, is left out."""
    lines = []
    for text in path.read_text().splitlines() if path.is_file() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines
