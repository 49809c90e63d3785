"""Writes roles/<role>/README.md from the role's meta/argument_specs.yml: `make docs`.

With --check it writes nothing, names those that are not up to date, and ends with 1.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parent.parent / "roles"
HEAD = "<!-- Made by `make docs` from meta/argument_specs.yml. -->"


def readme(role: str, spec: Mapping[str, Any]) -> str:
    lines = [HEAD, f"# {role}", "", f"{spec['short_description']}.", ""]
    lines += [f"{text}\n" for text in paragraphs(spec.get("description"))]
    options = spec.get("options") or {}
    if options:
        lines += ["| variable | type | default | meaning |", "|---|---|---|---|", *rows(options)]
    return "\n".join(lines).rstrip() + "\n"


def rows(options: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """One table row per option; those of a dict follow it, written as `parent.child`."""
    for name, option in options.items():
        kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
        if "choices" in option:
            kind = " or ".join(f"`{choice}`" for choice in option["choices"])
        meaning = " ".join(paragraphs(option.get("description")))
        yield f"| `{prefix}{name}` | {kind} | {default(option)} | {meaning} |"
        yield from rows(option.get("options") or {}, f"{prefix}{name}.")


def default(option: Mapping[str, Any]) -> str:
    if option.get("required"):
        return "needed"
    if option.get("default") in (None, "", [], {}):
        return "–"
    value = option["default"]
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def paragraphs(text: str | list[str] | None) -> list[str]:
    """A description is one text or a list of them; line breaks in it mean nothing, and Ansible's C(x) is `x`."""
    texts = [text] if isinstance(text, str) else text or []
    return [re.sub(r"\bC\(([^)]*)\)", r"`\1`", " ".join(part.split())) for part in texts]


def pages() -> Iterator[tuple[Path, str]]:
    """(path, text) of each role's README."""
    for specs in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        role = specs.parent.parent
        yield role / "README.md", readme(role.name, yaml.safe_load(specs.read_text())["argument_specs"]["main"])


def main() -> int:
    stale = [(path, text) for path, text in pages() if not path.is_file() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        sys.stderr.writelines(f"{path} is not up to date: run `make docs`\n" for path, _ in stale)
        return 1 if stale else 0
    for path, text in stale:
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
