"""Restic snapshots that a run made through the node's backup service, and how to take them away again."""

from __future__ import annotations

import json
from typing import Any

from . import processes
from .answer import cut
from .docker import Client, timestamp
from .docker_errors import DockerError

BACKUPBOT_LABEL = "coop-cloud.backupbot.enabled=true"
LOCKED = "already locked"  # restic's words
FORGET_LIMIT = 30.0  # seconds; restic needs less than one here, but a remote repository may be slow
LIST_LIMIT = 30.0


class NotNow(OSError):  # noqa: N818 - says what happened
    """The backup service cannot answer at the moment: it does not run, or somebody else holds its repository."""


def forget(client: Client, stack: str) -> list[str]:
    """Asks the backup service to forget a stack's snapshots. Returns the ids that verifiably remain.

    What the service is still doing for the stack is ended first: a backup that goes on although whoever asked for it is
    dead would leave a snapshot behind us. NotNow when the service does not run, as after a restart of Docker, or when
    another command (of a second cleaning) holds the repository. A node without a backup service has none. A service
    that has not got the verb, or does not answer, leaves its snapshots to itself: DockerError, or OSError with its
    words.
    """
    container = _backupbot(client)
    if container is None:
        return []
    # From its leaves: restic takes its lock along when it is interrupted, and leaves it behind when it is killed.
    processes.interrupt(_at_work(container, stack))
    done = client.exec(container, ["/usr/bin/backup", "forget"], env={"SERVICE": stack}, limit=FORGET_LIMIT)
    if done.rc == 0:
        return []
    said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
    words = cut(said, 300)
    left = _remaining(client, container, stack)
    if left:
        return left
    if LOCKED in said:  # then restic's own list, read while somebody changes it, proves nothing
        raise NotNow(f"the repository is held by another command: {words}")
    raise OSError(f"`/usr/bin/backup forget` returned {done.rc} for {stack}: {words or 'no word'}")


def _at_work(container: str, stack: str) -> list[int]:
    """What the service does for the stack, but for forgetting: two cleanings at once must not end each other's."""
    busy = [pid for pid in processes.inside(container) if processes.variable(pid, "SERVICE") == stack]
    forgetting = [pid for pid in busy if "forget" in processes.words(pid)]
    return [pid for pid in busy if not processes.is_below(pid, forgetting)]


def of_stack(client: Client, container: str, stack: str) -> list[dict[str, Any]]:
    """Its snapshots {id, time}, oldest first, from restic itself. DockerError, or ValueError with restic's words."""
    done = client.exec(container, ["restic", "snapshots", "--no-lock", "--json", "--tag", stack], limit=LIST_LIMIT)
    if done.rc != 0:
        said = cut((done.stderr or done.stdout).decode("utf-8", "replace").strip(), 300)
        raise ValueError(f"`restic snapshots` returned {done.rc}: {said or 'no word'}")
    try:
        found = [{"id": one.get("short_id") or one["id"], "time": one["time"]} for one in json.loads(done.stdout) or []]
        return sorted(found, key=lambda one: timestamp(one["time"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the answer of `restic snapshots` cannot be read: {error!r}") from error


def _remaining(client: Client, container: str, stack: str) -> list[str]:
    """Empty when restic cannot tell: then nothing is proven."""
    try:
        return [str(one["id"]) for one in of_stack(client, container, stack)]
    except (DockerError, ValueError):
        return []


def _backupbot(client: Client) -> str | None:
    services = client.get("/services", filters={"label": [BACKUPBOT_LABEL]}) or []
    names = [f"com.docker.swarm.service.id={service['ID']}" for service in services]
    for name in names:
        found = client.get("/containers/json", filters={"label": [name], "status": ["running"]})
        if found:
            return str(found[0]["Id"])
    if names:
        raise NotNow("the backup service does not run")
    return None
