"""Text of services and recipes is hostile: it may hold escape sequences that rewrite a terminal, or break a page."""

from __future__ import annotations

import re
from typing import Any

# CSI (colours, cursor), OSC and the other string sequences (titles, links, clipboard), then any two-byte escape.
# A string that never ends runs to the end of its line only, so that it cannot swallow what follows.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
# Control characters but tab and line feed; what turns the direction of text; lone surrogates; what XML 1.0 forbids.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def plain(text: str) -> str:
    """The text without anything that a terminal, XML or a browser would act on. Line ends become line feeds."""
    return _CONTROLS.sub("", _SEQUENCES.sub("", text.replace("\r\n", "\n")).replace("\r", "\n"))


def one_line(text: str, width: int | None = None) -> str:
    """The same in one line, cut to `width` characters."""
    line = " ".join(plain(text).split())
    return line if width is None or len(line) <= width else line[: max(0, width - 1)] + "…"


def plain_data(data: Any) -> Any:
    """The same for every text in JSON-like data."""
    if isinstance(data, str):
        return plain(data)
    if isinstance(data, dict):
        return {plain(str(key)): plain_data(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain_data(value) for value in data]
    return data
