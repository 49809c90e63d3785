"""What a pull request's compose files may ask of a node, judged on the difference from the version before. Pure.

A recipe that already mounts the Docker socket may go on doing so; a pull request that begins to is refused.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import traefik_labels
from .backup_snapshots import BACKUPBOT_LABEL
from .compose import Stack
from .traefik_labels import App

RULES = {
    "docker-socket": "The Docker socket (or a folder above it) gives a container the whole node",
    "bind-mount": "A path of the node inside a container; only /etc/timezone and /etc/localtime, read-only, are free",
    "file-outside": "A config, secret or link that reads a file outside of the recipe",
    "privileged": "A privileged container is root on the node",
    "host-namespace": "The node's own network, processes, IPC or users inside a container",
    "capability": "Added kernel capabilities",
    "device": "Devices of the node",
    "security-option": "Weakened confinement (security_opt, cgroup_parent)",
    "foreign-object": "A volume, network, secret or config that is not the stack's own",
    "volume-driver": "A volume of another driver than local",
    "network-driver": "A network of another driver than overlay",
    "platform-role": "A label by which a service speaks for the platform: as the node's backup service, as another "
    "stack's, or as ccci's own",
    traefik_labels.HOST: "A router of Traefik for a name that is not the app's (its domain, a name below it, one that "
    "recipe.yml derives from it), or for every name",
    traefik_labels.PART: "An option of Traefik that reaches beyond the app (parts that are not named after its stack, "
    "addresses, networks, certificates), or that is not known to stay within it",
    "port-taken": "A published port that something else on the node has",
}
# Neither the inventory nor recipe.yml can let these through;
NEVER = ("docker-socket", "file-outside", "platform-role", "port-taken")
# and this not even when the recipe's maintainers have published it.
IMPOSSIBLE = ("file-outside",)
ALLOWABLE = tuple(rule for rule in RULES if rule not in NEVER)
MODES = ("strict", "relaxed")
FREE_MOUNTS = ("/etc/timezone", "/etc/localtime")
SOCKETS = tuple(
    f"{run}/{name}" for run in ("/run", "/var/run") for name in ("docker.sock", "containerd/containerd.sock")
)
PLATFORM_LABELS = (BACKUPBOT_LABEL.partition("=")[0],)
PLATFORM_PREFIXES = ("com.docker.", "ccci.")
_NAMESPACES = ("network_mode", "pid", "ipc", "userns_mode")
Path = tuple[Any, ...]
Port = tuple[int, str]  # published port, protocol


@dataclass(frozen=True)
class Demand:
    """One thing that compose files ask of a node. Two sides ask for the same when their keys are equal."""

    rule: str
    subject: str  # "service app", "volume data"
    detail: str
    path: Path = ()

    @property
    def key(self) -> tuple[str, str, str]:
        return self.rule, self.subject, self.detail


@dataclass(frozen=True)
class Twice:
    """A published port that `others` has asked for already, and where each is written."""

    port: Port
    service: str
    path: Path
    others: str
    others_path: Path


@dataclass(frozen=True)
class Finding:
    """A demand that only the newer side makes, with the place where it is written."""

    rule: str
    what: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.what}"


@dataclass(frozen=True)
class Verdict:
    """`refused` makes a pull request red; `noted` was allowed, and the report says so."""

    refused: tuple[Finding, ...] = ()
    noted: tuple[Finding, ...] = ()


def unknown_rules(allow: Collection[str]) -> list[str]:
    return [entry for entry in allow if entry.partition("=")[0] not in ALLOWABLE]


def judge(
    base: Stack | None, head: Stack, *, app: App, mode: str = "strict", allow: Collection[str] = (),
    taken: Mapping[Port, str] | None = None, published: bool = False,
) -> Verdict:  # fmt: skip
    """Judges what `head` asks for and `base` does not (without a base: everything that head asks for).

    `app` is what belongs to the run; `allow` names rules (`capability`) or one detail (`capability=NET_ADMIN`);
    `mode: relaxed` lets everything through but what NEVER names; `taken` says who holds which published port.
    `published`: the head is no pull request but what the recipe's maintainers already gave out.
    """
    held = taken or {}
    before = {demand.key for demand in [*demands(base, app), *collisions(base, held)]} if base else set()
    refused: list[Finding] = []
    noted: list[Finding] = []
    for demand in [*demands(head, app), *collisions(head, held)]:
        if demand.key in before:
            continue
        allowed = mode == "relaxed" or demand.rule in allow or f"{demand.rule}={demand.detail}" in allow
        free = demand.rule not in (IMPOSSIBLE if published else NEVER) and (published or allowed)
        (noted if free else refused).append(_finding(head, demand))
    return Verdict(tuple(refused), tuple(noted))


def _finding(stack: Stack, demand: Demand) -> Finding:
    file, line = stack.line_of(demand.path)
    return Finding(demand.rule, f"{demand.subject} asks for {demand.detail}", file, line)


def demands(stack: Stack, app: App) -> list[Demand]:
    """Everything in the compose files that reaches beyond the stack's own containers, volumes, networks and names."""
    found = [demand for service in stack.services for demand in _of_service(stack, service)]
    found += [demand for labels in _labels(stack) for demand in labels.demands(app)]
    return [*found, *_of_volumes(stack), *_of_networks(stack), *_of_files(stack), *_foreign(stack, app.stack)]


