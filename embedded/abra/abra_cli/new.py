"""`app new` and `app remove`."""

from __future__ import annotations

import re

from ccci_host.compose import check_raw, parse_env_sample
from ccci_host.docker import Client

from . import app_secrets, swarm, volumes
from .apps import LONGEST_STACK, App, find, servers, write
from .cli import Call
from .errors import FatalError
from .recipes import Recipe, abra_dir


def new(call: Call) -> None:
    domain, server = call.options.get("domain", ""), _server(call)
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", domain):
        raise FatalError(f"app new needs --domain with a host name, not {domain!r}")
    if len(domain) > LONGEST_STACK:
        raise FatalError(f"{domain} is too long: stack names have at most {LONGEST_STACK} characters")
    recipe, version = Recipe(call.arguments[0].partition(":")[0]), (call.arguments[1:] or [""])[0]
    if version and call.has("chaos"):
        raise FatalError("cannot use [version] and --chaos together")
    recipe.require()
    version = ensure(call, recipe, version)
    sample = recipe.file(".env.sample")
    if sample is None:
        raise FatalError(f"unable to validate recipe: {recipe.name} has no .env.sample")
    parse_env_sample(sample)
    check_raw({name: text for name, text in recipe.files().items() if name.endswith((".yml", ".yaml"))})
    path = abra_dir() / "servers" / server / f"{domain}.env"
    if path.exists():
        raise FatalError(f"{path} already exists")
    text = sample.replace(f"{recipe.name}.example.com", domain)
    app = App(domain, server, path, text)
    write(path, text)
    app = app.with_version(version)
    call.say(f"{domain} created on {server} ({recipe.name} {version})")
    if call.has("secrets"):
        app_secrets.print_values(call, app_secrets.make(call, app, None))


def ensure(call: Call, recipe: Recipe, version: str) -> str:
    """Checks the wanted version out, or the newest; with --chaos everything stays as it is. The version's name."""
    if call.has("chaos"):
        return recipe.chaos_version()
    recipe.require_clean()
    if not call.has("offline"):
        recipe.fetch()
    if not version:
        known = recipe.versions()
        version = known[-1] if known else recipe.head()[:8]
    recipe.check_out(version)
    return version


def remove(call: Call) -> None:
    app, client = find(call.arguments[0]), Client()
    if swarm.is_deployed(client, app.stack):
        raise FatalError(f"{app.name} is still deployed: run abra app undeploy {app.name} first")
    if not (call.has("no-input") or call.has("force")):
        raise FatalError("app remove asks before it deletes; pass --no-input or --force")
    for name in app_secrets.stored(client, app.stack):
        client.delete(f"/secrets/{name}")
        call.say(f"secret {name} removed")
    volumes.delete(call, client, app.stack, volumes.names(client, app.stack))
    app.path.unlink()
    call.say(f"{app.path} removed")


def _server(call: Call) -> str:
    known = [path.name for path in servers()]
    name = call.options.get("server", "") or (known[0] if len(known) == 1 else "")
    if name not in known:
        raise FatalError(
            f"unknown server {name!r}, there is: {', '.join(known) or 'none'}; see abra server add --local"
        )
    return name
