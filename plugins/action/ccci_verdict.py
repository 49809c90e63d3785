"""The last word of a play: fails unless every planned assertion passed, which gives `ansible-playbook` a true code.

With `so_far: true` it fails nothing and only answers `ccci_verdict.failed`, which decides whether to keep the app.
"""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.action import ActionBase

from ccci import events, redaction
from ccci.actions import own_variables, run_dir_of
from ccci.report import result as report


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        run_dir = run_dir_of(own_variables(self._templar, task_vars or {}))
        if run_dir is None:
            return {"failed": True, "msg": "ccci_run_dir is not set: there is no run to judge"}
        if self._task.args.get("so_far"):
            return {"changed": False, "ccci_verdict": {"failed": _anything_wrong(events.read(run_dir))}}
        leaks = {path: sorted(names) for path, names in redaction.find_leaks(run_dir).items()}
        events.append(run_dir, "leaks", files=leaks)
        plan = json.loads((run_dir / "plan.json").read_text())
        verdict = report.compute(plan, events.read(run_dir)).to_json()
        wrong = [f"{tier['tier']}: {tier['cause']}" for tier in verdict["tiers"] if tier["cause"]]
        return {
            "changed": False,
            "failed": verdict["verdict"] != "pass",
            "msg": f"verdict {verdict['verdict']}" + "".join(f"\n  {line}" for line in wrong),
        }


def _anything_wrong(stream: list[events.Event]) -> bool:
    return any(event.get("outcome") not in ("pass", "skip") for event in stream if event["type"] == "result") or any(
        event.get("outcome") != "ok" for event in stream if event["type"] == "task"
    )
