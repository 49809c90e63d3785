"""Renders those variables of an app's `.env` that use facts of its deps, once they are there. On the controller only.

Options: `app`, the key of a dep or `app` for the recipe itself. Answers `late` {env, env_from_upgrade}. Where a value
cannot be made, that is the result of the app's deploy, which cannot begin: neither the recipe nor the node is at fault.
"""

from __future__ import annotations

import json
import time
from typing import Any

from ansible.plugins.action import ActionBase

from ccci import dep_facts, redaction
from ccci.actions import own_variables, record, run_dir_of, told_of
from ccci.errors import CcciError


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"app"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        ours = own_variables(self._templar, task_vars or {})
        run_dir, app = run_dir_of(ours), str(self._task.args.get("app") or dep_facts.APP)
        if run_dir is None:
            return {"failed": True, "msg": "ccci_run_dir is not set: there is no run whose deps have facts"}
        plan = json.loads((run_dir / "plan.json").read_text())
        try:
            return {"changed": False, "late": dep_facts.late_values(plan, dep_facts.load(run_dir), app)}
        except CcciError as error:
            observed = redaction.redactor_of(run_dir).text(str(error))
            result = {
                "id": f"{ours.get('ccci_tier')}.deploy", "outcome": "error",
                "expected": "what the deps provide fills in the app's settings", "observed": observed,
                "hint": "recipe.yml says what it uses of a dep (env:), the provider's folder what it provides",
            }  # fmt: skip
            record(run_dir, {"results": [result]}, ours, time.time())
            return {"failed": True, "msg": told_of(ours, observed), "ccci": {"results": [result]}}
