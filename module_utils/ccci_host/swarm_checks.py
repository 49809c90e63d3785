"""Checks of a recipe's own tests on what swarm has: replicas, image, labels, environment. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .snapshot import Service


@dataclass(frozen=True)
class Judged:
    """One result to be. A check that looks at nothing is an `error`."""

    id: str
    outcome: str
    expected: str
    observed: str
    failure_id: str | None = None
    service: str | None = None


@dataclass(frozen=True)
class Deployed:
    """One service: the reading of a snapshot, and the engine's own words about it (GET /services)."""

    service: Service
    raw: Mapping[str, Any]

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the service and of its containers; the service's own win."""
        template = self.raw["Spec"]["TaskTemplate"]["ContainerSpec"]
        return {**(template.get("Labels") or {}), **(self.raw["Spec"].get("Labels") or {})}

    @property
    def env(self) -> dict[str, str]:
        pairs = self.raw["Spec"]["TaskTemplate"]["ContainerSpec"].get("Env") or []
        return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def judge(check: Mapping[str, Any], stack: Sequence[Deployed]) -> Judged:
    """One check `{id, service, replicas, running, image, labels, env}`; what it does not name is not looked at."""
    found = {one.service.name: one for one in stack}.get(check["service"])
    if found is None:
        return unknown_service(check["id"], check["service"], [one.service.name for one in stack])
    pairs = list(_pairs(check, found))
    if not pairs:
        expected = "one of replicas, running, image, labels, env to look at"
        return Judged(check["id"], "error", expected, "the check names none", service=check["service"])
    wrong = [(expected, observed) for ok, expected, observed in pairs if not ok]
    expected = "; ".join(one for one, _ in wrong) or "; ".join(one for _, one, _ in pairs)
    observed = "; ".join(one for _, one in wrong) or "; ".join(one for _, _, one in pairs)
    return Judged(check["id"], "fail" if wrong else "pass", expected, observed, service=check["service"])


def unknown_service(id: str, service: str, real: Sequence[str]) -> Judged:
    told = f"no service {service!r}; the stack has {', '.join(sorted(real)) or 'none'}"
    return Judged(id, "fail", f"a service {service!r}", told, "wrong-service", service)


def _pairs(check: Mapping[str, Any], found: Deployed) -> list[tuple[bool, str, str]]:
    """(holds, expected, observed) of everything that the check names."""
    pairs = []
    running = sum(1 for task in found.service.tasks if task.wanted and task.state == "running")
    for key, value in (("replicas", found.service.wanted), ("running", running)):
        if check.get(key) is not None:
            pairs.append((check[key] == value, f"{key} {check[key]}", f"{key} {value}"))
    if check.get("image"):
        image = found.service.image
        pairs.append((_image_matches(image, check["image"]), f"image {check['image']}", f"image {image}"))
    for kind, real in (("labels", found.labels), ("env", found.env)):
        for name, value in (check.get(kind) or {}).items():
            told = f"{name}={real[name]}" if name in real else f"no {name}"
            pairs.append((name in real and real[name] == str(value), f"{kind} {name}={value}", f"{kind} {told}"))
    return pairs


def _image_matches(image: str, wanted: str) -> bool:
    """Whole, or without the registry in front: `ccci/nginx:1.22.1`, `nginx:1.22.1`."""
    return image == wanted or image.endswith(f"/{wanted}")