def collisions(stack: Stack, taken: Mapping[Port, str]) -> list[Demand]:
    """Published ports that something else has: `taken` is `{(port, protocol): who}`."""
    found = []
    for service in stack.services.values():
        for index, port in enumerate(service.ports):
            published = (int(port.get("published") or 0), str(port.get("protocol") or "tcp"))
            if published in taken:
                detail = f"the published port {published[0]}/{published[1]}, which {taken[published]} has"
                found.append(
                    Demand("port-taken", f"service {service.name}", detail, ("services", service.name, "ports", index))
                )
    return found


def published_twice(stack: Stack, nodes: int = 1) -> list[Twice]:
    """Ports that two places of one stack publish. Swarm refuses that of one service, and of two when one of them
    publishes for the whole swarm; on hosts of their own, two could have it, so it takes a swarm of one node to be sure.
    """
    found, holders = [], dict[Port, list[tuple[str, str, Path]]]()
    for service in stack.services.values():
        for index, wanted in enumerate(service.ports):
            port = (int(wanted.get("published") or 0), str(wanted.get("protocol") or "tcp"))
            mode, path = str(wanted.get("mode") or "ingress"), ("services", service.name, "ports", index)
            if not port[0]:
                continue
            for other, other_mode, other_path in holders.setdefault(port, []):
                if nodes == 1 or other == service.name or "ingress" in (mode, other_mode):
                    found.append(Twice(port, service.name, path, other, other_path))
                    break
            holders[port].append((service.name, mode, path))
    return found


def bind_sources(stack: Stack) -> list[tuple[str, str, Path]]:
    """`(service, path, place)` of every path of the node that is mounted; recipes' own relative paths are left out."""
    return [
        (service.name, _clean(mount["source"]), ("services", service.name, "volumes", index))
        for service in stack.services.values()
        for index, mount in enumerate(service.mounts)
        if mount["type"] == "bind" and str(mount["source"]).startswith("/")
    ]


def _of_service(stack: Stack, name: str) -> Iterator[Demand]:
    service, subject, where = stack.services[name], f"service {name}", ("services", name)
    for index, mount in enumerate(service.mounts):
        if mount["type"] not in ("volume", "tmpfs"):
            yield from _mounted(subject, str(mount["source"]), bool(mount["read_only"]), (*where, "volumes", index))
    if service.raw.get("privileged"):
        yield Demand("privileged", subject, "privileged: true", (*where, "privileged"))
    for key in _NAMESPACES:
        value = str(service.raw.get(key) or "")
        if value == "host" or value.startswith(("container:", "service:")):
            yield Demand("host-namespace", subject, f"{key}: {value}", (*where, key))
    for rule, key in (("capability", "cap_add"), ("device", "devices"), ("security-option", "security_opt")):
        for index, value in enumerate(_listed(service.raw.get(key))):
            if rule != "security-option" or not value.startswith(("no-new-privileges", "label")):
                yield Demand(rule, subject, value, (*where, key, index))
    if service.raw.get("cgroup_parent"):
        yield Demand(
            "security-option", subject, f"cgroup_parent: {service.raw['cgroup_parent']}", (*where, "cgroup_parent")
        )


