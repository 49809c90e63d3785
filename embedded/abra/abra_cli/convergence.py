"""The wait after a deploy: until every service runs what was asked for (CONV-1..4)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ccci_host.docker import Client, service_name

from .errors import FatalError

PERIOD = 0.5  # seconds between two looks
_FAILED = ("paused", "rollback_started", "rollback_paused", "rollback_completed")


def wait(client: Client, stack: str, limit: float) -> None:
    """`limit` in seconds. FatalError says which services are missing; what was deployed stays."""
    deadline = time.monotonic() + limit
    quiet = 0
    while quiet < 2:  # an update is announced a moment after the new spec was taken
        services = client.services(stack)
        pending = look(services, client.tasks(stack), stack)
        failed = [text for state, text in pending if state == "failed"]
        if failed:
            raise FatalError(f"deploy failed: {'; '.join(failed)}")
        quiet = 0 if pending else quiet + 1
        if time.monotonic() > deadline:
            missing = "; ".join(text for _, text in pending) or "nothing, but not for long enough"
            raise FatalError(f"deploy timed out after {limit:.0f} s: {missing}")
        time.sleep(PERIOD)


def look(
    services: Sequence[Mapping[str, Any]], tasks: Sequence[Mapping[str, Any]], stack: str
) -> list[tuple[str, str]]:
    """What is still missing: (`pending` or `failed`, words). A task runs, for swarm, once its healthcheck passed."""
    missing = []
    for service in services:
        name = service_name(service, stack)
        update = service.get("UpdateStatus") or {}
        state = update.get("State", "")
        wanted = service.get("ServiceStatus", {}).get("DesiredTasks", 0)
        running = sum(1 for task in tasks if task["ServiceID"] == service["ID"] and _is_current(task, service))
        if state in _FAILED:
            missing.append(("failed", f"{name}: {state}: {update.get('Message', '')}"))
        elif state == "updating" or running < wanted:
            missing.append(("pending", f"{name} {running}/{wanted}{_reason(service, tasks)}"))
    return missing


def _is_current(task: Mapping[str, Any], service: Mapping[str, Any]) -> bool:
    spec = service["Spec"]["TaskTemplate"]
    return bool(
        task["Status"]["State"] == "running"
        and task["DesiredState"] == "running"
        and task["Spec"].get("ContainerSpec") == spec.get("ContainerSpec")
        and task["Spec"].get("ForceUpdate", 0) == spec.get("ForceUpdate", 0)
    )


def _reason(service: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> str:
    own = [task for task in tasks if task["ServiceID"] == service["ID"]]
    if not own:
        return ""
    status = max(own, key=lambda task: str(task["CreatedAt"]))["Status"]
    return f" ({status['State']}{': ' + status['Err'] if status.get('Err') else ''})"
