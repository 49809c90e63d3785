"""Records results that the playbook itself knows, in the shape of every module. Runs on the controller only."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase

from ccci.actions import own_variables, record, run_dir_of


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        ours = own_variables(self._templar, task_vars or {})
        run_dir = run_dir_of(ours)
        answer = {key: self._task.args[key] for key in ("results", "facts") if key in self._task.args}
        if run_dir is not None:
            record(run_dir, answer, ours, time.time())
        return {"changed": False, "ccci": answer}
