"""The role nested_node alone: a node in a container is started, found, and started again after it was stopped."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import (
    BUILD_LIMIT,
    PROJECT,
    START_LIMIT,
    Machine,
    bootstrap,
    run,
    through_docker,
    wait_until,
    write_inventory,
)

from ccci import paths

pytestmark = pytest.mark.nested


@pytest.fixture
def node() -> Iterator[Machine]:
    """One that does not exist yet, with a network of its own; removed as its README says."""
    found = Machine(f"ccci-test-nested-{secrets.token_hex(3)}", "10.213.214.2")
    yield found
    for words in (["rm", "--force", "--volumes"], ["volume", "rm", "--force"], ["network", "rm"]):
        run(["docker", *words, found.name], START_LIMIT, check=False)


def start(node: Machine, inventory: Path) -> str:
    """`changed` or `ok`, as Ansible's one-line output has it per task; asserts that the role ended well."""
    variables = {
        "nested_node_embedded_dir": str(PROJECT / "embedded"),
        "nested_node_cache_dir": str(paths.cache_dir()),
        "nested_node_network": node.name,
        "nested_node_subnet": "10.213.214.0/24",
        "nested_node_address": node.address,
    }
    ansible = str(Path(sys.executable).parent / "ansible")
    words = [node.name, "-i", str(inventory), "-m", "ansible.builtin.include_role", "-a", "name=nested_node"]
    return run([ansible, *words, "-e", json.dumps(variables)], BUILD_LIMIT).stdout


def test_a_node_is_started_once_and_again_when_it_stopped(node: Machine, tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, node, through_docker(node))
    assert "| CHANGED" in start(node, inventory)
    node.sh("docker swarm init --advertise-addr 127.0.0.1")
    assert "| CHANGED" not in start(node, inventory)

    run(["docker", "stop", "--time", "2", node.name], START_LIMIT)
    assert "| CHANGED" in start(node, inventory)
    wait_until(node, "docker node ls")  # its Docker data are in a volume: the swarm is still there


def test_check_mode_ends_where_the_node_would_be_started(node: Machine, tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, node, through_docker(node), group="ccci_nested_nodes")
    done = bootstrap(inventory, "--check")
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"Would start the container {node.name}" in done.stdout
    assert run(["docker", "inspect", node.name], START_LIMIT, check=False).returncode != 0


@pytest.fixture
def left_behind() -> Iterator[str]:
    """A device with the node's network, as a Docker whose data were thrown away leaves its bridges."""
    name = f"ccci{secrets.token_hex(3)}"
    run(["ip", "link", "add", name, "type", "bridge"], START_LIMIT)
    run(["ip", "address", "add", "10.213.214.1/24", "dev", name], START_LIMIT)
    run(["ip", "link", "set", name, "up"], START_LIMIT)
    yield name
    run(["ip", "link", "delete", name], START_LIMIT)


def test_a_bridge_that_was_left_behind_is_named(node: Machine, tmp_path: Path, left_behind: str) -> None:
    inventory = write_inventory(tmp_path, node, through_docker(node))
    with pytest.raises(AssertionError) as refused:
        start(node, inventory)
    assert "more than one route" in str(refused.value)
    assert f"dev {left_behind}" in str(refused.value)
