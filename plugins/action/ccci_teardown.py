"""Fetches the logs as soon as the module has written them: its last slice removes the folder that they are in."""

from __future__ import annotations

from typing import Any

from ccci.actions import own_variables, run_dir_of
from ccci.holding import HolderAction


class ActionModule(HolderAction):
    def _execute_module(
        self, module_name: str | None = None, module_args: dict[str, Any] | None = None, **keywords: Any
    ) -> dict[str, Any]:
        answer = super()._execute_module(module_name, module_args, **keywords)
        run_dir = run_dir_of(own_variables(self._templar, keywords.get("task_vars") or {}))
        cursor = (answer.get("ccci_slice") or {}).get("cursor") or {}
        files = cursor.pop("files", [])
        if run_dir is not None and files:
            self._fetch_files({"ccci_files": files}, run_dir)
        return answer
