"""An app's `.env`, a recipe's `.env.sample` with its modifiers, and the exports of `abra.sh`. Pure; nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .compose_yaml import ComposeError

LARGEST_FILE = 256 * 1024  # characters
LONGEST_VALUE = 32 * 1024  # so that lines which repeat earlier ones cannot grow without bound
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=[ \t]*(.*)$")
_EXPORT = re.compile(r"\s*export\s+([A-Za-z_][A-Za-z0-9_]*)=(.*)$")
_REFERENCE = r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))"
_UNQUOTED = re.compile(r"\\(\$)|" + _REFERENCE)
_QUOTED = re.compile(r"\\(.)|" + _REFERENCE)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


@dataclass(frozen=True)
class EnvLine:
    """One assignment. `modifiers` are the `k=v` words of the comment behind the value (`# length=32 charset=hex`)."""

    key: str
    value: str
    modifiers: Mapping[str, str] = field(default_factory=dict)
    line: int = 0


def parse_env(text: str, file: str = ".env") -> dict[str, str]:
    """The variables; of a key that occurs twice the last value counts. ComposeError for a line that assigns nothing."""
    return {line.key: line.value for line in _lines(text, file)}


def parse_env_sample(text: str, file: str = ".env.sample") -> list[EnvLine]:
    """Every assignment in its order, with the modifiers. The same for an app's own .env, which is a copy of it."""
    return list(_lines(text, file))


def abra_exports(text: str) -> dict[str, str]:
    """`export NAME=value` lines of abra.sh: the raw text behind the first `=`; quotes and `$` stay as they are."""
    found = (_EXPORT.match(line) for line in lines_of(text[:LARGEST_FILE]))
    return {match[1]: match[2].rstrip() for match in found if match}


def lines_of(text: str) -> list[str]:
    """Lines as abra's reader has them. Python's own idea (U+2028, U+0085, form feed) would let a file say one thing to
    the judgement and another to abra: behind `# x<U+2028>` there is still the comment."""
    return text.replace("\r\n", "\n").split("\n")


def _lines(text: str, file: str) -> Iterator[EnvLine]:
    if len(text) > LARGEST_FILE:
        raise ComposeError(file, 1, f"has {len(text)} characters; at most {LARGEST_FILE} are read")
    if "\0" in text:
        raise ComposeError(file, text.partition("\0")[0].count("\n") + 1, "holds a NUL character")
    known: dict[str, str] = {}
    for number, raw in enumerate(lines_of(text), 1):
        if "\r" in raw:  # abra's reader ends a value there, but no comment
            raise ComposeError(file, number, "holds a carriage return that ends no line")
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _ASSIGNMENT.match(line)
        if not match:
            raise ComposeError(file, number, f"is not KEY=value: {line[:80]!r}")
        value, comment = _value(match[2], known)
        if len(value) > LONGEST_VALUE:
            raise ComposeError(file, number, f"{match[1]} becomes {len(value)} characters long, from earlier lines")
        known[match[1]] = value
        yield EnvLine(match[1], value, _modifiers(comment), number)


def _value(rest: str, known: Mapping[str, str]) -> tuple[str, str]:
    """The value and the comment behind it."""
    quote = rest[:1]
    if quote in ("'", '"'):
        end = _closing(rest, quote)
        tail = rest[end + 1 :].strip() if end else ""
        if end and (not tail or tail.startswith("#")):
            inner = rest[1:end]
            return (inner if quote == "'" else _expand(_QUOTED, inner, known)), tail
    parts = re.split(r"(?:^|[ \t])#", rest, maxsplit=1)
    plain, comment = parts[0], "".join(parts[1:])
    return _expand(_UNQUOTED, plain.strip(), known), comment


def _closing(rest: str, quote: str) -> int:
    """Where the quote that opens the text is closed; 0 when it is not."""
    position = 1
    while position < len(rest):
        if quote == '"' and rest[position] == "\\":
            position += 1
        elif rest[position] == quote:
            return position
        position += 1
    return 0


def _expand(pattern: re.Pattern[str], text: str, known: Mapping[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        if match[1]:
            return _ESCAPES.get(match[1], match[0])
        return known.get(match[2] or match[3], "")

    return pattern.sub(one, text)


def _modifiers(comment: str) -> dict[str, str]:
    words = (word.partition("=") for word in comment.lstrip("# \t").split())
    return {key: value for key, equals, value in words if equals and key.isidentifier() and value}
