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
    """`results` is the file for what happened, one JSON object a line; `tests` are the plan's `{id, path}`."""

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


def load() -> Context | None:
    """None outside a run: the plugin is silent then."""
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    data = json.loads(Path(path).read_text())
    known = Context.__dataclass_fields__
    return Context(**{name: value for name, value in data.items() if name in known})
