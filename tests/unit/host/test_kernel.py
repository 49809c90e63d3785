"""What the kernel's files say, for both versions of cgroups and both of Docker's drivers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccci_host import kernel
from ccci_host.resources import CgroupMount

ID = "0123456789abcdef" * 4
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 1234 1 0000000000000000 100
   1: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 1235 1 0000000000000000 100
   2: 0B00007F:A1B2 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1236 1 0000000000000000 100
   3: 0200000A:C350 0300000A:0050 01 00000000:00000000 00:00000000 00000000   999        0 1237 1 0000000000000000 100
"""
TCP6 = """\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:1F40 00000000000000000000000000000000:0000 0A
   1: 00000000000000000000000001000000:1F41 00000000000000000000000000000000:0000 0A
"""


def test_ports_on_which_others_are_answered() -> None:
    """3306 for everybody. What listens on the loopback device only, or talks to somebody, is not there."""
    assert kernel.listening_ports(TCP) == [3306]
    assert kernel.listening_ports(TCP6) == [8000]
    assert kernel.listening_ports("") == []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kernel, "PROC", tmp_path / "proc")
    return tmp_path


def process(machine: Path, membership: str, files: dict[str, str]) -> None:
    (machine / "proc/7/net").mkdir(parents=True)
    (machine / "proc/7/cgroup").write_text(membership)
    (machine / "proc/7/net/tcp").write_text(TCP)
    for name, text in files.items():
        (machine / name).parent.mkdir(parents=True, exist_ok=True)
        (machine / name).write_text(text)


@pytest.mark.parametrize(
    ("membership", "file", "text"),
    [
        (f"0::/docker/{ID}\n", f"cg/docker/{ID}/memory.events", "oom 3\noom_kill 2\noom_group_kill 0\n"),
        (f"0::/system.slice/docker-{ID}.scope\n", f"cg/system.slice/docker-{ID}.scope/memory.events", "oom_kill 2\n"),
        # Something in the container made cgroups of its own: the counter of the whole is what counts.
        (f"0::/docker/{ID}/init.scope\n", f"cg/docker/{ID}/memory.events", "oom_kill 2\n"),
        (
            f"4:memory:/docker/{ID}\n0::/docker/{ID}\n",
            f"cg1/docker/{ID}/memory.oom_control",
            "under_oom 0\noom_kill 2\n",
        ),
    ],
)
def test_the_counter_of_kills_is_found(machine: Path, membership: str, file: str, text: str) -> None:
    process(machine, membership, {file: text})
    mounts = [CgroupMount("cgroup2", "/", machine / "cg"), CgroupMount("cgroup", "/", machine / "cg1")]
    found = kernel.oom_file(ID, 7, mounts)
    assert found == machine / file
    assert kernel.oom_kills(found) == 2
    found.unlink()
    assert kernel.oom_kills(found) is None


def test_a_process_that_is_not_the_containers_any_more_says_nothing(machine: Path) -> None:
    process(machine, "0::/user.slice\n", {"cg/user.slice/memory.events": "oom_kill 9\n"})
    assert kernel.oom_file(ID, 7, [CgroupMount("cgroup2", "/", machine / "cg")]) is None
    assert kernel.listening(ID, 7) is None
    assert kernel.listening(ID, 8) is None
    (machine / "proc/7/cgroup").write_text(f"0::/docker/{ID}\n")
    assert kernel.listening(ID, 7) == [3306]


def test_mounts_of_this_machine_can_be_read() -> None:
    mounts = kernel.mounts()
    assert len(mounts) == len(set(mounts))
    assert kernel.oom_kills(Path("/no/such/file")) is None


def test_room_on_a_disk(tmp_path: Path) -> None:
    found = kernel.disk(str(tmp_path))
    assert found is not None
    assert 0 < found["free"] <= found["size"]
    assert kernel.disk("/no/such/folder") is None