@dataclass(frozen=True)
class _Labels:
    """Labels of one place in the compose files. Which of a service's two places counts is for the reader to decide."""

    subject: str
    found: Mapping[str, str]
    path: Path

    def demands(self, app: App) -> Iterator[Demand]:
        for label in self.found:
            if label.lower() in PLATFORM_LABELS or label.lower().startswith(PLATFORM_PREFIXES):
                yield Demand("platform-role", self.subject, label, (*self.path, label))
        if self.path[0] == "services":
            for rule, what, label in traefik_labels.asked(self.found, app):
                yield Demand(rule, self.subject, what, (*self.path, label))


def _labels(stack: Stack) -> Iterator[_Labels]:
    for name, service in stack.services.items():
        yield _Labels(f"service {name}", service.deploy_labels, ("services", name, "deploy", "labels"))
        own = service.raw.get("labels") or {}
        yield _Labels(f"each container of service {name}", own, ("services", name, "labels"))
    for kind in ("volumes", "secrets", "configs", "networks"):
        for name, one in getattr(stack, kind).items():
            yield _Labels(f"{kind[:-1]} {name}", one.get("labels") or {}, (kind, name, "labels"))


def _mounted(subject: str, source: str, read_only: bool, path: Path) -> Iterator[Demand]:
    clean = _clean(source)
    if any(socket == clean or socket.startswith(clean.rstrip("/") + "/") for socket in SOCKETS):
        yield Demand("docker-socket", subject, clean, path)
    elif not (read_only and clean in FREE_MOUNTS):
        yield Demand("bind-mount", subject, clean if not read_only else f"{clean}:ro", path)


def _of_volumes(stack: Stack) -> Iterator[Demand]:
    for name, volume in stack.volumes.items():
        subject, where = f"volume {name}", ("volumes", name)
        driver, options = str(volume.get("driver") or "local"), volume.get("driver_opts") or {}
        if driver != "local":
            yield Demand("volume-driver", subject, driver, where)
        # The kernel looks at the type only when nothing says `bind`.
        words = str(options.get("o") or "").lower().split(",")
        in_memory = options.get("type") == "tmpfs" and not {"bind", "rbind"} & {word.strip() for word in words}
        if options.get("device") and not in_memory:
            yield from _mounted(subject, str(options["device"]), False, where)


def _of_networks(stack: Stack) -> Iterator[Demand]:
    for name, network in stack.networks.items():
        driver = str(network.get("driver") or "overlay")
        if network["name"] == "host" or driver == "host":
            yield Demand("host-namespace", f"network {name}", "the node's network", ("networks", name))
        elif driver != "overlay":
            yield Demand("network-driver", f"network {name}", driver, ("networks", name))


def _of_files(stack: Stack) -> Iterator[Demand]:
    for kind in ("configs", "secrets"):
        for name, one in getattr(stack, kind).items():
            file = str(one.get("file") or "")
            if file and escapes(file):
                yield Demand("file-outside", f"{kind[:-1]} {name}", file, (kind, name, "file"))


def _foreign(stack: Stack, own: str) -> Iterator[Demand]:
    for kind in ("volumes", "secrets", "configs", "networks"):
        for key, one in getattr(stack, kind).items():
            name = str(one["name"])
            if name.startswith(f"{own}_") or (kind == "networks" and name in (*traefik_labels.NETWORKS, "host")):
                continue
            yield Demand("foreign-object", f"{kind[:-1]} {key}", name, (kind, key))


def escapes(path: str) -> bool:
    """Whether a path as a compose file writes it leads out of the recipe's folder (links aside)."""
    clean = posixpath.normpath(path)
    return clean.startswith(("/", "~")) or clean.split("/")[0] in ("..", ".git")


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/")) if path.startswith("/") else posixpath.normpath(path)


def _listed(value: Any) -> Sequence[str]:
    if value is None:
        return ()
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
