"""YAML files that people write: read as plain data, with the line of every key for messages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ccci.errors import UsageError

KeyPath = tuple[str | int, ...]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class YamlFile:
    """`data` is plain data (None for an empty file); `lines` maps the path of a key or item to its line, from 1."""

    name: str
    data: Any
    lines: dict[KeyPath, int]

    def place(self, *path: str | int) -> str:
        """`file:line` of a key, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines.get(path, 1)}"


def read(path: Path) -> YamlFile:
    """UsageError with file and line for what is no YAML, for a key used twice, and for a file that cannot be read."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Cannot read {path}", observed=str(error)) from error


def parse(text: str, name: str) -> YamlFile:
    """The same for text. Tags such as `!vault` are not followed: their values become plain data."""
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        lines: dict[KeyPath, int] = {(): 1}
        data = _plain(loader, root, (), lines, name, 0) if root is not None else None
        return YamlFile(name, data, lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UsageError(f"{name}:{line} is not valid YAML", observed=_problem(error)) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{name} is not valid YAML", observed=str(error)) from error
    finally:
        loader.dispose()


def _plain(loader: Any, node: Any, path: KeyPath, lines: dict[KeyPath, int], name: str, depth: int) -> Any:
    if depth > 50:
        raise UsageError(f"{name}:{node.start_mark.line + 1} is nested too deeply, or refers to itself")
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        return _mapping(loader, node, path, lines, name, depth)
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            items.append(_plain(loader, item, (*path, index), lines, name, depth + 1))
        return items
    if not node.tag.startswith("tag:yaml.org,2002:"):
        return node.value
    return loader.construct_object(node)


def _mapping(loader: Any, node: Any, path: KeyPath, lines: dict[KeyPath, int], name: str, depth: int) -> dict[Any, Any]:
    mapping: dict[Any, Any] = {}
    own: set[Any] = set()
    merged = len(node.value) - sum(1 for key, _ in node.value if key.start_mark.index >= node.start_mark.index)
    for position, (key_node, value) in enumerate(node.value):
        key = _plain(loader, key_node, path, {}, name, depth + 1)
        line = key_node.start_mark.line + 1
        if isinstance(key, list | dict):
            raise UsageError(f"{name}:{line} has a key that is not a plain word")
        if position >= merged:  # what `<<` brought in comes first, and may be overridden
            if key in own:
                raise UsageError(f"{name}:{line} says {key!r} twice", next_step="Keep one of the two")
            own.add(key)
        lines[(*path, key)] = line
        mapping[key] = _plain(loader, value, (*path, key), lines, name, depth + 1)
    return mapping


def _problem(error: yaml.MarkedYAMLError) -> str:
    return " ".join(str(part) for part in (error.context, error.problem) if part)
