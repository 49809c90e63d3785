"""What services use: where their cgroups are, what lies in a folder, and that nothing that is gone stops the look."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from ccci_host import resources
from ccci_host.answer import Answer
from ccci_host.docker import DockerError

STACK = "demo_ci_test"
ID = "ab" * 32
UNIFIED = "31 24 0:27 / {point} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
MEMORY = "33 32 0:30 {root} {point} rw,nosuid - cgroup cgroup rw,memory"
V1, V1_INSIDE = (MEMORY.format(root=root, point="/sys/fs/cgroup/memory") for root in ("/", "/docker/0a"))
V2, V2_BESIDE = (UNIFIED.format(point=point) for point in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"))
CPU = "34 32 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"


@pytest.mark.parametrize(
    ("mountinfo", "membership", "folders"),
    [
        # Version 2, both drivers.
        (V2, f"0::/system.slice/docker-{ID}.scope", [f"system.slice/docker-{ID}.scope"]),
        (V2, f"0::/docker/{ID}", [f"docker/{ID}"]),
        # A node in a container that has the whole hierarchy of its host.
        (V2, f"0::/docker/0a/docker/{ID}", [f"docker/0a/docker/{ID}"]),
        # Version 1: the line of the memory controller, not that of another one.
        (
            CPU + "\n" + V1,
            f"4:cpu:/other\n3:memory:/docker/{ID}\n0::/",
            [f"memory/docker/{ID}"],
        ),
        # A node in a container that sees only its own part of the hierarchy, without a namespace of its own.
        (V1_INSIDE, f"3:memory:/docker/0a/docker/{ID}", [f"memory/docker/{ID}"]),
        # Both versions: the files say which one has the controller.
        (
            V1 + "\n" + V2_BESIDE,
            f"0::/docker/{ID}\n3:memory:/docker/{ID}",
            [f"unified/docker/{ID}", f"memory/docker/{ID}"],
        ),
        # Outside of our namespace, or nothing that we know.
        (V2, f"0::/../../docker/{ID}", []),
        (V2, "rubbish", []),
        ("", f"0::/docker/{ID}", []),
    ],
)  # fmt: skip
def test_the_cgroup_of_a_process_is_found(mountinfo: str, membership: str, folders: list[str]) -> None:
    found = resources.cgroup_folders(membership, resources.memory_mounts(mountinfo))
    assert [str(folder) for folder in found] == [f"/sys/fs/cgroup/{folder}" for folder in folders]


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/proc and the cgroups of a node on which process 7 is in a container."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/7").mkdir()
    (tmp_path / "proc/self/mountinfo").write_text(UNIFIED.format(point=tmp_path / "cgroup") + "\n")
    (tmp_path / "proc/7/cgroup").write_text(f"0::/docker/{ID}\n")
    monkeypatch.setattr(resources, "PROC", tmp_path / "proc")
    return tmp_path


def put(node: Path, **files: str) -> None:
    folder = node / "cgroup/docker" / ID
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)


def peak(node: Path, pid: int = 7) -> int | None:
    return resources.peak_of(pid, resources.memory_mounts((node / "proc/self/mountinfo").read_text()))


def test_the_kernels_own_peak_is_taken_and_else_what_is_used_now(node: Path) -> None:
    assert peak(node) is None  # the path does not exist: another namespace, or it is gone
    put(node, memory_current="1000\n")
    assert peak(node) == 1000
    put(node, memory_peak="5000\n")
    assert peak(node) == 5000
    assert peak(node, pid=8) is None


def test_a_folder_is_measured_as_the_disk_has_it(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "volume"
    (folder / "deep").mkdir(parents=True)
    outside.write_bytes(b"x" * 10**6)
    (folder / "deep/data").write_bytes(b"x" * 100_000)
    os.link(folder / "deep/data", folder / "again")
    (folder / "leads-out").symlink_to(outside)
    (folder / "dangling").symlink_to("nowhere")
    size = resources.size_of(folder, time.monotonic() + 10)
    assert size is not None
    assert 100_000 <= size < 200_000
    assert resources.size_of(tmp_path / "gone", time.monotonic() + 10) is None


def test_what_cannot_be_counted_in_time_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert resources.size_of(tmp_path, time.monotonic() - 1) is None


class Docker:
    """Answers what `note` asks. Containers in `gone` vanish between the list and the question."""

    def __init__(self, volume: Path | None = None, gone: tuple[str, ...] = (), down: bool = False) -> None:
        self.volume, self.gone, self.down = volume, gone, down

    def services(self, stack: str) -> list[dict[str, Any]]:
        if self.down:
            raise DockerError(0, "Docker does not answer")
        return [service("app", memory=64_000_000), service("db")]

    def tasks(self, stack: str) -> list[dict[str, Any]]:
        return [task("a1", "app", "failed", 1), task("a2", "app", "running"), task("a0", "app", "shutdown"),
                task("d1", "db", "running")]  # fmt: skip

    def containers(self, stack: str) -> list[dict[str, Any]]:
        return [container("a1", "app", "exited"), container("a2", "app", "running"), container("d1", "db", "running")]

    def get(self, path: str) -> Any:
        return self.request("GET", path)

    def request(self, method: str, path: str, query: Any = None, timeout: float = 0) -> Any:
        name = path.split("/")[2]
        if name in self.gone:
            raise DockerError(404, "No such container")
        mounts = [{"Type": "volume", "Source": str(self.volume)}] if self.volume and name.startswith("a") else []
        sizes = {"SizeRw": 1000} if query else {}
        return {"State": {"Pid": 7 if name == "a2" else 0}, "Mounts": mounts, **sizes}


def service(name: str, memory: int = 0) -> dict[str, Any]:
    limits = {"Limits": {"MemoryBytes": memory}} if memory else {}
    template = {"ContainerSpec": {"Image": f"registry.test/i:1@sha256:{ID}"}, "Resources": limits}
    return {"ID": name, "Spec": {"Name": f"{STACK}_{name}", "Mode": {"Replicated": {}}, "TaskTemplate": template}}


def task(id: str, service: str, state: str, exit_code: int = 0) -> dict[str, Any]:
    status = {"State": state, "ContainerStatus": {"ExitCode": exit_code}}
    return {"ID": id, "ServiceID": service, "Status": status, "DesiredState": "running", "Spec": {}}


def container(id: str, service: str, state: str) -> dict[str, Any]:
    labels = {"com.docker.swarm.service.name": f"{STACK}_{service}", "com.docker.swarm.task.id": id}
    return {"Id": id, "State": state, "Status": "", "Labels": labels}


def noted(docker: Docker, **more: Any) -> dict[str, Any]:
    answer = Answer("install")
    resources.note(docker, STACK, answer, **more)  # type: ignore[arg-type]
    return dict(answer.facts.get("resources", {}))


def test_what_is_noted_of_a_stack(node: Path) -> None:
    put(node, memory_peak="5000000")
    both = {"image": "registry.test/i:1", "disk": None}
    assert noted(Docker()) == {
        "app": {**both, "memory_peak": 5_000_000, "memory_limit": 64_000_000, "restarts": 1, "died": ["a1"]},
        "db": {**both, "memory_peak": None, "memory_limit": None, "restarts": 0, "died": []},
    }


def test_a_volume_counts_once_for_a_service_and_every_layer_counts(node: Path, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "data").write_bytes(b"x" * 100_000)
    found = noted(Docker(volume), disk=True)
    assert 102_000 <= found["app"]["disk"] < 200_000
    assert found["db"]["disk"] == 1000


def test_disk_that_is_not_counted_in_time_is_not_known(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "DISK_SECONDS", 0.0)
    assert noted(Docker(), disk=True)["db"]["disk"] is None


def test_what_vanishes_meanwhile_stops_nothing(node: Path) -> None:
    put(node, memory_peak="5000000")
    assert noted(Docker(gone=("d1",)), disk=True)["app"]["memory_peak"] == 5_000_000
    assert noted(Docker(gone=("a2",)), disk=True)["app"]["memory_peak"] is None
    assert noted(Docker(down=True)) == {}


def test_the_services_of_a_dep_stand_beside_those_of_the_recipe(node: Path) -> None:
    answer = Answer("teardown")
    resources.note(Docker(), STACK, answer)  # type: ignore[arg-type]
    resources.note(Docker(), STACK, answer, prefix="keycloak-")  # type: ignore[arg-type]
    assert set(answer.facts["resources"]) == {"app", "db", "keycloak-app", "keycloak-db"}
