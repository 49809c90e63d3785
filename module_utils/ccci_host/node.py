"""What a node's kernel lacks, and the compose overlay that makes up for it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OVERLAY_NAME = "compose.ccci-node.yml"


def has_ipvs() -> bool:
    """Whether service VIPs and the ingress mesh work here. Without IPVS in the kernel both accept nothing, silently."""
    if Path("/proc/net/ip_vs").exists():
        return True
    release = os.uname().release
    listed = (Path(f"/lib/modules/{release}/modules.{name}") for name in ("builtin", "dep"))
    # Docker loads the module by itself when it is there; so a module that is only listed counts.
    return any(path.exists() and _names_module(path, "/ip_vs.ko") for path in listed)


def _names_module(path: Path, module: str) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        return any(module in line.partition(":")[0] for line in file)


def overlay_for_node(compose: Mapping[str, Any], ipvs: bool) -> str | None:
    """The text of compose.ccci-node.yml for a merged compose document; None where IPVS works or no service is there.

    Services are found by DNS round robin instead of a virtual address, and ports are published on the host itself.
    The text is JSON, which every YAML reader takes.
    """
    services = compose.get("services") or {}
    if ipvs or not services:
        return None
    changes: dict[str, Any] = {}
    for name, service in services.items():
        if not isinstance(service, Mapping):
            continue
        change: dict[str, Any] = {"deploy": {"endpoint_mode": "dnsrr"}}
        ports = [_on_host(port) for port in service.get("ports") or []]
        if ports:
            change["ports"] = ports
        changes[str(name)] = change
    return json.dumps({"version": "3.8", "services": changes}, indent=2) + "\n"


def _on_host(port: Any) -> dict[str, Any]:
    """One published port in the long syntax with `mode: host`."""
    if isinstance(port, Mapping):
        return {**port, "mode": "host"}
    text, _, protocol = str(port).partition("/")
    published, _, target = text.rpartition(":")
    published = published.rpartition(":")[2]  # swarm knows no address to bind to
    return {
        "target": int(target),
        **({"published": int(published)} if published else {}),
        "protocol": protocol or "tcp",
        "mode": "host",
    }
