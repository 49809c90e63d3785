"""What the swarm knows of an app."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ccci_host.docker import Client, service_name

from .errors import FatalError

COMMAND_LIMIT = 120.0  # seconds for one docker command; it only talks to the daemon, and asks registries for digests


@dataclass(frozen=True)
class Deployment:
    """Read from the labels of service `app` (CMP-7). `version` is "" where no label says one."""

    deployed: bool
    recipe: str = ""
    version: str = ""
    chaos: bool = False
    chaos_version: str = ""


def is_deployed(client: Client, stack: str) -> bool:
    return bool(client.services(stack))


def deployment(client: Client, stack: str) -> Deployment:
    services = client.services(stack)
    labels = next((one["Spec"].get("Labels") or {} for one in services if service_name(one, stack) == "app"), {})
    return of_labels(labels, stack, bool(services))


def of_labels(labels: Mapping[str, str], stack: str, deployed: bool = True) -> Deployment:
    def label(name: str) -> str:
        return labels.get(f"coop-cloud.{stack}.{name}", "")

    return Deployment(deployed, label("recipe"), label("version"), label("chaos") == "true", label("chaos-version"))


def require_manager(client: Client) -> None:
    info: dict[str, Any] = client.info()
    if not info.get("Swarm", {}).get("ControlAvailable"):
        raise FatalError("swarm mode not enabled on this node: docker swarm init")


def docker(*arguments: str, stdin: str = "", folder: Path | None = None) -> str:
    """Runs the docker command; its output. FatalError with docker's own words."""
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME") or key.startswith("DOCKER_")}
    try:
        done = subprocess.run(["docker", *arguments], input=stdin.encode(), capture_output=True, cwd=folder, env=kept,
                              timeout=COMMAND_LIMIT, check=False)  # fmt: skip
    except FileNotFoundError as error:
        raise FatalError("there is no docker command on this machine") from error
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"").decode("utf-8", "replace").strip()[-300:]
        raise FatalError(
            f"docker {arguments[0]} {arguments[1]} did not end within {COMMAND_LIMIT:.0f} s: {said}"
        ) from error
    said = (done.stdout + done.stderr).decode("utf-8", "replace").strip()
    if done.returncode:
        raise FatalError(f"docker {arguments[0]} {arguments[1]}: {said[-1000:] or f'return code {done.returncode}'}")
    return said
