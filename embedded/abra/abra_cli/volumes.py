"""`app volume …`: volumes are kept by undeploy, and removed only here or by `app remove`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from ccci_host.docker import Client, DockerError

from . import swarm
from .apps import find
from .cli import Call
from .errors import FatalError
from .listings import table

REMOVAL_LIMIT = 30.0  # seconds that containers of an app just undeployed may take to let go of a volume


def listing(call: Call) -> None:
    app, client = find(call.arguments[0]), Client()
    rows = [{"name": name, "on server": "true"} for name in names(client, app.stack)]
    call.say(json.dumps(rows) if call.has("machine") else table(rows))


def remove(call: Call) -> None:
    app, client = find(call.arguments[0]), Client()
    if swarm.is_deployed(client, app.stack):
        raise FatalError(f"{app.name} is still deployed: run abra app undeploy {app.name} first")
    if not (call.has("no-input") or call.has("force")):
        raise FatalError("volume remove asks before it deletes; pass --force")
    chosen = there = names(client, app.stack)
    if len(call.arguments) > 1:
        wanted = call.arguments[1]
        chosen = [name for name in there if name in (wanted, f"{app.stack}_{wanted}")]
        if not chosen:
            raise FatalError(f"{app.name} has no volume {wanted}; it has: {', '.join(there) or 'none'}")
    if not chosen:
        call.warn("no volumes to remove")
    delete(call, client, app.stack, chosen)


def names(client: Client, stack: str) -> list[str]:
    found = client.get("/volumes", filters={"label": [f"com.docker.stack.namespace={stack}"]})
    return sorted(one["Name"] for one in (found or {}).get("Volumes") or [])


def delete(call: Call, client: Client, stack: str, chosen: Sequence[str]) -> None:
    deadline = time.monotonic() + REMOVAL_LIMIT
    for name in chosen:
        while True:
            try:
                client.delete(f"/volumes/{name}")
                break
            except DockerError as error:
                if error.status != 409 or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
        call.say(f"volume {name} removed")
