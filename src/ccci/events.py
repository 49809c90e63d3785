"""The event file of a run: the one stream that plugins write and that the live view and the report read.

The shapes are in docs/architecture.md. Lines are short and written with one `write` on an `O_APPEND` descriptor, so
that the workers of ansible-playbook can write at the same time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ccci import redaction

EVENTS_FILE = "events.jsonl"
EVIDENCE_LIMIT = 4096
Event = dict[str, Any]


def append(run_dir: Path, event_type: str, /, **fields: Any) -> None:
    """Adds one event, redacted, with the time of now unless `at` is given. Fields that are None are left out."""
    event: Event = {"at": round(fields.pop("at", None) or time.time(), 3), "type": event_type}
    event |= {key: _bounded(value) for key, value in fields.items() if value is not None}
    line = json.dumps(redaction.redactor_of(run_dir).data(event), ensure_ascii=False, default=str) + "\n"
    descriptor = os.open(run_dir / EVENTS_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode("utf-8", "replace"))
    finally:
        os.close(descriptor)


def read(run_dir: Path) -> list[Event]:
    """All complete events, oldest first. A last line that a killed process left half written is not an event."""
    return list(_parse((run_dir / EVENTS_FILE).read_text(errors="replace"))) if (run_dir / EVENTS_FILE).exists() else []


class Follower:
    """Reads what was added since the last call: the live view's side of the stream."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / EVENTS_FILE
        self._offset = 0

    def new(self) -> list[Event]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        return list(_parse(complete.decode("utf-8", "replace")))


def _parse(text: str) -> Iterator[Event]:
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "type" in event:
            yield event


def _bounded(value: Any) -> Any:
    if isinstance(value, str) and len(value) > EVIDENCE_LIMIT:
        return "… " + value[-EVIDENCE_LIMIT:]
    return value
