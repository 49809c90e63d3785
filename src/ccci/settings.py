"""What a command runs with: flags over `CCCI_*` environment over `ccci.yml` in the working directory; the inventory.

The planner reads an inventory's plain values itself, because starting Ansible for that would cost a second. They come
from the inventory alone: Ansible reads the same file, and an override here would only make the two disagree.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ccci import paths, yaml_file
from ccci.errors import UsageError
from ccci.source.git import public_url
from ccci.source.versions import nearest

OWN_FILE = "ccci.yml"
KEEP = ("never", "on-failure", "always")
DEFAULT_WAIT = 600

# name -> (type, default). These may come from a flag, the environment (CCCI_<NAME>) or ccci.yml.
_OWN: dict[str, tuple[type, Any]] = {
    "inventory": (str, "local"),
    "keep": (str, "never"),
    "wait": (int, None),  # None: the inventory's ccci_lock_wait
    "node": (str, "ccci_nodes[0]"),
    "source": (str, None),
}
# name -> (type, default). These come from the inventory's group_vars/all/ccci.yml.
_INVENTORY: dict[str, tuple[type, Any]] = {
    "ccci_platform": (str, "embedded"),
    "ccci_wildcard_domain": (str, None),
    "ccci_ingress_address": (str, None),
    "ccci_recipe_url": (str, "embedded"),
    "ccci_trusted_recipes": (list, []),
    "ccci_compose_allow": (dict, {}),
    "ccci_registry": (str, None),
    "ccci_registry_credentials": (str, None),
    "ccci_lock_wait": (int, DEFAULT_WAIT),
}
_TYPE_NAMES = {str: "a text", int: "a number of seconds", list: "a list", dict: "a mapping"}


@dataclass(frozen=True)
class Settings:
    """`inventory`: what ansible-playbook gets with `-i`; `wait` is in seconds; `origins`: where each value is from."""

    inventory: Path
    keep: str
    wait: int
    node: str
    source: str | None
    platform: str
    wildcard_domain: str | None
    ingress_address: str | None
    recipe_url: str
    trusted_recipes: tuple[str, ...]
    compose_allow: Mapping[str, tuple[str, ...]]
    registry: str | None
    registry_credentials: str | None
    lock_wait: int
    origins: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self, redacted: bool = True) -> dict[str, dict[str, Any]]:
        """`{name: {value, origin}}` for `ccci config`; redacted hides user names and passwords inside URLs."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "origins"}
        values |= {"inventory": str(self.inventory), "trusted_recipes": list(self.trusted_recipes)}
        values["compose_allow"] = {recipe: list(rules) for recipe, rules in self.compose_allow.items()}
        if redacted:
            values = {name: public_url(value) if isinstance(value, str) else value for name, value in values.items()}
        values |= {"runs_dir": str(paths.runs_dir()), "cache_dir": str(paths.cache_dir())}
        return {name: {"value": value, "origin": self._origin(name)} for name, value in values.items()}

    def _origin(self, name: str) -> str:
        if name in ("runs_dir", "cache_dir"):
            variable = f"CCCI_{name.upper()}"
            return variable if variable in os.environ else "default"
        return self.origins.get(name, "default")


