"""The entries of plan.deps: materials of deps → data. Pure; the shape is in docs/architecture.md."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ccci import warm
from ccci.errors import UsageError
from ccci.plan import parts
from ccci.plan.dep_settings import APP
from ccci.plan.expected import DepShape
from ccci.plan.load import EMBEDDED, OVERLAY, DepMaterials, Materials
from ccci.plan.parts import SERVER
from ccci.plan.recipe_settings import RecipeSettings
from ccci.plan.templates import Renderer
from ccci.schemas import facts

NODE_CA = "/var/lib/ccci/platform/ingress/ca.crt"  # made by the role ingress
DEP_HOOKS = ("pre_install",)


def shapes(materials: Materials) -> tuple[DepShape, ...]:
    return tuple(
        DepShape(
            dep.needed.key, dep.needed.level, f"{dep.needed.key} ({dep.needed.dep.recipe})",
            pre_install="pre_install" in dep.hooks, ready=bool(dep.needed.settings.ready), warm=dep.warm,
            lent=not materials.request.keep_warm,
        )
        for dep in materials.deps
    )  # fmt: skip


def entries(materials: Materials, scope: Mapping[str, Any]) -> list[dict[str, Any]]:
    """In the order of the deploys. UsageError when a parent asks a provider for what its kind does not know."""
    return [_entry(dep, materials, scope) for dep in materials.deps]


def _entry(dep: DepMaterials, materials: Materials, scope: Mapping[str, Any]) -> dict[str, Any]:
    needed, recipe = dep.needed, dep.needed.settings
    app = parts.App(recipe, dep.renderer, dep.domain, [dep.side.stack] if dep.side.stack else [])
    return {
        "key": needed.key,
        "as": needed.dep.name,
        "kind": needed.dep.kind,
        "level": needed.level,
        "parent": needed.parent,
        "needs": list(needed.needs),
        "recipe": {"name": needed.dep.recipe, "tests_dir": str(needed.tests_dir)},
        "source": {"url": dep.mirror.url, "bundle": str(materials.run_dir / "deps" / f"{needed.key}.bundle")},
        "base": None,
        "head": parts.head(dep.head),
        "app": {"domain": dep.domain, "stack": dep.stack, "server": SERVER},
        "scope": _scope(dep, scope),
        "warm": _warm(dep, None if materials.request.keep_warm else f"{scope['run']}-{needed.key}"),
        "env": dict(dep.env.known),
        "late_env": dict(dep.env.late),
        "compose_files": list(recipe.compose_files_from_upgrade or ()) or None,
        "overlay": str(needed.tests_dir / OVERLAY) if dep.overlay is not None else None,
        "secrets": {name: dict(secret) for name, secret in recipe.secrets.items()},
        "health": parts.health(app, True),
        "ready": [parts.probe(app, probe, "ready", index) for index, probe in enumerate(recipe.ready)],
        "timeouts": dataclasses.asdict(recipe.timeouts),
        "hooks": {name: path for name, path in dep.hooks.items() if name in DEP_HOOKS},
        "policy": {
            "mode": recipe.compose_trust,
            "allow": list(materials.settings.compose_allow.get(needed.dep.recipe, ())),
        },
        "provides": str(needed.provides),
        "wants": _wants(dep, materials),
    }


def _scope(dep: DepMaterials, scope: Mapping[str, Any]) -> dict[str, Any]:
    """The run's, with the app of the dep; a warm one is nothing of the run's, and has one of its own."""
    app = {"recipe": dep.needed.dep.recipe, "domain": dep.domain, "stack": dep.stack}
    if not dep.warm:
        return {**scope, **app}
    run = warm.run_of(dep.needed.dep.recipe)
    own = {"run": run, "node_dir": f"{parts.NODE_RUNS}/{run}", "apps": [{"name": APP, **app}], "deploys": 1}
    return {**scope, **app, **own}


def _warm(dep: DepMaterials, name: str | None) -> dict[str, Any] | None:
    """`digest` of all that decides what the dep is; `name` of what is made in it for this run, None when nothing is;
    `memory` in bytes."""
    if not dep.warm:
        return None
    recipe = dep.needed.settings
    made_from = [dep.head.commit, dep.domain, dict(dep.env.known),
                 list(recipe.compose_files_from_upgrade or ()) or None,
                 {name: dict(how) for name, how in recipe.secrets.items()}, dep.overlay,
                 dict(dep.hook_texts)]  # fmt: skip
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    return {"digest": digest, "name": name, "memory": recipe.memory}


def _wants(dep: DepMaterials, materials: Materials) -> dict[str, Any]:
    """What the parent asks for, with the parent's domain in it."""
    if materials.request.keep_warm:
        return {}
    parent, renderer = _parent(dep, materials)
    index = [each.name for each in parent.deps].index(dep.needed.dep.name)
    wants = renderer.data(dep.needed.dep.wants, parent.place("deps", index, "wants"))
    found = facts.wants_problems(dep.needed.dep.kind, wants)
    if found:
        lines = [f"{parent.place('deps', index, 'wants', *path)}: wants: {what}" for path, what in found]
        raise UsageError(
            "\n".join(lines), next_step=f"See $defs/wants of src/ccci/schemas/provides/{dep.needed.dep.kind}.json"
        )
    return dict(wants)


def _parent(dep: DepMaterials, materials: Materials) -> tuple[RecipeSettings, Renderer]:
    if dep.needed.parent == APP:
        return materials.recipe, materials.renderer
    other = next(each for each in materials.deps if each.needed.key == dep.needed.parent)
    return other.needed.settings, other.renderer


def apps(materials: Materials) -> list[dict[str, str]]:
    """Those of a scope: the deps in the order of their deploys, the recipe itself last. Warm ones are not the run's."""
    own = (APP, materials.request.recipe, materials.domain, materials.stack)
    each = [(dep.needed.key, dep.needed.dep.recipe, dep.domain, dep.stack) for dep in materials.deps if not dep.warm]
    return [
        {"name": name, "recipe": recipe, "domain": domain, "stack": stack}
        for name, recipe, domain, stack in [*each, own]
    ]


def inside(materials: Materials) -> dict[str, Any] | None:
    """How apps reach each other by their public names where no DNS and no public authority knows them."""
    if not materials.deps or materials.settings.platform != EMBEDDED:
        return None
    hosts = dict.fromkeys([*(dep.domain for dep in materials.deps), materials.domain])  # two may share a warm dep
    return {"hosts": list(hosts), "ca": NODE_CA}


def login(materials: Materials) -> dict[str, Any] | None:
    wanted, place = materials.recipe.login, materials.recipe.place
    if wanted is None:
        return None
    steps = {
        name: materials.renderer.steps(list(getattr(wanted, name)), place("login", name))
        for name in ("start", "then", "logout")
    }
    return {"through": wanted.through, "path": wanted.path, **steps}


def summed(amounts: Sequence[int | None]) -> int | None:
    """Of all apps that run at once; None when none of them says what it needs."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None
