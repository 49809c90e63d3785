"""YAML of compose files as plain data that remembers where each key and item stands.

The files come from strangers: what a file may make us build is bounded (size, depth, number of values), so that
neither aliases that refer to aliases nor deep nesting can hang or crash the reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

Place = tuple[str, int]  # file, line from 1

LARGEST_FILE = 256 * 1024  # characters; the largest compose file seen in the field has 12 kB
DEEPEST = 30
MOST_VALUES = 20_000  # after aliases and merge keys are expanded
MOST_TEXT = 1024 * 1024  # characters, expanded as well
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MODERN_NUMBER = re.compile(r"0o[0-7]{1,20}|[+-]?\d{1,20}(?:\.\d{0,20})?[eE][+-]?\d{1,3}")  # numbers since YAML 1.2
_TAG = "tag:yaml.org,2002:"


class ComposeError(Exception):
    """A compose file, .env or abra.sh that is wrong: where (`file`, `line`, from 1) and `what`."""

    def __init__(self, file: str, line: int, what: str) -> None:
        super().__init__(file, line, what)
        self.file = file
        self.line = line
        self.what = what

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


class Map(dict[str, Any]):
    """A mapping; `places` has the place of each key."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, Place] = {}

    def put(self, key: str, value: Any, place: Place) -> None:
        self[key] = value
        self.places[key] = place


class Seq(list[Any]):
    """A list; `places` has the place of each item."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[Place] = []

    def put(self, value: Any, place: Place) -> None:
        self.append(value)
        self.places.append(place)

    def placed(self) -> Iterator[tuple[Any, Place]]:
        return zip(self, self.places, strict=True)


def load(text: str, file: str) -> Map:
    """The mapping that the file holds. ComposeError for anything that is not one YAML mapping of bounded size."""
    if len(text) > LARGEST_FILE:
        raise ComposeError(file, 1, f"has {len(text)} characters; at most {LARGEST_FILE} are read")
    try:
        _refuse_depth(text, file)
        root: Any = _node(text)
        if root is None:
            raise ComposeError(file, 1, "is empty")
        if not isinstance(root, yaml.MappingNode):
            raise ComposeError(file, root.start_mark.line + 1, "must be a mapping with services at the top")
        built = _Builder(file).build(root, 0)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(part for part in (error.context, error.problem) if part)
        raise ComposeError(file, mark.line + 1 if mark else 1, f"is not valid YAML: {words}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ComposeError(file, 1, f"is not valid YAML: {error}") from error
    assert isinstance(built, Map)
    return built


def _refuse_depth(text: str, file: str) -> None:
    """Before any tree is built: the tree builder recurses in C, where too much depth is a crash and no exception."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise ComposeError(file, line, f"is nested deeper than {DEEPEST} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _node(text: str) -> Any:
    loader = _LOADER(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


class _Builder:
    """Builds plain data from YAML nodes, expanding aliases and `<<`, and counts what it builds."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.values = 0
        self.text = 0

    def build(self, node: Any, depth: int) -> Any:
        line = node.start_mark.line + 1
        self.values += 1
        if depth > DEEPEST:
            raise ComposeError(self.file, line, f"is nested deeper than {DEEPEST} levels, or refers to itself")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            items = Seq()
            for item in node.value:
                items.put(self.build(item, depth + 1), (self.file, item.start_mark.line + 1))
            return items
        self.text += len(node.value)
        if self.values > MOST_VALUES or self.text > MOST_TEXT:
            raise ComposeError(self.file, line, f"grows beyond {MOST_VALUES} values when its aliases are expanded")
        return _scalar(node)

    def _mapping(self, node: Any, depth: int) -> Map:
        mapping = Map()
        inherited: list[Map] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ComposeError(self.file, line, "has a key that is not a plain word")
            value = self.build(value_node, depth + 1)
            if key_node.tag == _TAG + "merge":
                inherited += self._inherited(value, line)
            elif key_node.value in mapping:
                raise ComposeError(self.file, line, f"says {key_node.value!r} twice; keep one of the two")
            else:
                mapping.put(key_node.value, value, (self.file, line))
        for other in inherited:  # own keys win, then the first that has it
            for key, value in other.items():
                if key not in mapping:
                    mapping.put(key, value, other.places[key])
        self.values += len(mapping)
        if self.values > MOST_VALUES:
            line = node.start_mark.line + 1
            raise ComposeError(self.file, line, f"grows beyond {MOST_VALUES} values when its aliases are expanded")
        return mapping

    def _inherited(self, value: Any, line: int) -> list[Map]:
        found = [value] if isinstance(value, Map) else value if isinstance(value, Seq) else []
        maps = [item for item in found if isinstance(item, Map)]
        if not maps or len(maps) != len(found):
            raise ComposeError(self.file, line, "has a merge key << whose value is not a mapping")
        return maps


def _scalar(node: Any) -> Any:
    """As the Docker CLI's YAML reader sees it: no base 60, no dates, and yes/no/on/off are words."""
    text = node.value
    kind = node.tag.removeprefix(_TAG)
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        if kind == "int" and ":" not in text:
            return _integer(text.replace("_", ""))
        if kind == "float" and ":" not in text:
            return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
        if kind == "str" and node.style in (None, "") and _MODERN_NUMBER.fullmatch(text):
            return int(text, 8) if "o" in text else float(text)
    except ValueError:
        return text
    return text


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    return int(text, 8) if len(digits) > 1 and digits.isdigit() and digits[0] == "0" else int(text, 0)