def load_settings(inventory: str | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Joins all sources. `overrides` are the flags by name; a value of None means that the flag was not given.

    UsageError, with file and line, for unknown keys, wrong types, an unknown or malformed inventory.
    """
    flags = {**(overrides or {}), **({"inventory": inventory} if inventory else {})}
    own, origins = _own_values(flags)
    folder = find_inventory(own["inventory"])
    check_inventory(folder)
    theirs, their_origins = _inventory_values(folder)
    origins |= their_origins
    if own["wait"] is None:
        own["wait"], origins["wait"] = theirs["lock_wait"], origins.get("lock_wait", "default")
    if own["keep"] not in KEEP:
        raise UsageError(f"keep is {own['keep']!r}", expected=", ".join(KEEP), observed=f"from {origins['keep']}")
    allow = {str(recipe): tuple(map(str, rules or ())) for recipe, rules in theirs.pop("compose_allow").items()}
    trusted = tuple(map(str, theirs.pop("trusted_recipes")))
    return Settings(
        **{**own, "inventory": folder}, **theirs, trusted_recipes=trusted, compose_allow=allow, origins=origins
    )


def find_inventory(name: str) -> Path:
    """`local` is inventory/local of the project; anything else is a path. UsageError with the names that exist."""
    own = paths.INVENTORY / name
    if "/" not in name and own.exists():
        return own
    if Path(name).exists():
        return Path(name).resolve()
    known = sorted(path.name for path in paths.INVENTORY.glob("*")) if paths.INVENTORY.is_dir() else []
    near = nearest(name, known) or known
    raise UsageError(f"There is no inventory {name!r}", expected=f"a path, or one of {', '.join(near)}")


def check_inventory(inventory: Path) -> None:
    """What Ansible would only warn about: YAML that does not parse, and an inventory without the group ccci_nodes."""
    if inventory.is_dir():
        files = [path for path in sorted(inventory.iterdir()) if path.is_file() and not path.name.startswith(".")]
    else:
        files = [inventory]
    readable = [yaml_file.read(path) for path in files if path.suffix in (".yml", ".yaml")]
    for file in readable:
        if file.data is not None and not isinstance(file.data, dict):
            raise UsageError(f"{file.place()} is no inventory", expected="a mapping of groups")
    plain = len(readable) == len(files)  # an INI file or a script may hold the group too
    if plain and not any(_has_group(file.data, "ccci_nodes") for file in readable):
        raise UsageError(
            f"The inventory {inventory} has no group ccci_nodes",
            expected="a group ccci_nodes with the nodes that recipes are played on",
            next_step=f"See {paths.INVENTORY / 'example_fleet'}",
        )


def _has_group(groups: Any, name: str) -> bool:
    if not isinstance(groups, dict):
        return False
    return name in groups or any(
        _has_group(group.get("children"), name) for group in groups.values() if isinstance(group, dict)
    )


def _own_values(flags: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    file = yaml_file.read(Path(OWN_FILE)) if Path(OWN_FILE).is_file() else yaml_file.YamlFile(OWN_FILE, {}, {})
    written = _mapping(file)
    for key in written:
        if key not in _OWN:
            near = nearest(str(key), _OWN) or list(_OWN)
            raise UsageError(f"{file.place(key)} sets {key!r}, which is no setting", expected=", ".join(near))
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, (kind, default) in _OWN.items():
        variable = f"CCCI_{name.upper()}"
        values[name] = default
        if flags.get(name) is not None:
            values[name], origins[name] = flags[name], f"--{name}"
        elif os.environ.get(variable):
            values[name], origins[name] = _from_text(os.environ[variable], kind, variable), variable
        elif written.get(name) is not None:
            values[name], origins[name] = _typed(written[name], kind, name, file), file.place(name)
    return values, origins


def _inventory_values(inventory: Path) -> tuple[dict[str, Any], dict[str, str]]:
    folder = inventory if inventory.is_dir() else inventory.parent
    path = folder / "group_vars" / "all" / "ccci.yml"
    file = yaml_file.read(path) if path.is_file() else yaml_file.YamlFile(str(path), {}, {})
    written = _mapping(file)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for key in written:
        # Only a slip of the pen is refused: the inventory may hold other variables, which are the roles' business.
        near = difflib.get_close_matches(str(key), _INVENTORY, n=1, cutoff=0.9)
        if near and key not in _INVENTORY:
            raise UsageError(f"{file.place(key)} sets {key!r}, which nothing reads", expected=near[0])
    for name, (kind, default) in _INVENTORY.items():
        short = name.removeprefix("ccci_")
        values[short] = default
        if written.get(name) is not None:
            values[short], origins[short] = _typed(written[name], kind, name, file), file.place(name)
    return values, origins


def _mapping(file: yaml_file.YamlFile) -> dict[Any, Any]:
    if file.data is None:
        return {}
    if not isinstance(file.data, dict):
        raise UsageError(f"{file.place()} must hold `key: value` lines", observed=type(file.data).__name__)
    return file.data


def _typed(value: Any, kind: type, name: str, file: yaml_file.YamlFile) -> Any:
    if isinstance(value, bool) or not isinstance(value, kind):
        raise UsageError(f"{file.place(name)}: {name} must be {_TYPE_NAMES[kind]}", observed=repr(value))
    if "{{" in str(value) or "{%" in str(value):
        raise UsageError(
            f"{file.place(name)}: {name} must be a plain value, not a template",
            next_step="The planner reads this file without Ansible; write the value itself",
        )
    return value


def _from_text(text: str, kind: type, variable: str) -> Any:
    if kind is not int:
        return text
    if not text.isdigit():
        raise UsageError(f"{variable} must be {_TYPE_NAMES[int]}", observed=repr(text))
    return int(text)
