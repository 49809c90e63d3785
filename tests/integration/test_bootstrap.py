"""playbooks/bootstrap.yml on a bare Debian over SSH: what it makes of it, and that it does so once."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import Machine, bootstrap, machine, over_ssh, wait_until, write_inventory
from playing import Player

from ccci import paths

pytestmark = pytest.mark.nested


@pytest.fixture(scope="module")
def bare() -> Iterator[Machine]:
    with machine("bare") as found:
        yield found


@pytest.fixture(scope="module")
def inventory(bare: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bare")
    return write_inventory(folder, bare, over_ssh(bare, folder))


@pytest.fixture(scope="module")
def checked(bare: Machine, inventory: Path) -> subprocess.CompletedProcess[str]:
    """Check mode first, while nothing is there yet."""
    done = bootstrap(inventory, "--check")
    assert bare.sh("command -v dockerd || echo none").strip() == "none", "check mode installed Docker"
    return done


@pytest.fixture(scope="module")
def made(checked: object, inventory: Path) -> subprocess.CompletedProcess[str]:
    return bootstrap(inventory)


@pytest.fixture(scope="module")
def again(made: object, inventory: Path) -> subprocess.CompletedProcess[str]:
    return bootstrap(inventory)


def recap(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    last = done.stdout[done.stdout.rindex("PLAY RECAP") :]
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", last)}


def test_check_mode_says_what_it_would_do_and_does_nothing(checked: subprocess.CompletedProcess[str]) -> None:
    assert checked.returncode == 0, checked.stdout[-3000:] + checked.stderr[-3000:]
    assert "docker.io" in checked.stdout


def test_a_bare_machine_becomes_a_node(made: subprocess.CompletedProcess[str], bare: Machine) -> None:
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
    services = bare.sh("docker service ls --format '{{.Name}} {{.Replicas}}'").split("\n")
    assert {"ccci-ingress_app 1/1", "ccci-backupbot_app 1/1"} <= set(services)
    assert "overlay true" in bare.sh("docker network inspect proxy --format '{{.Driver}} {{.Attachable}}'")
    assert bare.sh("abra --version").startswith("abra version ")
    assert bare.sh("test -s /etc/timezone && test -e /etc/localtime && echo both").strip() == "both"


def test_images_come_from_the_cache(made: subprocess.CompletedProcess[str], bare: Machine) -> None:
    """On any machine that ran the other tests; on a fresh one the first node has to build them."""
    assert made.returncode == 0, made.stdout[-3000:]
    archives = list((paths.cache_dir() / "images").glob("nginx-1.22.1-*.tar.zst"))
    assert archives, "the first bootstrap leaves archives in the cache"
    assert "load | Load nginx:1.22.1" in made.stdout or "round | Build the image" in made.stdout
    image = "127.0.0.1:5000/ccci/nginx:1.22.1"
    bare.sh(f"docker image rm --force {image} && docker pull --quiet {image}")


def test_the_ingress_answers_with_the_certificate_that_the_controller_knows(
    made: subprocess.CompletedProcess[str], bare: Machine
) -> None:
    facts = paths.node_facts_dir(bare.name)
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=\n", (facts / "leaf-spki").read_text())
    context = ssl.create_default_context(cafile=str(facts / "ca.crt"))
    with (
        socket.create_connection((bare.address, 443), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="some-app.ci.test") as secured,  # judges chain and name
    ):
        secured.sendall(b"GET / HTTP/1.1\r\nHost: some-app.ci.test\r\nConnection: close\r\n\r\n")
        assert secured.recv(1024).startswith(b"HTTP/1.1 404")


def test_the_registry_listens_on_loopback_only(made: object, bare: Machine) -> None:
    found = json.loads(bare.sh("docker inspect ccci-registry --format '{{json .HostConfig.PortBindings}}'"))
    assert found == {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5000"}]}


def test_the_second_run_changes_nothing(again: subprocess.CompletedProcess[str]) -> None:
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr[-3000:]
    changed = [line for line in again.stdout.splitlines() if line.startswith("changed:")]
    assert recap(again)["changed"] == 0, "\n".join(changed)


def test_check_mode_on_a_node_changes_nothing(again: object, inventory: Path) -> None:
    done = bootstrap(inventory, "--check")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert recap(done)["changed"] == 0


def test_a_killed_engine_is_started_again_with_everything_on_it(again: object, inventory: Path, bare: Machine) -> None:
    bare.sh("kill -9 $(cat /var/run/docker.pid)")
    wait_until(bare, "! docker version >/dev/null 2>&1")
    done = bootstrap(inventory)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    wait_until(bare, "docker service ls --format '{{.Name}} {{.Replicas}}' | grep -qx 'ccci-backupbot_app 1/1'")


def test_an_ingress_of_somebody_else_is_verified(again: object, inventory: Path) -> None:
    """The Traefik that is there, seen as one that ccci does not manage."""
    done = bootstrap(inventory, "-e", "ingress_mode=existing")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "existing | Assert that an ingress is there" in done.stdout
    assert recap(done)["changed"] == 0


def test_a_recipe_is_played_over_ssh(again: object, inventory: Path, bare: Machine, runs: Path) -> None:
    """The same command as everywhere, with -i. Whether the node is set up, the command line finds out itself."""
    played = Player(str(inventory), runs).play("custom-html")
    assert played.code == 0, played.err[-4000:]
    assert played.json["verdict"] == "pass"
    assert not bare.sh("docker stack ls --format '{{.Name}}' | grep -v ^ccci- || true").strip()
