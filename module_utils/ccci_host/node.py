"""What a node's kernel lacks, and the compose overlay that makes up for it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .compose import Service, Stack

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


def overlay_for_node(stack: Stack, ipvs: bool, version: str | None = "3.8") -> str | None:
    """The text of compose.ccci-node.yml for a stack; None where IPVS works.

    Services are found by DNS round robin instead of a virtual address, and ports are published on the host itself.
    The text is JSON, which every YAML reader takes. Docker wants the same `version` in all files, or in none.
    """
    if ipvs:
        return None
    services = {name: _change(service) for name, service in stack.services.items()}
    document = {**({"version": version} if version else {}), "services": services}
    return json.dumps(document, indent=2) + "\n"


def _change(service: Service) -> dict[str, Any]:
    change: dict[str, Any] = {"deploy": {"endpoint_mode": "dnsrr"}}
    # Docker tells ports of two files apart by the published port alone, so only those that must change are named.
    ports = [{**port, "mode": "host"} for port in service.ports if port.get("mode") != "host"]
    if ports:
        change["ports"] = ports
        # Two tasks cannot have the same port of the host: the new one would wait for the old one for ever.
        if (service.deploy.get("update_config") or {}).get("order") == "start-first":
            change["deploy"]["update_config"] = {"order": "stop-first"}
    return change
