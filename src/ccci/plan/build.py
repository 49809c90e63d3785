"""What will happen, as data: materials → plan.json. Pure; the shapes are in docs/architecture.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ccci.errors import UsageError
from ccci.plan import dep_plan, needs, parts
from ccci.plan.expected import HOOK_TIERS, Shape, expected
from ccci.plan.load import OVERLAY, Materials, Request, load
from ccci.plan.markers import Marker, choose_marker
from ccci.plan.recipe_settings import Probe
from ccci.plan.stack import Stack, trusted_labels
from ccci.plan.tests_discovery import RecipeTest
from ccci.plan.tiers import ALL, run_tags
from ccci.schemas import check
from ccci.settings import Settings
from ccci.source.git import public_url

SCHEMA = "ccci/plan/1"
OTHER_LIMIT = 600  # seconds, of steps whose limit no setting gives: the default of ccci.actions
LEASE_MARGIN = 120  # seconds
Plan = dict[str, Any]


def build_plan(request: Request, settings: Settings) -> Plan:
    """The plan of a run that has not begun; nothing is written. Errors as in `load.load`."""
    return plan_of(load(request, settings))


def plan_of(materials: Materials) -> Plan:
    """UsageError when a setting names what does not exist (a marker's service or file)."""
    tags = tuple(run_tags(materials.request.tags, materials.request.skip_tags))
    not_planned = _not_planned(materials)
    unplanned = tuple(entry["tier"] for entry in not_planned)
    from_base = materials.base is not None and "upgrade" not in unplanned and (ALL in tags or "upgrade" in tags)
    marker = _marker(materials, from_base, unplanned)
    ready = [probe for probe in materials.recipe.ready if not (from_base and probe.since == "upgrade")]
    judged_at_install = not (from_base and materials.recipe.health.since == "upgrade")
    _refuse_unproved(materials, unplanned)
    tests = [test for test in materials.tests if "custom" not in unplanned]
    # A hook of a tier that is not planned would prepare what nobody looks at.
    hooks = {name: path for name, path in materials.hooks.items() if HOOK_TIERS[name] not in unplanned}
    shape = Shape(
        tags=tags,
        unplanned=unplanned,
        marker=marker.kind != "none",
        ready=bool(ready),
        ready_head=bool(materials.recipe.ready),
        hooks=tuple(hooks),
        gates=bool(materials.recipe.pre_upgrade),
        page=materials.recipe.health.kind == "http",
        health_from_install=judged_at_install,
        tests=tuple(test.id for test in tests),
        deps=dep_plan.shapes(materials),
        login=materials.recipe.login is not None,
    )
    scope = _scope(materials)
    overlay = materials.tests_dir / OVERLAY if materials.tests_dir else None
    plan: Plan = {
        "schema": SCHEMA,
        "run": {
            "id": materials.run_id,
            "created": f"{materials.created:%Y-%m-%dT%H:%M:%SZ}",
            "dir": str(materials.run_dir),
            "keep": materials.settings.keep,
            "wait": materials.settings.wait,
            "tags": list(tags),
            "node": materials.settings.node,
            "inventory": str(materials.settings.inventory),
            **_given(materials),
        },
        "recipe": {"name": materials.request.recipe, "tests_dir": _text(materials.tests_dir)},
        "source": {"url": materials.mirror.url, "bundle": str(materials.run_dir / "recipe.bundle")},
        "base": _base(materials),
        "head": parts.head(materials.head),
        "app": {"domain": materials.domain, "stack": materials.stack, "server": parts.SERVER},
        "scope": scope,
        "deps": dep_plan.entries(materials, scope),
        "inside": dep_plan.inside(materials),
        "login": dep_plan.login(materials),
        **_app(materials),
        "overlay": str(overlay) if overlay and overlay.is_file() else None,
        **_checks(materials, ready, judged_at_install),
        "marker": marker.to_json(),
        "backup": {
            "expect_paths": list(materials.recipe.expect_paths),
            "not_applicable": materials.recipe.backup_not_applicable,
        },
        "timeouts": dataclasses.asdict(materials.recipe.timeouts),
        "resources": _resources(materials),
        "tests": [_test(test, materials) for test in tests],
        "hooks": hooks,
        "untrusted_tests": []
        if materials.pr_tests_trusted
        else [parts.printable(path).replace("\n", "�") for path in sorted(materials.pr_files)],
        "expected": [item.to_json() for item in expected(shape)],
        "not_planned": not_planned,
        "policy": {
            "mode": materials.recipe.compose_trust,
            "allow": list(materials.settings.compose_allow.get(materials.request.recipe, ())),
        },
        "secrets_named": sorted({name for stack in _stacks(materials) for name in stack.secrets}),
        "notes": _notes(materials, [probe for probe in materials.recipe.ready if probe not in ready]),
    }
    problems = check.problems("plan", plan)
    if problems:  # a mistake of ours, never of the user
        raise AssertionError(f"the plan does not follow its schema: {problems[:5]}")
    return plan


def _not_planned(materials: Materials) -> list[dict[str, str]]:
    """Tiers that cannot or shall not be judged, each once, with the reason that a report shows."""
    reasons: dict[str, str] = {}
    if materials.base is None:
        reasons["upgrade"] = materials.base_reason
    if materials.recipe.backup_not_applicable:
        reasons["backup"] = reasons["restore"] = f"not applicable: {materials.recipe.backup_not_applicable}"
    reasons |= materials.recipe.skip
    if "backup" in reasons and "restore" not in reasons:
        reasons["restore"] = f"there is no backup to restore ({reasons['backup']})"
    return [{"tier": tier, "reason": reason} for tier, reason in reasons.items()]


def _refuse_unproved(materials: Materials, unplanned: tuple[str, ...]) -> None:
    """UsageError for settings by which the tests that need deps would never run: deps are there to be proved."""
    needing = [test.id for test in materials.tests if test.uses.all]
    if needing and materials.recipe.deps and "custom" in unplanned:
        raise UsageError(
            f"{materials.recipe.place('skip')} skips tests that need deps: {', '.join(needing)}",
            next_step="Take these tests away, or the deps; a report must not look as if they had been proved",
        )


def _marker(materials: Materials, from_base: bool, unplanned: tuple[str, ...]) -> Marker:
    if {"upgrade", "backup", "restore"} <= set(unplanned):
        return Marker("none", "neither upgrade nor backup nor restore is planned", {})
    sides = [materials.base_side, materials.head_side] if from_base else [materials.head_side, materials.base_side]
    stacks = [side.stack for side in sides if side is not None and side.stack is not None]
    wanted = materials.recipe.marker
    if not stacks and wanted is None:
        return Marker("none", "no compose file can be read", {})
    base, head = (side.stack if side else None for side in (materials.base_side, materials.head_side))
    labels = trusted_labels(base.backup_labels() if base else {}, head.backup_labels() if head else {})
    marker = choose_marker(stacks[0] if stacks else Stack(), labels, wanted)
    if wanted is None:
        return marker
    return dataclasses.replace(marker, fields=_marker_fields(materials, marker, stacks[0] if stacks else None))


def _marker_fields(materials: Materials, marker: Marker, stack: Stack | None) -> Mapping[str, str]:
    """recipe.yml's own marker; of kind api with its file. A service that does not exist is named before the run."""
    fields = dict(marker.fields)
    if materials.marker_file is not None:
        fields["file"] = str(materials.marker_file)
    services = [service.name for service in stack.services] if stack else []
    if services and fields["service"] not in services:
        raise UsageError(
            f"{materials.recipe.place('marker', 'service')}: the recipe has no service {fields['service']!r}",
            expected=f"one of {', '.join(services)}",
        )
    return fields


def _stacks(materials: Materials) -> list[Stack]:
    sides = (materials.base_side, materials.head_side)
    return [side.stack for side in sides if side is not None and side.stack is not None]


def _base(materials: Materials) -> dict[str, Any] | None:
    if materials.base is None:
        return None
    return {**dataclasses.asdict(materials.base), "chaos": materials.recipe.base_chaos}


def _scope(materials: Materials) -> dict[str, Any]:
    """What belongs to the run on the node. `lease`: the longest silence of a healthy run, in seconds."""
    recipes = [materials.recipe, *(dep.needed.settings for dep in materials.deps)]
    silences = [seconds for recipe in recipes for seconds in parts.longest_silences(recipe)]
    return {
        "run": materials.run_id,
        "recipe": materials.request.recipe,
        "domain": materials.domain,
        "stack": materials.stack,
        "node_dir": f"{parts.NODE_RUNS}/{materials.run_id}",
        "server": parts.SERVER,
        "apps": dep_plan.apps(materials),
        "lease": max(OTHER_LIMIT, *silences) + LEASE_MARGIN,
        "deploys": 1 + sum(not dep.warm for dep in materials.deps),
    }


def _given(materials: Materials) -> dict[str, Any]:
    """What a person said besides, for the command that does it again."""
    source, request = materials.settings.source, materials.request
    given = {
        "source": public_url(source) if source else None, "from": request.base_version, "set": dict(request.env),
        "cold": request.cold,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value}


def _resources(materials: Materials) -> dict[str, int | None]:
    """What all apps of the run need together, for they run at once. A warm dep has what it needs."""
    recipes = [materials.recipe, *(dep.needed.settings for dep in materials.deps if not dep.warm)]
    return {
        "memory": dep_plan.summed([recipe.memory for recipe in recipes]),
        "disk": dep_plan.summed([recipe.disk for recipe in recipes]),
    }


def _app(materials: Materials) -> dict[str, Any]:
    recipe = materials.recipe
    return {
        "env": dict(materials.env.known),
        "env_from_upgrade": dict(materials.env_from_upgrade.known),
        "late_env": dict(materials.env.late),
        "late_env_from_upgrade": dict(materials.env_from_upgrade.late),
        "compose_files": list(recipe.compose_files) if recipe.compose_files else None,
        "compose_files_from_upgrade": list(recipe.compose_files_from_upgrade or ()) or None,
        "secrets": {name: dict(secret) for name, secret in recipe.secrets.items()},
    }


def _checks(materials: Materials, ready: list[Probe], judged_at_install: bool) -> dict[str, Any]:
    recipe = materials.recipe
    app = parts.App(recipe, materials.renderer, materials.domain, _stacks(materials))
    return {
        "health": parts.health(app, judged_at_install),
        "ready": {
            "install": [parts.probe(app, probe, "ready", recipe.ready.index(probe)) for probe in ready],
            "head": [parts.probe(app, probe, "ready", index) for index, probe in enumerate(recipe.ready)],
        },
        "gates": {
            "pre_upgrade": [
                parts.probe(app, probe, "gates", "pre_upgrade", index) for index, probe in enumerate(recipe.pre_upgrade)
            ]
        },
    }


def _test(test: RecipeTest, materials: Materials) -> dict[str, Any]:
    names = needs.needs(test.uses, [dep.name for dep in materials.recipe.deps], test.place.rpartition(":")[0])
    return {"id": test.id, "kind": test.kind, "path": test.path, "from": test.since, "needs": list(names)}


def _notes(materials: Materials, left_out: list[Probe]) -> list[str]:
    """What a person should know before the run, and nothing else in the plan says."""
    notes: list[str] = []
    for name, side in (("base", materials.base_side), ("head", materials.head_side)):
        if side is not None and side.problem:
            notes.append(f"{name}: {parts.printable(side.problem)}")
    base = materials.base.version if materials.base else None
    notes += [f"{probe.told()} is not asked of the base version {base}" for probe in left_out]
    if materials.tests_dir is None and not materials.request.keep_warm:
        notes.append(f"no folder recipe_tests/{materials.request.recipe}: generic assertions only, no functional test")
    return notes


def _text(path: Path | None) -> str | None:
    return str(path) if path else None
