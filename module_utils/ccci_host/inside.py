"""Something that is done inside an app's network, where no port is published.

The networks of a stack are not attachable, and no image has to be there for this: a thread of this process moves into
the network namespace of a running container of the service. There the service has the address that the others know.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .docker import Client, running_container
from .docker_errors import NoContainer

CLONE_NEWNET = 0x40000000
T = TypeVar("T")


def place_of(client: Client, stack: str, service: str) -> tuple[int, str]:
    """The first process of the service's newest running container, and its address. NoContainer and NoService as in
    `running_container`, DockerError for one that ends meanwhile."""
    found = client.get(f"/containers/{running_container(client, stack, service)['Id']}/json")
    pid, address = int(found["State"].get("Pid") or 0), address_of(found)
    if not pid or address is None:
        raise NoContainer(f"The container of {service} {'is in no network' if pid else 'has ended'}")
    return pid, address


def address_of(container: Mapping[str, Any]) -> str | None:
    """Where the other services of the stack reach it. Pure; `container` is what /containers/<id>/json says."""
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    known = sorted((name, one["IPAddress"]) for name, one in networks.items() if one.get("IPAddress"))
    return next((str(address) for name, address in known if name != "ingress"), None)


def in_network(pid: int, action: Callable[[], T]) -> T:
    """What `action` gives in the network of a process. OSError when that cannot be entered. Only a thread goes there,
    and it ends there: this process stays where it is."""
    result: list[T] = []
    problem: list[BaseException] = []

    def work() -> None:
        try:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            finally:
                os.close(namespace)
            result.append(action())
        except BaseException as error:  # raised again where somebody waits for it
            problem.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join()
    if problem:
        raise problem[0]
    return result[0]
