"""Writes and judges the markers that only the app itself can keep, by the recipe's marker.py, on the controller.

Its options: library/ccci_api_marker.py.
"""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ccci import api_marker, redaction
from ccci.actions import app_context, own_variables, record, run_dir_of
from ccci.engine import processes
from ccci.testing.context import read_lines
from ccci_host import marker
from ccci_host.answer import Answer, summary
from ccci_probe import child

DEFAULT_LIMIT = 300
SAID = 300  # characters of what a process printed
FILE = "marker.json"  # of the run's folder: {value, later: [value…]}
IDS = {"seeded": "upgrade.marker_seeded", "survived": "upgrade.marker_survived", "present": "backup.marker_present",
       "changed": "restore.mutated", "judged": "restore.marker_back"}  # fmt: skip
OPERATIONS = ("seeded", "changed")
UPGRADE_LOST = "Something between the marker's writing and this backup lost it: look at the upgrade"


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = False
    _VALID_ARGS = frozenset({"state", "file", "lost", "limit"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        processes.die_with_parent()
        variables = task_vars or {}
        super().run(tmp, variables)
        ours, began = own_variables(self._templar, variables), time.time()
        run_dir, arguments = run_dir_of(ours), self._task.args
        state, file = str(arguments.get("state")), Path(str(arguments.get("file")))
        if run_dir is None or state not in IDS or not file.is_file():
            return {
                "failed": True,
                "msg": f"state {state!r}, file {file}: one of {', '.join(IDS)} of a run, and a file",
            }
        self._context = app_context(self._templar, variables, run_dir)
        self._folder, self._file, self._limit = run_dir, file, float(arguments.get("limit") or DEFAULT_LIMIT)
        self._deadline = time.monotonic() + self._limit
        answer = Answer()
        with answer.waiting("app"):
            getattr(self, f"_{state}")(answer, arguments.get("lost") or None)
        told = {"results": answer.results, "waits": answer.waits}
        record(run_dir, told, ours, began)
        bad = [one for one in answer.results if one["outcome"] != "pass"]
        failed = bool(bad) and state in OPERATIONS
        message = "; ".join(map(summary, bad))
        return dict(
            redaction.redactor_of(run_dir).data({"changed": True, "failed": failed, "msg": message, "ccci": told})
        )

    def _seeded(self, answer: Answer, lost: str | None) -> None:
        marker.report(answer, IDS["seeded"], self._seed())

    def _survived(self, answer: Answer, lost: str | None) -> None:
        verdict = self._found()
        told = verdict if verdict.ok else replace(verdict, observed=f"marker lost: {verdict.observed}")
        marker.report(answer, IDS["survived"], told, unlike="fail")

    def _present(self, answer: Answer, lost: str | None) -> None:
        verdict = self._found()
        if not verdict.ok:
            # The restore has to be judged by itself, whatever became of the marker before.
            again = self._seed()
            anew = "a new one was written" if again.ok else f"no new one could be written: {again.observed}"
            verdict = replace(verdict, observed=f"{verdict.observed}; {anew}")
        marker.report(answer, IDS["present"], verdict, unlike="fail", hint=UPGRADE_LOST)

    def _changed(self, answer: Answer, lost: str | None) -> None:
        known, later = self._known(), secrets.token_hex(16)
        verdict = api_marker.changed(*self._call(api_marker.change(known["value"], later)))
        self._keep({**known, "later": [*known.get("later", []), later]})
        marker.report(answer, IDS["changed"], verdict, unlike="fail")

    def _judged(self, answer: Answer, lost: str | None) -> None:
        known, third = self._known(), secrets.token_hex(16)
        later = known.get("later", [])
        asked = [("check", value) for value in [known["value"], *later]]
        verdict = api_marker.back(*self._call(asked), len(later))
        marker.report(answer, IDS["judged"], verdict, unlike="fail", failure_id=lost)
        verdict = api_marker.written(*self._call([("seed", third), ("check", third)]))
        marker.report(answer, "restore.write_ready", verdict, unlike="fail")

    def _seed(self) -> marker.Verdict:
        value = secrets.token_hex(16)
        verdict = api_marker.seeded(*self._call(api_marker.seed(value)))
        if verdict.ok:
            self._keep({"value": value})
        return verdict

    def _found(self) -> marker.Verdict:
        value = self._known().get("value")
        if value is None:
            return marker.Verdict(False, "the seeded value", "no marker was written in this run")
        return api_marker.found(*self._call([("check", value)]))

    def _known(self) -> dict[str, Any]:
        path = self._folder / FILE
        return dict(json.loads(path.read_text())) if path.is_file() else {}

    def _keep(self, known: dict[str, Any]) -> None:
        redaction.write_private(self._folder / FILE, known)

    def _call(self, calls: Sequence[api_marker.Call]) -> tuple[list[dict[str, Any]], str]:
        """What came of the calls, up to the first that failed, and how the last process ended."""
        lines: list[dict[str, Any]] = []
        ended = ""
        for together in api_marker.processes(calls):
            more, ended = self._process(together)
            lines += more
            if len(more) < len(together) or "failed" in more[-1]:
                break
        return lines, ended

    def _process(self, calls: Sequence[api_marker.Call]) -> tuple[list[dict[str, Any]], str]:
        with tempfile.TemporaryDirectory(prefix="ccci-marker-") as folder:
            results, file = Path(folder) / "results.jsonl", Path(folder) / "context.json"
            asked = {"file": str(self._file), "calls": list(calls)}
            redaction.write_private(file, {**self._context, "results": str(results), "marker": asked})
            left = max(1.0, self._deadline - time.monotonic())
            code, output = child.run("ccci.testing.marker", [str(file)], Path(folder), {}, left)
            lines = read_lines(results)
        names = "".join(f"{name}()" for name, _ in calls[len(lines) :][:1])
        how = f"did not end within {self._limit:.0f} s" if code is None else f"ended with its process (code {code})"
        # Hidden before it is cut: half a secret would be known to nobody.
        said = redaction.redactor_of(self._folder).text(output.strip())
        return lines, f"{names} of {self._file.name} {how}: {said[-SAID:] if len(said) <= SAID else f'…{said[-SAID:]}'}"
