"""What will happen, as data: materials → plan.json. Pure; the shapes are in docs/architecture.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ccci.errors import UsageError
from ccci.plan.expected import HOOK_TIERS, Shape, expected
from ccci.plan.load import OVERLAY, Materials, Request, load
from ccci.plan.markers import Marker, choose_marker
from ccci.plan.recipe_settings import Probe
from ccci.plan.stack import Stack, trusted_labels
from ccci.plan.tiers import ALL, run_tags
from ccci.schemas import check
from ccci.settings import Settings

SCHEMA = "ccci/plan/1"
SERVER = "default"
NODE_RUNS = "/var/lib/ccci/runs"
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
    )
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
        },
        "recipe": {"name": materials.request.recipe, "tests_dir": _text(materials.tests_dir)},
        "source": {"url": materials.mirror.url, "bundle": str(materials.run_dir / "recipe.bundle")},
        "base": _base(materials),
        "head": {**dataclasses.asdict(materials.head), "subject": printable(materials.head.subject)},
        "app": {"domain": materials.domain, "stack": materials.stack, "server": SERVER},
        "scope": _scope(materials),
        **_app(materials),
        "overlay": str(overlay) if overlay and overlay.is_file() else None,
        **_checks(materials, ready, judged_at_install),
        "marker": marker.to_json(),
        "backup": {
            "expect_paths": list(materials.recipe.expect_paths),
            "not_applicable": materials.recipe.backup_not_applicable,
        },
        "timeouts": dataclasses.asdict(materials.recipe.timeouts),
        "resources": {"memory": materials.recipe.memory, "disk": materials.recipe.disk},
        "tests": [{"id": test.id, "kind": test.kind, "path": test.path, "from": test.since} for test in tests],
        "hooks": hooks,
        "untrusted_tests": []
        if materials.pr_tests_trusted
        else [printable(path).replace("\n", "�") for path in sorted(materials.pr_files)],
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
    """recipe.yml's own marker, with its task files as paths. A service that does not exist is named before the run."""
    fields = dict(marker.fields)
    for key in ("seed", "check", "destroy"):
        if key in fields and materials.tests_dir is not None:
            path = materials.tests_dir / "hooks" / fields[key]
            if not path.is_file():
                raise UsageError(f"{materials.recipe.place('marker', key)} names {path}, which is not there")
            fields[key] = str(path)
    services = [service.name for service in stack.services] if stack else []
    if services and marker.kind != "api" and fields["service"] not in services:
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
    app = {
        "name": "app", "recipe": materials.request.recipe, "domain": materials.domain, "stack": materials.stack,
    }  # fmt: skip
    limits = materials.recipe.timeouts
    silences = [*dataclasses.asdict(limits).values(), silence(materials.recipe.ready, limits.deploy)]
    silences += [silence(probes, limits.upgrade) for probes in (materials.recipe.ready, materials.recipe.pre_upgrade)]
    return {
        "run": materials.run_id,
        "recipe": materials.request.recipe,
        "domain": materials.domain,
        "stack": materials.stack,
        "node_dir": f"{NODE_RUNS}/{materials.run_id}",
        "server": SERVER,
        "apps": [app],
        "lease": max(OTHER_LIMIT, *silences) + LEASE_MARGIN,
        "deploys": 1,
    }


def silence(probes: Sequence[Probe], limit: int) -> int:
    """The longest that a list of probes may take, in seconds. Those of one kind share `limit`, own limits add to it."""
    kinds = [
        [probe for probe in probes if probe.url], [probe for probe in probes if probe.tcp is not None],
        [probe for probe in probes if probe.command],
    ]  # fmt: skip
    shared = sum(limit for kind in kinds if any(probe.within is None for probe in kind))
    return shared + sum(probe.within or 0 for probe in probes)


def _app(materials: Materials) -> dict[str, Any]:
    recipe, renderer = materials.recipe, materials.renderer
    chosen = dict(materials.request.env)
    return {
        "env": renderer.data(recipe.env, recipe.place("env")) | chosen,
        "env_from_upgrade": renderer.data(recipe.env_from_upgrade, recipe.place("env_from_upgrade")) | chosen,
        "compose_files": list(recipe.compose_files) if recipe.compose_files else None,
        "secrets": {name: dict(secret) for name, secret in recipe.secrets.items()},
    }


def _checks(materials: Materials, ready: list[Probe], judged_at_install: bool) -> dict[str, Any]:
    recipe, renderer = materials.recipe, materials.renderer
    health = dataclasses.asdict(recipe.health)
    health["from"] = health.pop("since")
    health["judged_at_install"] = judged_at_install
    health["status"] = list(recipe.health.status)
    if recipe.health.host:
        health["host"] = renderer.text(recipe.health.host, recipe.place("health", "host"))
    return {
        "health": health,
        "ready": {
            "install": [_probe(materials, probe, "ready", recipe.ready.index(probe)) for probe in ready],
            "head": [_probe(materials, probe, "ready", index) for index, probe in enumerate(recipe.ready)],
        },
        "gates": {
            "pre_upgrade": [
                _probe(materials, probe, "gates", "pre_upgrade", index)
                for index, probe in enumerate(recipe.pre_upgrade)
            ]
        },
    }


def _probe(materials: Materials, probe: Probe, *path: str | int) -> dict[str, Any]:
    """A check in the shape of its module: what the file does not say is left out. UsageError for a command in a service
    that neither version has."""
    place, render = materials.recipe.place(*path), materials.renderer
    written: dict[str, Any] = {"successes": probe.successes, "within": probe.within}
    if probe.tcp is not None:
        host = render.text(probe.tcp["host"], place) if "host" in probe.tcp else materials.domain
        written |= {"host": host, "port": probe.tcp["port"]}
    elif probe.command:
        known = sorted({service.name for stack in _stacks(materials) for service in stack.services})
        if known and probe.service not in known:
            raise UsageError(
                f"{place}: the recipe has no service {probe.service!r}", expected=f"one of {', '.join(known)}"
            )
        argv = render.data(list(probe.command), place)
        written |= {"service": probe.service, "argv": argv, "stdout_contains": probe.stdout}
    else:
        written |= {
            "url": render.text(probe.url or "", place), "status": list(probe.status), "json": probe.json,
            "text": probe.text, "content_type": probe.content_type,
        }  # fmt: skip
    return {name: value for name, value in written.items() if value is not None}


def _notes(materials: Materials, left_out: list[Probe]) -> list[str]:
    """What a person should know before the run, and nothing else in the plan says."""
    notes: list[str] = []
    for name, side in (("base", materials.base_side), ("head", materials.head_side)):
        if side is not None and side.problem:
            notes.append(f"{name}: {printable(side.problem)}")
    base = materials.base.version if materials.base else None
    notes += [f"{probe.told()} is not asked of the base version {base}" for probe in left_out]
    if materials.tests_dir is None:
        notes.append(f"no folder recipe_tests/{materials.request.recipe}: generic assertions only, no functional test")
    return notes


def printable(text: str) -> str:
    """A stranger's text without what a terminal would obey and without bytes that are no text."""
    readable = text.encode("utf-8", "backslashreplace").decode()
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in readable)


def _text(path: Path | None) -> str | None:
    return str(path) if path else None
