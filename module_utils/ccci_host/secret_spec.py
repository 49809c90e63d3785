"""Which secrets an app needs, and how each is made. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from .dotenv import EnvLine

_VARIABLE = re.compile(r"\$\{?(SECRET_\w+_VERSION)")


class _Stack(Protocol):
    """What is needed of a `Stack`; named here because compose.py imports this file."""

    @property
    def raw_names(self) -> Mapping[str, str]: ...
    @property
    def secrets(self) -> Mapping[str, Mapping[str, object]]: ...
    @property
    def services(self) -> Mapping[str, object]: ...


@dataclass(frozen=True)
class SecretSpec:
    """`name` is the compose id, `variable` the SECRET_…_VERSION in its raw name ("" when none), `full_name` the name in
    the swarm, `version` what that ends with ("" when missing); `length` None means a passphrase of words."""

    name: str
    variable: str
    version: str
    full_name: str
    length: int | None = None
    charset: str = "default"
    generate: bool = True


def secrets_of(stack: _Stack, sample: Iterable[EnvLine] = ()) -> list[SecretSpec]:
    """Every external secret that a service uses, in the order of the compose files.

    `sample` are the lines of the app's .env or of .env.sample: the modifiers behind a secret's version variable say how
    it is made (`# length=32 charset=hex generate=false`).
    """
    modifiers = {line.key: line.modifiers for line in sample if line.modifiers}
    used = {name for service in stack.services.values() for name in getattr(service, "secrets", ())}
    return [
        _spec(name, stack.raw_names.get(name, ""), str(spec["name"]), modifiers)
        for name, spec in stack.secrets.items()
        if name in used and spec.get("external")
    ]


def _spec(name: str, raw: str, full_name: str, modifiers: Mapping[str, Mapping[str, str]]) -> SecretSpec:
    match = _VARIABLE.search(raw)
    variable = match[1] if match else ""
    how = modifiers.get(variable, {})
    length = how.get("length", "")
    return SecretSpec(
        name=name,
        variable=variable,
        version=full_name.rpartition("_")[2],
        full_name=full_name,
        length=int(length) if re.fullmatch(r"\d{1,4}", length) else None,
        charset=how.get("charset", "default"),
        generate=how.get("generate", "true").lower() != "false",
    )
