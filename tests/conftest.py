"""What every test may rely on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _what_the_mark_promises(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("docker"):
        request.getfixturevalue("swarm")


@pytest.fixture(scope="session")
def swarm() -> Iterator[None]:
    """This machine's Docker with a swarm and the network `proxy`; what was not there before is gone afterwards."""
    state = _docker("info", "--format", "{{.Swarm.LocalNodeState}}").strip()
    if state != "active":
        _docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    networks = _docker("network", "ls", "--format", "{{.Name}}").split()
    if "proxy" not in networks:
        _docker("network", "create", "--driver", "overlay", "--attachable", "proxy")
    yield
    if "proxy" not in networks:
        _docker("network", "rm", "proxy")
    if state != "active":
        _docker("swarm", "leave", "--force")


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (
        f"docker {' '.join(words)}: {done.stderr.strip()}\nTests with the mark `docker` need it; `make test` sets it up"
    )
    return done.stdout
