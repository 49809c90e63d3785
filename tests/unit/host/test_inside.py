"""What is done in a container's network is done there, and this process stays where it is."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccci_host import inside
from ccci_probe import tcp

OWN = Path("/proc/self/ns/net")


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process with a network of its own, in which its loopback device is up and port 7000 answers."""
    script = """
import fcntl, os, socket, struct, sys, time
down = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(down, 0x8914, struct.pack("16sh22x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
server = socket.create_server(("127.0.0.1", 7000))
print("ready", flush=True)
time.sleep(60)
"""
    command = ["unshare", "--net", "python3", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may enter another network")
def test_a_port_in_another_network_is_reached_from_inside_only(stranger: int) -> None:
    before = OWN.readlink()
    assert tcp.attempt("127.0.0.1", 7000, timeout=1).outcome == "fail"
    assert inside.in_network(stranger, lambda: tcp.attempt("127.0.0.1", 7000, timeout=1)).outcome == "pass"
    assert inside.in_network(stranger, lambda: tcp.attempt("127.0.0.1", 7001, timeout=1)).outcome == "fail"
    assert OWN.readlink() == before
    with pytest.raises(ZeroDivisionError):
        inside.in_network(stranger, lambda: 1 // 0)


def test_a_process_that_has_ended(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    began = time.monotonic()
    with pytest.raises(FileNotFoundError):
        inside.in_network(ended.pid, socket.gethostname)
    assert time.monotonic() - began < 5


def test_the_address_is_one_that_other_services_know() -> None:
    networks = {"proxy": {"IPAddress": "10.0.1.7"}, "app_internal": {"IPAddress": ""}, "web": {"IPAddress": "10.0.9.2"}}
    assert inside.address_of({"NetworkSettings": {"Networks": networks}}) == "10.0.1.7"
    # Swarm's own, for ports that are published on every node: no other service of the stack is in it.
    networks = {"ingress": {"IPAddress": "10.255.0.9"}, "zulip_internal": {"IPAddress": "10.0.3.4"}}
    assert inside.address_of({"NetworkSettings": {"Networks": networks}}) == "10.0.3.4"
    assert inside.address_of({"NetworkSettings": {"Networks": {"none": {"IPAddress": ""}}}}) is None
    assert inside.address_of({}) is None
