"""The app's `.env`: the recipe's sample as `abra app new` copies it, and the one block that we add. Pure.

Of a key that occurs twice the last value counts (ENV-1), so our block stands at the end and the sample stays as it was,
with the modifiers of its secrets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .dotenv import lines_of, parse_env_sample

BEGIN = "# --- set by ccci ---"
DEFAULT_COMPOSE_FILE = "compose.yml"
_COMMANDS = re.compile(r"(PRE|POST)_[A-Z]+_CMDS")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "$": "\\$", "\n": "\\n", "\r": "\\r"}


def quoted(value: str) -> str:
    """The value so that it is read back literally: single quotes where they can be, else double ones with escapes."""
    if "\0" in value:
        raise ValueError("a value for an app's .env cannot hold a NUL character")
    if not set(value) & set("'\n\r"):
        return f"'{value}'"
    return '"' + "".join(_ESCAPES.get(character, character) for character in value) + '"'


def with_block(text: str, values: Mapping[str, str]) -> str:
    """The file with our block; an earlier block of ours is replaced."""
    kept = without_block(text).rstrip("\n")
    lines = [f"{key}={quoted(value)}" for key, value in values.items()]
    return "\n".join([*([kept] if kept else []), BEGIN, *lines, ""])


def without_block(text: str) -> str:
    return text.partition(f"{BEGIN}\n")[0]


def with_new_keys(text: str, sample: str) -> str:
    """An existing app's file for a newer version of its recipe, as a careful operator would keep it.

    Values that are there stay; keys that only the newer sample has are added as it writes them, with their modifiers.
    """
    own = without_block(text)
    known = {line.key for line in parse_env_sample(own)}
    lines = lines_of(sample)
    added = [lines[line.line - 1] for line in parse_env_sample(sample) if line.key not in known]
    return "\n".join([own.rstrip("\n"), *added, ""]) if added else own


def compose_files(sample: Mapping[str, str], env: Mapping[str, str], chosen: Sequence[str] | None) -> list[str]:
    """One side's compose files: those of the recipe settings, else COMPOSE_FILE of env or sample, else compose.yml."""
    if chosen:
        return list(chosen)
    written = env.get("COMPOSE_FILE") or sample.get("COMPOSE_FILE") or DEFAULT_COMPOSE_FILE
    return [name for name in written.split(":") if name]


def silenced(text: str) -> dict[str, str]:
    """Commands that abra would run by itself after its work, perhaps on the node: none of a stranger's may."""
    return {line.key: "" for line in parse_env_sample(text) if _COMMANDS.fullmatch(line.key)}


def our_values(
    domain: str, stack: str, env: Mapping[str, str], files: Sequence[str], timeout: int | None
) -> dict[str, str]:
    """What our block sets. TIMEOUT (seconds) and LETS_ENCRYPT_ENV yield to the recipe settings; the rest does not.

    STACK_NAME is set because abra would take one that a recipe's sample brings along, and deploy over another stack.
    An empty LETS_ENCRYPT_ENV means no certificate resolver, so that a test never asks the authority for anything.
    """
    defaults = {"LETS_ENCRYPT_ENV": "", **({"TIMEOUT": str(timeout)} if timeout else {})}
    return {
        **defaults,
        **{key: str(value) for key, value in env.items()},
        "DOMAIN": domain,
        "STACK_NAME": stack,
        "COMPOSE_FILE": ":".join(files),
    }
