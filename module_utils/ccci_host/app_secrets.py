"""The secrets of an app before a deploy: those that recipe.yml describes are inserted, abra generates the others.

Values travel through files that only root can read and through abra's standard output; never through arguments or logs.
"""

from __future__ import annotations

import json
import os
import secrets
import string
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .compose import SecretSpec

LETTERS = string.ascii_letters + string.digits


class NoValue(Exception):  # noqa: N818 - says what happened
    """A secret whose value nobody can make; the text names it and what would help."""


@dataclass(frozen=True)
class Steps:
    """What is to do: `inserted` {spec: how}, `generated` specs, and `all_new` when nothing was there before."""

    inserted: Mapping[SecretSpec, Mapping[str, Any]]
    generated: Sequence[SecretSpec]
    all_new: bool


def steps(specs: Sequence[SecretSpec], settings: Mapping[str, Mapping[str, Any]], existing: Collection[str]) -> Steps:
    """Which secrets to insert and which to let abra generate; `existing` are names of secrets in the swarm. Pure."""
    missing = [spec for spec in specs if spec.full_name not in existing]
    inserted = {spec: settings[spec.name] for spec in missing if spec.name in settings}
    generated = [spec for spec in missing if spec not in inserted and spec.generate]
    return Steps(inserted, generated, all_new=len(missing) == len(specs))


def make_value(name: str, how: Mapping[str, Any], given: Mapping[str, str] | None = None) -> str:
    """A value as recipe.yml describes it: `hex` random bytes, `length` letters and digits, or one of a dep's."""
    if how.get("value_from"):
        if not (given or {}).get(name):
            raise NoValue(f"The secret {name} is {how['value_from']}, and nobody handed that over")
        return str((given or {})[name])
    if how.get("hex"):
        return secrets.token_hex(int(how["hex"]))
    if how.get("length"):
        return "".join(secrets.choice(LETTERS) for _ in range(int(how["length"])))
    raise NoValue(f"The secret {name} is described by {', '.join(how) or 'nothing'}; known: hex, length, value_from")


@contextmanager
def value_file(folder: Path, value: str) -> Iterator[Path]:
    """A file that only its owner can read, for as long as it is needed."""
    descriptor, name = tempfile.mkstemp(prefix=".secret-", dir=folder)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(value)
        yield Path(name)
    finally:
        Path(name).unlink()


def generated_values(stdout: str) -> dict[str, str]:
    """The values that abra prints with `-m`: `[{"name", "value"}]` or `{name: value}`, after whatever it says first."""
    decoder = json.JSONDecoder()
    for position, character in enumerate(stdout):
        if character not in "[{":
            continue
        try:
            found, _ = decoder.raw_decode(stdout, position)
        except ValueError:
            continue
        if isinstance(found, dict):
            return {str(name): str(value) for name, value in found.items()}
        rows = [row for row in found if isinstance(row, dict) and "name" in row and "value" in row]
        if rows or not found:
            return {str(row["name"]): str(row["value"]) for row in rows}
    return {}


def provide(
    wanted: Steps, domain: str, folder: Path, call: Callable[[Sequence[str]], str],
    given: Mapping[str, str] | None = None,
) -> dict[str, str]:  # fmt: skip
    """Makes every missing secret and returns the new values by compose id; `call(argv)` runs abra and gives its stdout.

    `given` {name: value} are those that come from deps: they are no news, and Ansible would mask them in the answer.
    """
    values = {}
    for spec, how in wanted.inserted.items():
        value = make_value(spec.name, how, given)
        if not how.get("value_from"):
            values[spec.name] = value
        with value_file(folder, value) as path:
            call(["app", "secret", "insert", domain, spec.name, spec.version, str(path), "-f"])
    if wanted.generated and wanted.all_new:
        values.update(generated_values(call(["app", "secret", "generate", domain, "--all", "-m"])))
    elif wanted.generated:
        for spec in wanted.generated:
            stdout = call(["app", "secret", "generate", domain, spec.name, spec.version, "-m"])
            values.update(generated_values(stdout))
    unknown = [spec.name for spec in wanted.generated if spec.name not in values]
    if unknown:
        raise NoValue(f"abra generated {', '.join(unknown)} but did not say the value: it could not be hidden")
    return values
