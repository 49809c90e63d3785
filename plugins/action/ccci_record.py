"""Records results that the playbook itself knows, in the shape that every module answers with. Runs on the controller only."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ccci.actions import record


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        answer = {key: self._task.args[key] for key in ("results", "facts") if key in self._task.args}
        if variables.get("ccci_run_dir"):
            record(Path(str(variables["ccci_run_dir"])), answer, variables, time.time())
        return {"changed": False, "ccci": answer}
