"""What playbooks/bootstrap.yml refuses before it changes anything, each with its reason and the way out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import Machine, bootstrap, machine, over_ssh, through_docker, wait_until, write_inventory

pytestmark = pytest.mark.nested


@pytest.fixture(scope="module")
def bare() -> Iterator[Machine]:
    with machine("bare") as found:
        yield found


@pytest.fixture
def inventory(bare: Machine, tmp_path: Path) -> Path:
    return write_inventory(tmp_path, bare, through_docker(bare))


def refusal(inventory: Path, *options: str) -> str:
    """The message on one line, as Ansible wraps it."""
    done = bootstrap(inventory, *options)
    assert done.returncode != 0, done.stdout
    assert "changed=0" in done.stdout, done.stdout
    return " ".join(done.stdout.split())


def test_a_taken_port(bare: Machine, inventory: Path) -> None:
    bare.sh("python3 -m http.server 443 >/dev/null 2>&1 & echo $! >/run/squatter")
    wait_until(bare, "grep -q :01BB /proc/net/tcp /proc/net/tcp6")
    try:
        said = refusal(inventory)
    finally:
        bare.sh("kill $(cat /run/squatter)")
    assert f"Port 443 on {bare.name} is held by process" in said
    assert "(python3)" in said
    assert "-i nested" in said


def test_too_little_disk(inventory: Path) -> None:
    said = refusal(inventory, "-e", '{"host_setup_min_disk_gib": 1000000}')
    assert "expected at least 1000000 GiB" in said
    assert "docker system df" in said


def test_too_little_memory(inventory: Path) -> None:
    said = refusal(inventory, "-e", '{"host_setup_min_memory_mib": 100000000}')
    assert "expected at least 100000000 MiB" in said


def test_another_distribution(bare: Machine, inventory: Path) -> None:
    bare.sh("cp /etc/os-release /run/os-release && sed -i 's/^ID=.*/ID=elsewhere/' /etc/os-release")
    try:
        said = refusal(inventory)
    finally:
        bare.sh("cp /run/os-release /etc/os-release")
    assert "expected Debian 12 or 13" in said


def test_not_root(bare: Machine, tmp_path: Path) -> None:
    bare.sh("useradd --create-home somebody && usermod -p '*' somebody")
    inventory = write_inventory(tmp_path, bare, over_ssh(bare, tmp_path, "somebody"))
    said = refusal(inventory)
    assert "needs root; this is user id 1000" in said
    assert "ansible_become: true" in said


def test_a_swarm_of_several_nodes(tmp_path: Path) -> None:
    with machine("node") as manager, machine("node") as worker:
        for member in (manager, worker):
            wait_until(member, "docker version >/dev/null 2>&1")
        manager.sh(f"docker swarm init --advertise-addr {manager.address}")
        token = manager.sh("docker swarm join-token -q worker").strip()
        worker.sh(f"docker swarm join --advertise-addr {worker.address} --token {token} {manager.address}:2377")
        said = refusal(write_inventory(tmp_path / "manager", manager, through_docker(manager)))
        assert "a manager, 2 node(s) seen" in said
        assert "docker swarm leave" in said
        said = refusal(write_inventory(tmp_path / "worker", worker, through_docker(worker)))
        assert "no manager" in said
        assert "-i nested" in said
