"""A role's defaults, its argument_specs and its README say the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[3]
ROLES = sorted(path for path in (PROJECT / "roles").iterdir() if (path / "tasks").is_dir())


def options(role: Path) -> dict[str, Any]:
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())
    return dict(specs["argument_specs"]["main"].get("options") or {})


def defaults(role: Path) -> tuple[dict[str, Any], set[str]]:
    """What defaults/main.yml sets, and the names that it has in a comment (`# name:`): those without a default."""
    text = (role / "defaults" / "main.yml").read_text()
    return yaml.safe_load(text) or {}, set(re.findall(r"^# ?(\w+):\s*$", text, re.MULTILINE))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_options_and_defaults_have_the_same_names(role: Path) -> None:
    known = options(role)
    values, named = defaults(role)
    assert {name for name, option in known.items() if not option.get("required")} == set(values)
    assert {name for name, option in known.items() if option.get("required")} == named


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_options_and_defaults_have_the_same_values(role: Path) -> None:
    values, _ = defaults(role)
    assert {name: options(role)[name].get("default") for name in values} == values


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_variables_carry_the_name_of_their_role(role: Path) -> None:
    shared = {name for name in options(role) if name.startswith("ccci_")}
    assert {name for name in options(role) if not name.startswith(f"{role.name}_")} == shared


def test_readmes_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_role_readmes.py", "--check"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
