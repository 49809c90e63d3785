"""Writes a run's result.json, junit.xml and report.html. All of it comes from plan.json and the events, at any time."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ccci import events, redaction
from ccci.errors import InfrastructureError
from ccci.report import clean, html, junit
from ccci.report.result import Result, compute, last_play, with_artefacts
from ccci.schemas import check

RESULT_FILE, JUNIT_FILE, HTML_FILE = "result.json", "junit.xml", "report.html"
_OWN = (
    ("plan.json", "data", "What was planned"),
    (events.EVENTS_FILE, "data", "What happened, event by event"),
    (RESULT_FILE, "data", "The result, for programs"),
    (JUNIT_FILE, "data", "The result, for CI servers"),
    (HTML_FILE, "report", "The result, for people"),
)


def write_all(run_dir: Path) -> Result:
    """Computes the result and writes it in three forms. InfrastructureError when plan.json cannot be read."""
    try:
        plan = json.loads((run_dir / "plan.json").read_text())
    except (OSError, ValueError) as error:
        raise InfrastructureError(f"{run_dir / 'plan.json'} cannot be read", observed=str(error)) from error
    own = [{"kind": kind, "path": path, "title": title} for path, kind, title in _OWN]
    stream = last_play(events.read(run_dir))
    hide = redaction.redactor_of(run_dir)
    plan["run"] |= {"set": hide.data(plan["run"].get("set") or {})}  # before it is quoted for a shell
    result = with_artefacts(compute(plan, stream), own)
    data: dict[str, Any] = clean.plain_data(hide.data(result.to_json()))
    found = check.problems("result", data)
    if found:
        where = "; ".join(f"{'.'.join(map(str, path))}: {what}" for path, what in found[:5])
        raise InfrastructureError("The result does not have its documented shape", observed=where)
    _write(run_dir / RESULT_FILE, json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    _write(run_dir / JUNIT_FILE, hide.text(junit.render(data)))
    _write(run_dir / HTML_FILE, hide.text(html.render(data, stream, run_dir)))
    return result


def _write(path: Path, text: str) -> None:
    """Whole or not at all, so that a reader never sees half a report."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
