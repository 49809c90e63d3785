"""`app ls`, `app ps`, `server ls`, and how tables are printed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ccci_host.docker import Client, service_name, timestamp

from . import swarm, versions
from .apps import App, every, find, servers
from .cli import Call
from .errors import FatalError
from .recipes import abra_dir

UNKNOWN = "unknown"


def apps(call: Call) -> None:
    """Statuses only with -S, because they ask the server."""
    client = Client() if call.has("status") else None
    rows: dict[str, list[dict[str, str]]] = {}
    for app in every():
        if call.options.get("server", app.server) == app.server and call.options.get("recipe") in (
            None,
            app.recipe.name,
        ):
            rows.setdefault(app.server, []).append(_row(client, app))
    if not call.has("machine"):
        call.say(table([row for server in rows.values() for row in server]))
        return
    answer = {server: {"apps": found, "appCount": len(found), **_counts(found)} for server, found in rows.items()}
    call.say(json.dumps(answer))


def services(call: Call) -> None:
    app, client = find(call.arguments[0]), Client()
    deployed = client.services(app.stack)
    if not deployed:
        raise FatalError(f"{app.name} is not deployed?")
    now = swarm.deployment(client, app.stack)
    containers = client.containers(app.stack, all=False)
    rows = {}
    for service in deployed:
        name = service_name(service, app.stack)
        own = [
            one for one in containers if one["Labels"].get("com.docker.swarm.service.name") == service["Spec"]["Name"]
        ]
        newest = max(own, key=lambda one: one["Created"], default={})
        image = service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
        rows[name] = {
            "service": name,
            "image": image.partition("@")[0],
            "created": str(int(newest.get("Created", timestamp(service["CreatedAt"])))),
            "status": str(newest.get("Status", "not running")),
            "state": str(newest.get("State", UNKNOWN)),
            "ports": ", ".join(_ports(service)),
            "version": now.version or UNKNOWN,
            "chaos": str(now.chaos).lower(),
        }
    call.say(json.dumps(rows) if call.has("machine") else table(list(rows.values())))


def add_server(call: Call) -> None:
    if not call.has("local"):
        raise FatalError("this abra only knows the local server: abra server add --local")
    (abra_dir() / "servers" / "default").mkdir(parents=True, exist_ok=True)
    call.say("local server successfully added")


def _server_row(name: str) -> dict[str, str]:
    return {"name": name, "host": "local" if name == "default" else UNKNOWN}


def list_servers(call: Call) -> None:
    rows = [_server_row(path.name) for path in servers()]
    call.say(json.dumps(rows) if call.has("machine") else table(rows))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Columns under their heads, wide enough for their values."""
    if not rows:
        return ""
    heads = list(rows[0])
    lines = [[head.upper() for head in heads], *([str(row[head]) for head in heads] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(heads))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _row(client: Client | None, app: App) -> dict[str, str]:
    row = dict.fromkeys(("status", "chaos", "chaosVersion", "version", "upgrade"), UNKNOWN)
    row |= {
        "server": app.server,
        "recipe": app.recipe.name,
        "appName": app.name,
        "domain": app.env.get("DOMAIN", app.name),
    }
    if client is None:
        return row
    now = swarm.deployment(client, app.stack)
    row["status"] = "deployed" if now.deployed else "undeployed"
    if now.deployed:
        row["chaos"] = str(now.chaos).lower()
        row["chaosVersion"] = now.chaos_version or UNKNOWN
        row["version"] = now.version or UNKNOWN
        if now.version and (app.recipe.folder / ".git").exists():
            row["upgrade"] = "\n".join(reversed(versions.newer(app.recipe.versions(), now.version))) or "latest"
    return row


def _counts(rows: Sequence[Mapping[str, str]]) -> dict[str, int]:
    versioned = [row for row in rows if row["version"] != UNKNOWN]
    return {
        "versionCount": len(versioned),
        "unversionedCount": len(rows) - len(versioned),
        "latestCount": sum(row["upgrade"] == "latest" for row in rows),
        "upgradeCount": sum(row["upgrade"] not in ("latest", UNKNOWN) for row in rows),
    }


def _ports(service: Mapping[str, Any]) -> list[str]:
    ports = service.get("Endpoint", {}).get("Ports") or []
    return [f"{port.get('PublishedPort', '')}->{port['TargetPort']}/{port['Protocol']}" for port in ports]
