"""The one place that hides secrets.

A run's secret values live in `<run dir>/secrets.json` (mode 0600, `{name: value}`). Everything that is written to a
run's folder or to a terminal passes through `Redactor.text`; `find_leaks` is the independent check at a run's end.
"""

from __future__ import annotations

import base64
import html
import json
import os
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SECRETS_FILE = "secrets.json"
SHORTEST = 6  # hiding shorter values would tear holes into ordinary words; nothing that a run generates is that short


def encodings(value: str) -> set[str]:
    """The spellings in which a secret may turn up: plain, JSON-escaped, URL-encoded, base64."""
    raw = value.encode()
    spellings = {value, json.dumps(value)[1:-1], urllib.parse.quote(value, safe=""), urllib.parse.quote_plus(value)}
    spellings.add(html.escape(value))
    spellings |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    if "\n" in value:  # multi-line secrets (keys) are usually printed line by line
        spellings |= {line for line in value.splitlines() if len(line) >= 2 * SHORTEST}
    return {spelling for spelling in spellings if len(spelling) >= SHORTEST}


class Redactor:
    """Replaces every known secret by `<secret NAME>`; longest first, so that no tail of one remains."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        pairs = {spelling: name for name, value in secrets.items() for spelling in encodings(value)}
        self._pairs = sorted(pairs.items(), key=lambda pair: -len(pair[0]))

    def text(self, text: str) -> str:
        for spelling, name in self._pairs:
            if spelling in text:
                text = text.replace(spelling, f"<secret {name}>")
        return text

    def data(self, data: Any) -> Any:
        """The same for JSON-like data, keys included."""
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, Mapping):
            return {self.text(str(key)): self.data(value) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.data(value) for value in data]
        return data

    def finds(self, text: str) -> set[str]:
        """The names of the secrets that occur in `text`."""
        return {name for spelling, name in self._pairs if spelling in text}


def load_secrets(run_dir: Path) -> dict[str, str]:
    try:
        return dict(json.loads((run_dir / SECRETS_FILE).read_text()))
    except FileNotFoundError:
        return {}


def add_secrets(run_dir: Path, secrets: Mapping[str, str]) -> None:
    """Registers secret values for the rest of the run; others can never read the file, not even while it is written."""
    if not secrets:
        return
    merged = load_secrets(run_dir) | dict(secrets)
    partial = run_dir / f"{SECRETS_FILE}.{os.getpid()}"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(merged, file)
    partial.replace(run_dir / SECRETS_FILE)


def redactor_of(run_dir: Path) -> Redactor:
    return Redactor(load_secrets(run_dir))


def find_leaks(run_dir: Path) -> dict[str, set[str]]:
    """Files of the run in which a secret can be read: `{relative path: {names}}`. Binary files are searched too."""
    redactor = redactor_of(run_dir)
    leaks = {}
    for path in _files(run_dir):
        names = redactor.finds(path.read_bytes().decode("utf-8", "surrogateescape"))
        if names:
            leaks[str(path.relative_to(run_dir))] = names
    return leaks


def _files(run_dir: Path) -> Iterable[Path]:
    return sorted(path for path in run_dir.rglob("*") if path.is_file() and path != run_dir / SECRETS_FILE)
