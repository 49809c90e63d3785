"""What is full when a program says so: the node's disk, a mount of the app's, or nothing that can be seen."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ccci_host import full_disk, kernel
from ccci_host.docker_errors import DockerError
from ccci_host.full_disk import Room, blame, look
from ccci_host.snapshot import MIB

STACK = "a_ci_test"
SAID = "pg_dump: error: could not write to output file: No space left on device"
NODE = {"path": "/var/lib/docker", "free": 9_000 * MIB, "size": 40_000 * MIB, "files_free": 1_000}


class Node:
    """One container, `db`, with a volume, a tmpfs, what is mounted read-only and a file of the node."""

    broken = ""

    def info(self) -> dict[str, Any]:
        return {"DockerRootDir": "/var/lib/docker"}

    def containers(self, stack: str, all: bool) -> list[dict[str, Any]]:
        if self.broken == "list":
            raise DockerError(500, "no")
        return [{"Id": "c1", "Labels": {"com.docker.swarm.service.name": f"{stack}_db"}}]

    def get(self, path: str) -> dict[str, Any]:
        if self.broken == "container":
            raise DockerError(404, "no such container")
        mounts = [("volume", "/data", True), ("tmpfs", "/cache", True), ("volume", "/ro", False), ("bind", "/b", True)]
        return {
            "State": {"Pid": 7},
            "Mounts": [{"Type": kind, "Destination": path, "RW": writable} for kind, path, writable in mounts],
        }


def looked(monkeypatch: pytest.MonkeyPatch, sizes: dict[str, tuple[int, int]], broken: str = "") -> Room | None:
    """`sizes` {path in the container: (MiB free, MiB)}; every other path is on the node's disk."""

    def disk(folder: str) -> dict[str, Any]:
        free, size = sizes.get(folder.removeprefix("/proc/7/root"), (NODE["free"] // MIB, NODE["size"] // MIB))
        return {**NODE, "path": folder, "free": free * MIB, "size": size * MIB}

    monkeypatch.setattr(kernel, "disk", disk)
    client: Any = Node()
    client.broken = broken
    return look(client, STACK, SAID)


def test_other_words_ask_nothing() -> None:
    client: Any = None
    assert look(client, STACK, "connection refused") is None


@pytest.mark.parametrize("path", ["/data", "/cache", "/dev/shm"])
def test_a_full_mount_of_the_apps_is_the_recipes_fault(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    room = looked(monkeypatch, {path: (0, 16)})
    assert room is not None
    assert room.full == (f"{path} has 0 MiB of 16 MiB free in db",)
    found = blame(room)
    assert (found.outcome, found.proven, found.hint) == ("fail", True, full_disk.OWN_HINT)
    assert "/var/lib/docker has 9000 MiB of 40000 MiB free" in found.told


@pytest.mark.parametrize("full", ["/var/lib/docker", "/"])
def test_a_full_node_is_the_nodes_fault_whatever_else_is_full(full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    room = looked(monkeypatch, {full: (5, 30_000), "/data": (0, 16)})
    assert room is not None
    assert (blame(room).outcome, blame(room).proven) == ("error", True)


@pytest.mark.parametrize(
    "sizes", [{}, {"/data": (9, 16)}, {"/data": (200, 90_000)}, {"/ro": (0, 16)}, {"/b": (0, 16)}]
)  # fmt: skip
def test_without_anything_full_its_words_stand_alone(
    sizes: dict[str, tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = looked(monkeypatch, sizes)
    assert room is not None
    found = blame(room)
    assert (found.outcome, found.proven) == ("fail", False)
    assert found.told.startswith("it says itself that no space is left; on the node /var/lib/docker has 9000 MiB")


@pytest.mark.parametrize("broken", ["list", "container"])
def test_what_cannot_be_asked_is_no_evidence(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    room = looked(monkeypatch, {"/data": (0, 16)}, broken)
    assert room is not None
    assert not blame(room).proven
    assert (room.node is None) is (broken == "list")


def test_a_real_container_folder_is_measured_through_its_process() -> None:
    found = full_disk._inside({"State": {"Pid": os.getpid()}, "Mounts": []})
    assert [disk.path for disk in found][:1] == ["/"]
    assert found[0].size > 0
