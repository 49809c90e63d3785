"""`app deploy`, `upgrade`, `rollback` and `undeploy`: which version, what goes to the swarm, what is written down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ccci_host.compose import Stack, parse_env, secrets_of
from ccci_host.docker import Client

from . import app_secrets, convergence, linting, swarm, versions
from .apps import DEFAULT_TIMEOUT, App, find
from .cli import Call
from .errors import FatalError
from .recipes import Recipe


def deploy(call: Call) -> None:
    app, client = find(call.arguments[0]), Client()
    asked = (call.arguments[1:] or [""])[0]
    if asked and call.has("chaos"):
        raise FatalError("cannot use [version] and --chaos together")
    app.recipe.require()
    _prepare(call, app.recipe)
    swarm.require_manager(client)
    now = swarm.deployment(client, app.stack)
    version = _version(call, app, now, asked)
    if call.has("chaos"):
        call.debug(f"taking chaos version: {version}")
    else:
        app.recipe.check_out(version)
        _lint(app.recipe)
    if now.deployed and not (call.has("force") or call.has("chaos")):
        raise FatalError(f"{app.name} is already deployed: pass --force to redeploy, or upgrade it")
    _apply(call, client, app, version, chaos=call.has("chaos"))


def upgrade(call: Call) -> None:
    _move(call, "upgrade", "newer", lambda tags, now: versions.newer(tags, now))


def rollback(call: Call) -> None:
    _move(call, "rollback", "older", lambda tags, now: versions.older(tags, now))


def undeploy(call: Call) -> None:
    app, client = find(call.arguments[0]), Client()
    if not swarm.is_deployed(client, app.stack):
        raise FatalError(f"{app.name} is not deployed?")
    if not call.has("no-input"):
        raise FatalError("undeploy asks before it takes an app down; pass --no-input")
    call.say(swarm.docker("stack", "rm", app.stack))


def _move(call: Call, verb: str, direction: str, choose: Any) -> None:
    """UPG-1. The caller's version must lie in the right direction; without one it is the newest of them, or the
    nearest below."""
    app, client = find(call.arguments[0]), Client()
    recipe, asked = app.recipe, (call.arguments[1:] or [""])[0]
    recipe.require()
    now = swarm.deployment(client, app.stack)
    if not now.deployed:
        raise FatalError(f"{app.name} is not deployed?")
    if call.has("chaos"):
        if asked:
            raise FatalError("cannot use [version] and --chaos together")
        _apply(call, client, app, recipe.chaos_version(), chaos=True)
        return
    _prepare(call, recipe)
    if not now.version:
        raise FatalError(f"failed to determine the deployed version of {app.name}: it has no version label")
    offered: Sequence[str] = choose(recipe.versions(), now.version)
    if asked and asked not in offered and not call.has("force"):
        raise FatalError(f"{asked} is not {direction} than {now.version}; there is: {', '.join(offered) or 'none'}")
    version = asked or (offered[-1] if offered else "")
    if not version:
        if not call.has("force"):
            call.say(f"no {direction} version than {now.version} to {verb} to")
            return
        version = now.version
    recipe.check_out(version)
    _lint(recipe)
    _apply(call, client, app, version, chaos=False)


def _prepare(call: Call, recipe: Recipe) -> None:
    """DEPLOY step 1; with --chaos nothing is fetched and nothing is checked out."""
    if call.has("chaos"):
        return
    recipe.require_clean()
    if not call.has("offline"):
        recipe.fetch()


def _lint(recipe: Recipe) -> None:
    broken = [
        rule for rule in linting.check(recipe) if rule.severity == "error" and not (rule.satisfied or rule.skipped)
    ]
    if broken:
        rule = broken[0]
        raise FatalError(f"{rule.ref}: {rule.content} ({rule.detail}). How to fix: {rule.fix}")


def _version(call: Call, app: App, now: swarm.Deployment, asked: str) -> str:
    """ENV-4."""
    recipe = app.recipe
    if asked:
        return asked
    if call.has("chaos"):
        return recipe.chaos_version()
    if app.version and not (call.has("ignore-env-version") or call.has("deploy-latest")):
        if app.version.endswith("+U"):
            raise FatalError(f"{app.path} pins {app.version}, which was never committed: deploy it with --chaos")
        return app.version
    known = recipe.versions()
    if now.deployed and now.version in known and not call.has("deploy-latest"):
        return now.version
    return known[-1] if known else recipe.head()[:8]


def _apply(call: Call, client: Client, app: App, version: str, *, chaos: bool) -> None:
    stack = app.read(version)
    _require_secrets(call, client, app, stack)
    for line in _missing(app):
        call.warn(f"{line} missing from {app.path.name}")
    text = document(app, stack, version, chaos=chaos)
    said = swarm.docker("stack", "deploy", "--resolve-image", "always", "--compose-file", "-", app.stack,
                        stdin=text, folder=app.recipe.folder)  # fmt: skip
    for line in said.splitlines():
        if "--detach=false" not in line:  # newer docker commands speak of a flag that older ones do not have
            call.say(line)
    app.with_version(version)
    if call.has("no-converge-checks"):
        call.say(f"{app.name} deployed at {version}, not waiting for its services")
        return
    convergence.wait(client, app.stack, timeout(app, stack))
    call.say(f"{app.name} deployed at {version}")


def timeout(app: App, stack: Stack) -> float:
    """CONV-1: the recipe's label, in seconds."""
    label = stack.services["app"].labels.get(f"coop-cloud.{app.stack}.timeout", "") if "app" in stack.services else ""
    return float(label) if label.isdigit() else DEFAULT_TIMEOUT


def document(app: App, stack: Stack, version: str, *, chaos: bool) -> str:
    """The text for `docker stack deploy`, with abra's labels (CMP-7) and every variable (CMP-6) on service `app`."""
    if "app" not in stack.services:
        return stack.deployable()
    data = json.loads(json.dumps(stack.data))
    service = data["services"]["app"]
    labels = service.setdefault("deploy", {}).setdefault("labels", {})
    prefix = f"coop-cloud.{app.stack}"
    labels[f"{prefix}.recipe"] = app.recipe.name
    labels[f"{prefix}.chaos"] = "true" if chaos else "false"
    if chaos:
        labels[f"{prefix}.chaos-version"] = version
    else:
        labels[f"{prefix}.version"] = version
    environment = service.setdefault("environment", {})
    for key, value in app.variables(version).items():
        environment.setdefault(key, value)
    return Stack(**{**vars(stack), "data": data}).deployable()


def _require_secrets(call: Call, client: Client, app: App, stack: Stack) -> None:
    stored = set(app_secrets.stored(client, app.stack))
    for spec in secrets_of(stack, app.lines):
        if not spec.version:
            raise FatalError(f"missing version for secret? ({spec.name}: {spec.full_name})")
        if spec.full_name in stored:
            continue
        if spec.generate:
            raise FatalError(f"secret not generated: {spec.name}")
        raise FatalError(f"secret not inserted (#generate=false): {spec.name}")


def _missing(app: App) -> list[str]:
    sample = app.recipe.files().get(".env.sample", "")
    return [key for key in parse_env(sample, ".env.sample") if key not in app.env]
