"""The one reader of compose files, `.env` files and `abra.sh`: for the planner, the node's checks and embedded abra.

It works on texts and never touches a disk, and it is safe to feed with what strangers wrote. Everything that other
code needs is imported from here: `read_stack`, `Stack`, `Service`, `ComposeError`, `check_raw`, `secrets_of`,
`SecretSpec`, `parse_env`, `parse_env_sample`, `EnvLine`, `abra_exports`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .compose_merge import merge_files
from .compose_shape import SECTIONS, Walk
from .compose_values import nearest
from .compose_yaml import ComposeError, Map, Place, Seq, load
from .dotenv import EnvLine, abra_exports, parse_env, parse_env_sample
from .secret_spec import SecretSpec, secrets_of

__all__ = [
    "ComposeError", "EnvLine", "SecretSpec", "Service", "Stack", "abra_exports", "check_raw", "parse_env",
    "parse_env_sample", "read_stack", "secrets_of",
]  # fmt: skip

LONGEST_NAME = 64  # swarm's limit for secrets and configs
_GRANTS = ("secrets", "configs")
_KINDS = ("volumes", "secrets", "configs", "networks")


@dataclass(frozen=True)
class Service:
    """One service after all overlays. `labels` are those of the service and of `deploy` together (deploy wins)."""

    name: str
    image: str
    environment: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    deploy_labels: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[
        Mapping[str, Any]
    ] = ()  # {type, source, target, read_only}; source is the compose id, a path or ""
    ports: Sequence[Mapping[str, Any]] = ()  # {target, published?, protocol, mode}
    secrets: Sequence[str] = ()  # compose ids
    configs: Sequence[str] = ()
    networks: Sequence[str] = ()
    healthcheck: Mapping[str, Any] = field(default_factory=dict)
    deploy: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)  # everything, in the long form


@dataclass(frozen=True)
class Stack:
    """The merged document with variables filled in. `volumes` … `networks` are `{compose id: {name, external, …}}`."""

    services: Mapping[str, Service]
    volumes: Mapping[str, Mapping[str, Any]]
    secrets: Mapping[str, Mapping[str, Any]]
    configs: Mapping[str, Mapping[str, Any]]
    networks: Mapping[str, Mapping[str, Any]]
    data: Mapping[str, Any]
    raw_names: Mapping[str, str]  # secret id -> its `name:` as written, with variables
    places: Mapping[tuple[Any, ...], Place]

    @property
    def images(self) -> list[str]:
        """Every image once, in the order of the services."""
        return list(dict.fromkeys(service.image for service in self.services.values()))

    def line_of(self, path: Sequence[Any]) -> Place:
        """`(file, line)` of a value, for example ("services", "app", "ports", 0); of what is around it when unknown."""
        key = tuple(path)
        while key and key not in self.places:
            key = key[:-1]
        return self.places.get(key) or next(iter(self.places.values()), ("compose.yml", 1))

    def deployable(self) -> str:
        """The text for `docker stack deploy -c -`: JSON, which is YAML, with every `$` escaped."""
        return json.dumps(_escaped(_without_empty(self.data)), ensure_ascii=False, indent=1)


def read_stack(files: Mapping[str, str], names: Sequence[str], env: Mapping[str, str]) -> Stack:
    """The stack that these files make.

    `files` are the texts of the recipe's tree by their path in it, `names` the compose files in the order of
    COMPOSE_FILE, `env` what fills in variables: the app's .env, the exports of abra.sh, STACK_NAME. A volume without
    a name of its own is called `<STACK_NAME>_<id>`. ComposeError with file and line for whatever is wrong.
    """
    raws = [_load(files, name) for name in names or ["compose.yml"]]
    _same_version(raws)
    walk = Walk(env)
    merged: Map | None = None
    for raw in raws:
        shaped = _shaped(raw, walk)
        _fill_environment(shaped, files, env)
        merged = shaped if merged is None else merge_files(merged, shaped)
    assert merged is not None
    data, places = _plain(merged)
    raw_names = {
        key: spec["name"]
        for raw in raws
        for key, spec in (raw.get("secrets") or {}).items()
        if isinstance(spec, Map) and isinstance(spec.get("name"), str)
    }
    return _checked(data, places, raw_names, env.get("STACK_NAME", ""))


def check_raw(files: Mapping[str, str]) -> None:
    """What abra checks before variables are known: every compose file is valid, and durations are written out."""
    for name in sorted(files):
        if name.rpartition("/")[2].startswith("compose") and name.endswith((".yml", ".yaml")):
            _shaped(load(files[name], name), Walk(None))


def _load(files: Mapping[str, str], name: str) -> Map:
    if name not in files:
        there = sorted(one for one in files if one.endswith((".yml", ".yaml")))
        near = nearest(name, there)
        hint = f"did you mean {near}?" if near else f"it has {', '.join(there) or 'none'}"
        raise ComposeError(name, 1, f"is named by COMPOSE_FILE, but the recipe has no such file; {hint}")
    return load(files[name], name)


def _same_version(raws: Sequence[Map]) -> None:
    first: str | None = None
    for raw in raws:
        if "version" not in raw:
            continue
        version, place = str(raw["version"]), raw.places["version"]
        if version.partition(".")[0] != "3":
            raise ComposeError(*place, f"unsupported compose file version {version[:20]!r}, expected 3.8")
        if first not in (None, version):
            raise ComposeError(*place, f"version {version} differs from {first} of the files before it")
        first = version


def _shaped(raw: Map, walk: Walk) -> Map:
    shaped = Map()
    for key, value in raw.items():
        place = raw.places[key]
        if key in SECTIONS:
            if value is not None:
                shaped.put(key, SECTIONS[key](value, walk, place, key), place)
        elif key not in ("version", "name") and not key.startswith("x-"):
            near = nearest(key, SECTIONS)
            hint = f"; did you mean {near}?" if near else ""
            raise ComposeError(*place, f"Additional property {key} is not allowed{hint}")
    return shaped


def _fill_environment(shaped: Map, files: Mapping[str, str], env: Mapping[str, str]) -> None:
    """A key without value takes it from the app's .env; `env_file` is read here, because docker gets only a text."""
    for service in (shaped.get("services") or {}).values():
        for key, value in (service.get("environment") or {}).items():
            if value is None:
                service["environment"][key] = env.get(key)
        names = service.pop("env_file", None)
        if not isinstance(names, Seq):
            continue
        found: dict[str, str] = {}
        for name, place in names.placed():
            path = name.removeprefix("./")
            if path not in files:
                raise ComposeError(*place, f"env_file {name} is not in the recipe")
            found.update(parse_env(files[path], path))
        own = service.get("environment", Map())
        environment = Map()
        for key, value in found.items():
            environment.put(key, value, service.places["env_file"])
        for key, value in own.items():
            environment.put(key, value, own.places[key])
        service.put("environment", environment, service.places["env_file"])


