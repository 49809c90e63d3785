"""Who may take the lock, decided without Docker. The fight for it is in test_lock_fight.py."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from ccci_host import lock, processes

# As the API of Docker 20.10.24 gives it; the holder is a process of this machine or another one.
CONFIG = {
    "ID": "swg4jdl94hiv19ok451l7mpro",
    "Version": {"Index": 47},
    "CreatedAt": "2026-11-24T23:55:59.390035913Z",
    "UpdatedAt": "2026-11-24T23:55:59.397601Z",
    "Spec": {
        "Name": "ccci-lock",
        "Labels": {"ccci.run": "run-a", "ccci.holder": '{"pid": 7, "host": "vm"}', "ccci.lease": "900"},
        "Data": "aGVsZA==",
    },
}
UPDATED = lock.timestamp(str(CONFIG["UpdatedAt"]))


def held(holder: dict[str, Any], lease: float = 900) -> lock.Lock:
    return lock.Lock("id", 1, "run-a", holder, lease, UPDATED, False)


@pytest.fixture
def dead_process() -> dict[str, Any]:
    """The identity of a process of this machine that has ended, and whose id is free or belongs to another one."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = processes.identity(process.pid)
    process.communicate(b"\n")
    return identity


def test_the_lock_is_read_from_the_api() -> None:
    read = lock.parse(CONFIG)
    assert (read.run, read.holder["pid"], read.lease, read.released, read.version) == ("run-a", 7, 900, False, 47)
    assert read.age(UPDATED + 5) == pytest.approx(5)


def test_spoilt_labels_read_as_a_lock_that_is_overdue() -> None:
    spec: dict[str, Any] = {"Name": "ccci-lock", "Labels": {"ccci.holder": "{", "ccci.lease": "soon"}}
    read = lock.parse({**CONFIG, "Spec": spec})
    assert lock.may_take(read, UPDATED + 1, "run-b", {})


def test_a_live_holder_keeps_it() -> None:
    here = processes.identity()
    assert lock.may_take(held(here), UPDATED + 899, "run-b", {}, here=here) == ""


def test_a_lease_that_is_over_is_no_protection() -> None:
    here = processes.identity()
    assert "lease of 900 s is over" in lock.may_take(held(here), UPDATED + 901, "run-b", {}, here=here)


def test_a_dead_holder_of_this_machine(dead_process: dict[str, Any]) -> None:
    here = processes.identity()
    assert "dead" in lock.may_take(held(dead_process), UPDATED + 1, "run-b", {}, here=here)


@pytest.mark.parametrize("place", ["machine_id", "boot_id", "pid_ns"])
def test_a_process_id_of_another_place_proves_nothing(dead_process: dict[str, Any], place: str) -> None:
    here = processes.identity()
    assert lock.may_take(held({**dead_process, place: "other"}), UPDATED + 1, "run-b", {}, here=here) == ""


def test_a_process_id_that_was_given_to_another_process() -> None:
    here = processes.identity()
    assert "dead" in lock.may_take(held({**here, "start_time": 1}), UPDATED + 1, "run-b", {}, here=here)


def test_a_zombie_holds_nothing() -> None:
    here = processes.identity()
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, but not waited for
    zombie = processes.identity(process.pid)
    assert "dead" in lock.may_take(held(zombie), UPDATED + 1, "run-b", {}, here=here)
    process.wait()


def test_the_controller_may_know_better() -> None:
    elsewhere = {"machine_id": "m", "boot_id": "b", "pid_ns": "p", "pid": 1, "start_time": 1}
    assert lock.may_take(held(elsewhere), UPDATED + 1, "run-b", {}, gone=["run-c"]) == ""
    assert "dead" in lock.may_take(held(elsewhere), UPDATED + 1, "run-b", {}, gone=["run-a"])


def test_our_own_lock_is_ours_but_not_another_process_of_the_same_run() -> None:
    here = processes.identity()
    assert lock.may_take(held(here), UPDATED + 1, "run-a", here, here=here)
    assert lock.may_take(held({**here, "pid_ns": "other"}), UPDATED + 1, "run-a", here, here=here) == ""


def test_who_is_in_the_way_is_said() -> None:
    attempt = lock.Attempt(False, other=held({"pid": 7, "host": "vm"}), age=3.2)
    assert lock.described(attempt) == "run run-a (process 7 on vm) holds the node; its last sign of life was 3 s ago"
