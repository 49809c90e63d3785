"""The event file of a run: the one stream that plugins write and that the live view and the report read.

The shapes are in docs/architecture.md. Lines are short and written with one `write` on an `O_APPEND` descriptor, so
that the workers of ansible-playbook can write at the same time. Only a line feed ends a line: texts of an app may hold
the other characters that Python takes for line ends (U+2028, U+0085).
"""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from typing import Any

from ccci import redaction

EVENTS_FILE = "events.jsonl"
EVIDENCE_LIMIT = 4096
Event = dict[str, Any]


def append(run_dir: Path, event_type: str, /, **fields: Any) -> None:
    """Adds one event, redacted, with the time of now unless `at` is given. Fields that are None are left out."""
    event: Event = {"at": round(fields.pop("at", None) or time.time(), 3), "type": event_type}
    redactor = redaction.redactor_of(run_dir)
    # Hidden first and cut then: what is left of a secret that was cut through is no secret that anybody would know.
    event |= {key: _bounded(redactor.data(value)) for key, value in fields.items() if value is not None}
    line = (json.dumps(event, ensure_ascii=False, default=str) + "\n").encode("utf-8", "replace")
    descriptor = os.open(run_dir / EVENTS_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, "an event was written in part only", str(run_dir / EVENTS_FILE))
    finally:
        os.close(descriptor)


def read(run_dir: Path) -> list[Event]:
    """All complete events, oldest first. A last line that a killed process left half written is not an event.

    Any other line that cannot be read may have been the one that said `fail`: it becomes a result that is an error.
    """
    if not (run_dir / EVENTS_FILE).exists():
        return []
    complete, _, rest = (run_dir / EVENTS_FILE).read_bytes().decode("utf-8", "replace").rpartition("\n")
    lines = [*complete.split("\n"), *([rest] if _parsed(rest) else [])]
    return [_parsed(line) or _unreadable(number) for number, line in enumerate(lines, 1) if line.strip()]


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
        lines = complete.decode("utf-8", "replace").split("\n")
        return [event for event in map(_parsed, lines) if event]


def _parsed(line: str) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "type" in event else None


def _unreadable(number: int) -> Event:
    return {"type": "result", "tier": "prepare", "id": "prepare.events", "outcome": "error",
            "expected": "every line of the event file can be read", "observed": f"line {number} cannot"}  # fmt: skip


def _bounded(value: Any) -> Any:
    if isinstance(value, str) and len(value) > EVIDENCE_LIMIT:
        return "… " + value[-EVIDENCE_LIMIT:]
    return value