def _plain(merged: Map) -> tuple[dict[str, Any], dict[tuple[Any, ...], Place]]:
    places: dict[tuple[Any, ...], Place] = {}

    def plain(value: Any, path: tuple[Any, ...]) -> Any:
        if isinstance(value, dict):
            if isinstance(value, Map):
                places.update({(*path, key): place for key, place in value.places.items() if key in value})
            return {key: plain(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            if isinstance(value, Seq):
                places.update({(*path, index): place for index, place in enumerate(value.places) if place[1]})
            return [plain(item, (*path, index)) for index, item in enumerate(value)]
        return value

    return plain(merged, ()), places


def _checked(
    data: dict[str, Any], places: dict[tuple[Any, ...], Place], raw_names: dict[str, str], stack_name: str
) -> Stack:
    parts = {kind: _resolved(kind, data.get(kind) or {}, places, stack_name) for kind in _KINDS}
    services = {name: _service(name, body) for name, body in (data.get("services") or {}).items()}
    stack = Stack(
        services=services,
        data={"version": "3.8", **data},
        raw_names=raw_names,
        places=places,
        **parts,
    )
    if not services:
        raise ComposeError(*stack.line_of(("services",)), "has no services")
    for service in services.values():
        _check_service(stack, service)
    return stack


def _resolved(
    kind: str, items: dict[str, Any], places: Mapping[tuple[Any, ...], Place], stack_name: str
) -> dict[str, Any]:
    """Adds the final `name` and a boolean `external` to each; refuses what Docker refuses only halfway through."""
    resolved = {}
    for key, spec in items.items():
        place = places[(kind, key)]
        external = spec.get("external", False)
        outer = external.get("name") if isinstance(external, dict) else None
        name = spec.get("name") or outer or (key if external else f"{stack_name}_{key}" if stack_name else key)
        is_external = external is True or isinstance(external, dict)
        clash = next((one for one in ("driver", "driver_opts", "labels") if is_external and spec.get(one)), None)
        if clash:
            raise ComposeError(*place, f"{kind}.{key} conflicting parameters external and {clash}")
        if kind in _GRANTS and not is_external and not spec.get("file") and not spec.get("driver"):
            raise ComposeError(*place, f"{kind}.{key} needs a file, or external: true")
        if kind in _GRANTS and len(name) > LONGEST_NAME:
            raise ComposeError(*place, f"{kind}.{key} is called {name!r}: swarm allows {LONGEST_NAME} characters")
        resolved[key] = {**spec, "name": name, "external": is_external}
    return resolved


def _service(name: str, body: Mapping[str, Any]) -> Service:
    deploy = body.get("deploy") or {}
    deploy_labels = deploy.get("labels") or {}
    return Service(
        name=name,
        image=body.get("image") or "",
        environment=body.get("environment") or {},
        labels={**(body.get("labels") or {}), **deploy_labels},
        deploy_labels=deploy_labels,
        mounts=[
            {
                "type": mount.get("type", ""),
                "source": mount.get("source", ""),
                "target": mount.get("target", ""),
                "read_only": mount.get("read_only", False),
            }
            for mount in body.get("volumes") or []
        ],
        ports=body.get("ports") or [],
        secrets=[grant.get("source", "") for grant in body.get("secrets") or []],
        configs=[grant.get("source", "") for grant in body.get("configs") or []],
        networks=list(body.get("networks") or {}),
        healthcheck=body.get("healthcheck") or {},
        deploy=deploy,
        raw=body,
    )


def _check_service(stack: Stack, service: Service) -> None:
    where = ("services", service.name)
    if not service.image.strip():
        raise ComposeError(*stack.line_of((*where, "image")), f"service {service.name} has no image")
    for kind, index, used in _references(service):
        known: Mapping[str, Any] = getattr(stack, kind)
        if used not in known and not (kind == "networks" and used == "default"):
            near = nearest(used, known)
            hint = f"; did you mean {near}?" if near else f"; defined are {', '.join(known) or 'none'}"
            what = f"service {service.name} uses the undefined {kind[:-1]} {used!r}{hint}"
            raise ComposeError(*stack.line_of((*where, kind, index)), what)
    for index, mount in enumerate(service.mounts):
        if not mount["type"]:
            place = stack.line_of((*where, "volumes", index))
            raise ComposeError(*place, f"service {service.name} has a volume without type")
        if not mount["target"].startswith("/"):
            place = stack.line_of((*where, "volumes", index))
            raise ComposeError(
                *place, f"service {service.name} mounts to {mount['target']!r}, which is no absolute path"
            )
    for index, port in enumerate(service.ports):
        if "target" not in port:
            place = stack.line_of((*where, "ports", index))
            raise ComposeError(*place, f"service {service.name} has a port without target")


def _references(service: Service) -> Iterator[tuple[str, Any, str]]:
    for kind in _GRANTS:
        for index, used in enumerate(getattr(service, kind)):
            yield kind, index, used
    for index, mount in enumerate(service.mounts):
        if mount["type"] == "volume" and mount["source"]:
            yield "volumes", index, mount["source"]
    for name in service.networks:
        yield "networks", name, name


def _without_empty(data: Mapping[str, Any]) -> dict[str, Any]:
    """Docker fills in an environment variable without value from its caller's environment: such ones are left out."""
    services = {}
    for name, body in data["services"].items():
        kept = {key: value for key, value in body.items() if value is not None}
        if "environment" in kept:
            kept["environment"] = {key: value for key, value in kept["environment"].items() if value is not None}
        services[name] = kept
    return {**data, "services": services}


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value
