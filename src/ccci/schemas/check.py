"""Validates data against the JSON Schemas that ccci ships."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any


@cache
def schema(name: str) -> dict[str, Any]:
    """The schema `recipe`, `plan`, `result` …; `provides/sso` is one of a folder."""
    text = resources.files("ccci.schemas").joinpath(f"{name}.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def problems(name: str, data: Any) -> list[tuple[tuple[str | int, ...], str]]:
    """`(path of the offending key or item, what is wrong with it)`; empty when the data is valid."""
    from jsonschema import Draft202012Validator

    found = Draft202012Validator(schema(name)).iter_errors(data)
    texts = [problem for error in found for problem in explain(error)]
    return sorted(texts, key=lambda problem: [str(part) for part in problem[0]])


def explain(error: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """An error of jsonschema in our words, as `problems` gives them."""
    path = tuple(error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = sorted(error.schema.get("properties", {}))
        for key in error.instance:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
                yield (*path, key), f"unknown key {key!r}; {hint}"
    elif error.validator == "propertyNames" or (error.parent and error.parent.validator == "propertyNames"):
        yield (*path, str(error.instance)), f"{error.instance!r} is not a possible name here"
    elif error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        yield path, f"needs {' and '.join(map(repr, missing))}"
    elif error.validator == "oneOf" and all(list(choice) == ["required"] for choice in error.validator_value):
        yield path, "needs exactly one of " + ", ".join(repr(choice["required"][0]) for choice in error.validator_value)
    elif error.validator == "not" and list(error.validator_value) == ["required"]:
        yield path, f"only one of {' and '.join(map(repr, error.validator_value['required']))} can be said"
    elif error.validator == "dependentRequired":
        for key, needed in error.validator_value.items():
            missing = [other for other in needed if other not in error.instance]
            if key in error.instance and missing:
                yield (*path, key), f"{key!r} only goes with {' and '.join(map(repr, missing))}"
    elif error.validator == "enum":
        near = difflib.get_close_matches(str(error.instance), [str(value) for value in error.validator_value], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        yield path, f"{error.instance!r} is not one of {', '.join(map(str, error.validator_value))}{hint}"
    elif error.validator == "pattern":
        yield path, f"{error.instance!r} does not look like {error.validator_value}"
    else:
        yield path, str(error.message)
