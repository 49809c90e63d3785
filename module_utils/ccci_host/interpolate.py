"""Variables in compose values: `$V`, `${V}`, `${V:-default}`, `${V-default}`, `${V:?error}`, `$$`; not nested. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

LONGEST = 64 * 1024  # characters of one value; variables must not be able to blow a value up
_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<named>[_a-z][_a-z0-9]*)"
    r"|\{(?P<braced>[_a-z][_a-z0-9]*)(?:(?P<operator>:?[-?])(?P<word>[^}]*))?\}|(?P<invalid>))",
    re.IGNORECASE,
)


def interpolate(text: str, env: Mapping[str, str]) -> str:
    """The text with its variables filled in; one that is not set is empty. ValueError says what is wrong with it.

    As the Docker CLI does it: the default is taken as it stands, so `${A:-${B}}` gives the text `${B}`.
    """
    if "$" not in text:
        return text
    filled = _VARIABLE.sub(lambda match: _value(match, text, env), text)
    if len(filled) > LONGEST:
        raise ValueError(f"becomes {len(filled)} characters long; at most {LONGEST} are taken")
    return filled


def _value(match: re.Match[str], text: str, env: Mapping[str, str]) -> str:
    if match["escaped"]:
        return "$"
    name = match["named"] or match["braced"]
    if not name:
        raise ValueError(f"has an invalid interpolation format: {text[:200]!r}; write $$ for a plain $")
    value = env.get(name)
    operator = match["operator"] or ""
    if not operator or value or (value == "" and not operator.startswith(":")):
        return value or ""
    if operator.endswith("?"):
        raise ValueError(f"needs the variable {name}: {match['word'] or 'it is not set'}")
    return str(match["word"])
