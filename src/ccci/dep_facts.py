"""What an app of a run learns from its deps while the run lasts: the facts in `<run dir>/deps.json`, and the plan.

An app is the recipe itself (`app`) or a dep (its key); it knows its own deps by the names of its recipe.yml. Facts may
be secret, so no message here holds one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
    return {name: _secret_at(known, chain) for name, chain in wanted.items()}


def stdin(facts: Mapping[str, Any], names: Sequence[str]) -> str:
    """What a command reads: facts of one dep (`client_secret`, `user.email`), each on a line of its own. Pure.
    InfrastructureError for what is no text of one line."""
    values = {name: _at(facts, name.split(".")) for name in names}
    for name, value in values.items():
        if not value or not value.isprintable():
            raise InfrastructureError(
                f"There is no fact {name!r} that a command could read as one line",
                observed=f"known are {', '.join(facts)}",
            )
    return "".join(f"{value}\n" for value in values.values())


def _entry(plan: Plan, app: str) -> Mapping[str, Any]:
    if app == APP:
        return plan
    found: Mapping[str, Any] = next(dep for dep in plan["deps"] if dep["key"] == app)
    return found


def _secret_at(known: Mapping[str, Any], chain: str) -> str:
    """The fact at `deps.sso.client_secret`."""
    found = _at(known, chain.split(".")[1:])
    if not found:
        raise InfrastructureError(f"{chain} is no text that could be a secret of the app")
    return found


def _at(facts: Mapping[str, Any], path: Sequence[str]) -> str | None:
    """None for what is no text."""
    found: Any = facts
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else None
