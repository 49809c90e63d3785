"""What the contract suite asks Docker, how it cleans up, and how it reports on what is only remembered."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

from ccci_host.docker import STACK_LABEL, Client

PROBES: list[tuple[str, str, str]] = []  # rule, question, answer


def docker(*arguments: str, check: bool = True, limit: float = 60) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=limit, check=False)
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def inspect(kind: str, name: str) -> dict[str, Any]:
    """The API object; empty when there is none."""
    found = json.loads(docker(kind, "inspect", name, check=False) or "[]")
    return dict(found[0]) if found else {}


def names(kind: str, prefix: str) -> list[str]:
    """Every object of a kind whose name begins like this. (Docker's own name filters mean another thing per kind.)"""
    field = "{{.Names}}" if kind == "container" else "{{.Name}}"
    everything = ["--all"] if kind == "container" else []
    listed = docker(kind, "ls", *everything, "--format", field).split()
    return sorted(name for name in listed if name.startswith(prefix))


class Swarm:
    """What the tests ask Docker; the truth beside abra's own words."""

    inspect = staticmethod(inspect)
    names = staticmethod(names)
    docker = staticmethod(docker)

    def labels(self, stack: str, service: str = "app") -> dict[str, str]:
        return dict(inspect("service", f"{stack}_{service}").get("Spec", {}).get("Labels") or {})

    def environment(self, stack: str, service: str = "app") -> dict[str, str]:
        spec = inspect("service", f"{stack}_{service}")["Spec"]["TaskTemplate"]["ContainerSpec"]
        return dict(line.split("=", 1) for line in spec.get("Env", []))

    def gone(self, kind: str, prefix: str, limit: float = 30) -> bool:
        """Whether there is nothing of that name (any more), within `limit` seconds."""
        deadline = time.monotonic() + limit
        while names(kind, prefix):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.3)
        return True


def tasks_of(prefix: str) -> list[str]:
    """Tasks of stacks whose name begins like this; they are there until their containers are."""
    labels = {task["ID"]: task["Spec"]["ContainerSpec"].get("Labels") or {} for task in Client().get("/tasks") or []}
    return [identity for identity, own in labels.items() if own.get(STACK_LABEL, "").startswith(prefix)]


def remove_all(prefix: str) -> None:
    """Everything whose name begins like this, by plain docker commands, in the order that works."""
    for name in names("service", prefix):
        docker("service", "rm", name, check=False)
    # Networks and volumes go only after the tasks that use them.
    deadline = time.monotonic() + 30
    while tasks_of(prefix) and time.monotonic() < deadline:
        time.sleep(0.2)
    Swarm().gone("container", prefix)
    for kind in ("config", "secret", "network", "volume"):
        deadline = time.monotonic() + 30
        while found := names(kind, prefix):
            for name in found:
                docker(kind, "rm", name, check=False)
            if time.monotonic() > deadline:
                break
            time.sleep(0.2)


def stack_of(domain: str) -> str:
    """CMP-1, for tests that are about something else."""
    return domain.replace(".", "_")


class Probe:
    """A question about what is only remembered of abra. It reports, and never fails."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record

    @contextlib.contextmanager
    def __call__(self, rule: str, question: str) -> Iterator[None]:
        """The block asserts what is remembered."""
        answer = "holds"
        try:
            yield
        except Exception as error:  # whatever goes wrong in a probe is its answer
            answer = f"differs: {(str(error) or type(error).__name__).strip().splitlines()[0][:160]}"
        self._record(f"probe {rule}", f"{question}: {answer}")
        PROBES.append((rule, question, answer))
