"""What an app of a run learns from its deps while the run lasts: the facts in `<run dir>/deps.json`, and the plan.

An app is the recipe itself (`app`) or a dep (its key); it knows its own deps by the names of its recipe.yml. Facts may
be secret, so no message here holds one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ccci.errors import InfrastructureError
from ccci.plan.dep_settings import APP as APP  # for the plugins, too
from ccci.plan.templates import render_late
from ccci.redaction import DEPS_FILE

Plan = Mapping[str, Any]


def load(run_dir: Path) -> dict[str, Any]:
    """{key of a dep: its facts}, of those that have spoken so far."""
    try:
        return dict(json.loads((run_dir / DEPS_FILE).read_text()))
    except FileNotFoundError:
        return {}


def of_dep(facts: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The facts of one dep. InfrastructureError when it has provided none."""
    if key not in facts:
        raise InfrastructureError(
            f"The dep {key} has provided no facts", observed=f"known are {', '.join(facts) or 'none'}"
        )
    return dict(facts[key])


def known_to(plan: Plan, facts: Mapping[str, Any], app: str) -> dict[str, Any]:
    """{name of a dep in the app's recipe.yml: its facts}. InfrastructureError as long as one of them is not there."""
    return {dep["as"]: of_dep(facts, dep["key"]) for dep in plan["deps"] if dep["parent"] == app}


def late_values(plan: Plan, facts: Mapping[str, Any], app: str) -> dict[str, dict[str, str]]:
    """{env, env_from_upgrade}: the variables of an app's `.env` that use facts. Pure. Errors as in `known_to`;
    UsageError for what cannot be rendered."""
    entry, known = _entry(plan, app), known_to(plan, facts, app)
    return {
        "env": render_late(entry.get("late_env") or {}, known),
        "env_from_upgrade": render_late(entry.get("late_env_from_upgrade") or {}, known),
    }


def secret_values(plan: Plan, facts: Mapping[str, Any], app: str) -> dict[str, str]:
    """{name of an app's secret: the fact that it is}. Pure. InfrastructureError for a fact that is not there."""
    wanted = {name: how["value_from"] for name, how in _entry(plan, app)["secrets"].items() if how.get("value_from")}
    known = known_to(plan, facts, app) if wanted else {}
    return {name: _at(known, chain) for name, chain in wanted.items()}


def _entry(plan: Plan, app: str) -> Mapping[str, Any]:
    if app == APP:
        return plan
    found: Mapping[str, Any] = next(dep for dep in plan["deps"] if dep["key"] == app)
    return found


def _at(known: Mapping[str, Any], chain: str) -> str:
    """The fact at `deps.sso.client_secret`."""
    found: Any = known
    for name in chain.split(".")[1:]:
        found = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(found, str) or not found:
        raise InfrastructureError(f"{chain} is no text that could be a secret of the app")
    return found
