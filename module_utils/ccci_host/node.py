"""The compose overlay that a node needs: for what its kernel lacks, and for names that only lead to it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .compose import Service, Stack

OVERLAY_NAME = "compose.ccci-node.yml"
BUNDLE_NAME = "ccci-ca-bundle.crt"
BUNDLE_CONFIG = "ccci_ca"
BUNDLE_TARGET = "/run/ccci/ca-bundle.crt"
# How programs are told of other authorities than their own: OpenSSL and Go, Python's requests, curl, Node.js, git,
# Keycloak.
BUNDLE_VARIABLES = (
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO",
    "KC_TRUSTSTORE_PATHS",
)  # fmt: skip
GATEWAY = "host-gateway"  # Docker's word for the node, as its containers reach it
# Where distributions keep the authorities that everybody trusts.
SYSTEM_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"), Path("/etc/ssl/cert.pem"),
)  # fmt: skip


@dataclass(frozen=True)
class Inside:
    """How containers reach the run's own domains where no DNS leads to them and no public authority vouches for them:
    `hosts` are the domains, `bundle` the text of every certificate that they are to trust."""

    hosts: Sequence[str]
    bundle: str


def inside_of(given: Mapping[str, Any] | None) -> Inside | None:
    """From `plan.inside` {hosts, ca: the path of the platform's authority on this node}. OSError without that file."""
    if not given:
        return None
    authority = Path(str(given["ca"]))
    if not authority.is_file():
        raise OSError(f"The platform's certificate authority {authority} is not there; `ccci bootstrap` makes it")
    system = next((path.read_text() for path in SYSTEM_BUNDLES if path.is_file()), "")
    return Inside(list(given["hosts"]), f"{system.rstrip()}\n{authority.read_text()}".lstrip())


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


def overlay_for_node(
    stack: Stack, ipvs: bool, version: str | None = "3.8", inside: Inside | None = None, bundle: str = BUNDLE_NAME
) -> str | None:
    """The text of compose.ccci-node.yml for a stack; None where IPVS works and nothing is to be known `inside`.

    Without IPVS services are found by DNS round robin instead of a virtual address, and ports are published on the host
    itself. `bundle` is the file beside the overlay that holds the certificates of `inside`.
    The text is JSON, which every YAML reader takes. Docker wants the same `version` in all files, or in none.
    """
    if ipvs and inside is None:
        return None
    services = {
        name: {**({} if ipvs else _without_ipvs(service)), **(_told(service, inside) if inside else {})}
        for name, service in stack.services.items()
    }
    configs = {"configs": {BUNDLE_CONFIG: {"file": f"./{bundle}"}}} if inside else {}
    document = {**({"version": version} if version else {}), "services": services, **configs}
    return json.dumps(document, indent=2) + "\n"


def _told(service: Service, inside: Inside) -> dict[str, Any]:
    """The names, the certificates, and the variables that lead to these. What a service says itself stays."""
    known = {str(entry).partition(":")[0] for entry in service.raw.get("extra_hosts") or []}
    hosts = [f"{host}:{GATEWAY}" for host in inside.hosts if host not in known]
    variables = {name: BUNDLE_TARGET for name in BUNDLE_VARIABLES if name not in service.environment}
    return {
        **({"extra_hosts": hosts} if hosts else {}),
        **({"environment": variables} if variables else {}),
        "configs": [{"source": BUNDLE_CONFIG, "target": BUNDLE_TARGET}],
    }


def _without_ipvs(service: Service) -> dict[str, Any]:
    change: dict[str, Any] = {"deploy": {"endpoint_mode": "dnsrr"}}
    # Docker tells ports of two files apart by the published port alone, so only those that must change are named.
    ports = [{**port, "mode": "host"} for port in service.ports if port.get("mode") != "host"]
    if ports:
        change["ports"] = ports
        # Two tasks cannot have the same port of the host: the new one would wait for the old one for ever.
        if (service.deploy.get("update_config") or {}).get("order") == "start-first":
            change["deploy"]["update_config"] = {"order": "stop-first"}
    return change
