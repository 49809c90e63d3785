"""Runs a recipe's pytest files in a process of their own, and makes one result of each expected test."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import child

OUTPUT_SHOWN = 3000  # characters of pytest's own output in the evidence


@dataclass
class Run:
    """`lines` are what the plugin wrote; `returncode` is None when the limit was reached."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    output: str = ""
    returncode: int | None = None


def run(files: Sequence[str], context: Mapping[str, Any], limit: float) -> Run:
    """Starts pytest and waits for its end, or for `limit` seconds; then the whole process group is killed."""
    with tempfile.TemporaryDirectory(prefix="ccci-pytest-") as folder:
        results, context_file = Path(folder) / "results.jsonl", Path(folder) / "context.json"
        context_file.write_text(json.dumps({**context, "results": str(results)}))
        context_file.chmod(0o600)
        (Path(folder) / "pytest.ini").write_text("[pytest]\n")
        # pytest names a test by its place below the root: outside of it, two files of one name are one.
        root = os.path.commonpath([Path(file).parent for file in files])
        arguments = [
            "-p", "ccci.testing.plugin", "-p", "no:cacheprovider", "-q", "--tb=short",
            "-c", str(Path(folder) / "pytest.ini"), "--rootdir", root, "--import-mode=importlib",
            "--basetemp", str(Path(folder) / "tmp"), *files,
        ]  # fmt: skip
        # What tests and marker.py share lies beside the folder tests/.
        beside = os.pathsep.join(sorted({str(Path(file).parent.parent) for file in files}))
        more, made = {"CCCI_TEST_CONTEXT": str(context_file), "PYTHONPATH": beside}, Run()
        made.returncode, made.output = child.run("pytest", arguments, Path(folder), more, limit)
        if results.exists():
            made.lines = list(_parsed(results.read_text().splitlines()))
        return made


def judge(done: Run, expected: Sequence[str], limit: float) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """`(results, artefacts)`: each expected test has at least one result, and each test that ran has its own. Pure."""
    results, artefacts = [], []
    for line in done.lines:
        if isinstance(line.get("result"), dict):
            one = {name: value for name, value in line["result"].items() if value is not None}
            artefacts += one.pop("artefacts", [])
            results.append(one)
    told = {one["id"] for one in results}
    started = {str(line["started"]) for line in done.lines if "started" in line}
    discovered = {name for line in done.lines for name in line.get("discovered", [])}
    for name in expected:
        if name not in told:
            results.append(_without_result(name, done, name in started, name in discovered, limit))
    return results, artefacts


def _without_result(name: str, done: Run, started: bool, discovered: bool, limit: float) -> dict[str, Any]:
    broken = [str(line["evidence"]) for line in done.lines if "broken" in line]
    one: dict[str, Any] = {"id": name, "outcome": "error", "expected": "a result from pytest"}
    if started and done.returncode is None:
        one |= {"outcome": "fail", "observed": f"still running after {limit:.0f} s", "failure_id": "interactive-hang"}
    elif done.returncode is None:
        one["observed"] = f"not begun when the limit of {limit:.0f} s for all tests was reached"
    elif started:
        one["observed"] = f"pytest ended (return code {done.returncode}) in the middle of it"
    elif broken:
        one["observed"] = "its file cannot be loaded"
    elif discovered:
        one["observed"] = f"discovered, but not run (pytest returned {done.returncode})"
    else:
        one["observed"] = f"not discovered (pytest returned {done.returncode}): is the file complete?"
        one["failure_id"] = "stale-checkout"
    one["evidence"] = "\n".join([*broken, done.output[-OUTPUT_SHOWN:]]).strip()
    return one


def _parsed(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            data = json.loads(line)
        except ValueError:
            continue  # half a line of a process that was killed
        if isinstance(data, dict):
            yield data
