"""Which nodes an inventory has, and how each is reached: read without Ansible where that is possible."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ccci import yaml_file
from ccci.errors import InfrastructureError, UsageError
from ccci.source.versions import nearest

GROUP = "ccci_nodes"
LIST_LIMIT = 60.0  # seconds
_INDEXED = re.compile(rf"{GROUP}(?:\[(\d+)\])?")


@dataclass(frozen=True)
class Node:
    """`connection` as Ansible calls it; `address` is what it connects to (a host, or a container's name)."""

    name: str
    connection: str = "ssh"
    address: str = ""

    @property
    def local(self) -> bool:
        """This machine itself."""
        return self.connection == "local"

    @property
    def container(self) -> str | None:
        """The container of this machine's Docker that the node is."""
        return self.address if self.connection.rpartition(".")[2] == "docker" else None


def nodes(inventory: Path) -> list[Node]:
    """The hosts of ccci_nodes, in the inventory's order. Plain YAML is read here; for all else Ansible is asked."""
    files = _files(inventory)
    if all(path.suffix in (".yml", ".yaml") for path in files):
        groups = [yaml_file.read(path).data for path in files]
        found = [node for data in groups if isinstance(data, dict) for node in _in_groups(data, {}, False)]
    else:
        found = _ask_ansible(inventory)
    return list({node.name: node for node in found}.values())


def chosen(inventory: Path, pattern: str) -> Node:
    """The node that a run's host pattern means. UsageError, with the real names, when there is none."""
    known = nodes(inventory)
    match = _INDEXED.fullmatch(pattern)
    index = int(match[1] or 0) if match else None
    if index is not None and index < len(known):
        return known[index]
    for node in known:
        if node.name == pattern:
            return node
    names = [node.name for node in known]
    raise UsageError(
        f"The inventory {inventory} has no node {pattern!r}",
        expected=", ".join(nearest(pattern, names) or names) or f"hosts in the group {GROUP}",
    )


def _files(inventory: Path) -> list[Path]:
    if not inventory.is_dir():
        return [inventory]
    return [path for path in sorted(inventory.iterdir()) if path.is_file() and not path.name.startswith(".")]


def _in_groups(groups: Mapping[str, Any], inherited: Mapping[str, Any], inside: bool) -> Iterator[Node]:
    for name, group in groups.items():
        if not isinstance(group, dict):
            continue
        variables = {**inherited, **(group.get("vars") or {})}
        here = inside or name == GROUP
        if here:
            for host, own in (group.get("hosts") or {}).items():
                yield _node(str(host), {**variables, **(own or {})})
        yield from _in_groups(group.get("children") or {}, variables, here)


def _ask_ansible(inventory: Path) -> list[Node]:
    program = Path(sys.executable).parent / "ansible-inventory"
    command = [str(program), "-i", str(inventory), "--list"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIST_LIMIT, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(f"ansible-inventory did not end within {LIST_LIMIT:.0f} s") from error
    try:
        data = json.loads(done.stdout)
    except ValueError:
        raise UsageError(
            f"Ansible cannot read the inventory {inventory}", observed=done.stderr.strip()[-500:]
        ) from None
    variables = data.get("_meta", {}).get("hostvars", {})
    return [_node(host, variables.get(host, {})) for host in _members(data, GROUP)]


def _node(name: str, variables: Mapping[str, Any]) -> Node:
    return Node(name, str(variables.get("ansible_connection", "ssh")), str(variables.get("ansible_host", name)))


def _members(data: Mapping[str, Any], group: str) -> Iterator[str]:
    entry = data.get(group) or {}
    yield from entry.get("hosts", [])
    for child in entry.get("children", []):
        yield from _members(data, child)
