"""What a dep's provider hands to its parent: facts of one kind, whose schemas are the files of `provides/`.

A fact is secret where its schema says `writeOnly`, JSON Schema's own word for what is given but never shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from ccci.schemas import check

Path = tuple[str, ...]


def kinds() -> list[str]:
    """The kinds of which a recipe can provide facts."""
    folder = resources.files("ccci.schemas").joinpath("provides")
    return sorted(file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json"))


def problems(kind: str, facts: Any) -> list[str]:
    """What is wrong with a provider's facts, one text each; never a value of theirs, for it may be secret."""
    from jsonschema import Draft202012Validator

    found = Draft202012Validator(check.schema(f"provides/{kind}")).iter_errors(facts)
    return sorted(_told(path, text) for error in found for path, text in _without_value(error))


def wants_problems(kind: str, wants: Any) -> list[tuple[tuple[str | int, ...], str]]:
    """What is wrong with what a parent asks for: `(path of the offending key or item, what is wrong with it)`."""
    from jsonschema import Draft202012Validator

    defined = check.schema(f"provides/{kind}")["$defs"]
    found = Draft202012Validator({"$ref": "#/$defs/wants", "$defs": defined}).iter_errors(wants)
    return sorted(
        (one for error in found for one in check.explain(error)), key=lambda one: [str(part) for part in one[0]]
    )


def secret_paths(kind: str) -> set[Path]:
    """The facts of a kind that are secret: {("client_secret",), ("user", "password")}."""
    whole = check.schema(f"provides/{kind}")
    return {path for path, one in _leaves(whole, whole) if one.get("writeOnly")}


def public_paths(kind: str) -> set[Path]:
    """All other facts of a kind, each by the names that lead to it."""
    whole = check.schema(f"provides/{kind}")
    return {path for path, one in _leaves(whole, whole) if not one.get("writeOnly")}


def secrets(kind: str, facts: Mapping[str, Any]) -> dict[str, str]:
    """The secret ones among these facts: {"client_secret": …, "user.password": …}."""
    found = {".".join(path): _at(facts, path) for path in secret_paths(kind)}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _leaves(one: Mapping[str, Any], whole: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    for name, given in one.get("properties", {}).items():
        inner = whole["$defs"][given["$ref"].rpartition("/")[2]] if "$ref" in given else given
        if "properties" in inner:
            yield from _leaves(inner, whole, (*path, name))
        else:
            yield (*path, name), inner


def _at(facts: Any, path: Path) -> Any:
    for name in path:
        facts = facts.get(name) if isinstance(facts, Mapping) else None
    return facts


def _without_value(error: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Names of keys are told, values are not."""
    if error.validator in ("required", "additionalProperties"):
        yield from check.explain(error)
    else:
        yield tuple(error.absolute_path), f"must have {error.validator} {error.validator_value}"


def _told(path: tuple[str | int, ...], text: str) -> str:
    where = ".".join(map(str, path))
    return f"{where}: {text}" if where else text
