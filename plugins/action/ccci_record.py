"""Records results that the playbook itself knows, in the shape of every module. Runs on the controller only.

`note` is a text for people, beside the results. `failure` {file, id, unless_judged, ends} is for a `rescue`: what
ended the tasks of that file. `id` is the result's, by default the name of the task. `unless_judged`: nothing is
recorded when a module has recorded a bad result of its own. `ends`: the task fails then, right after its result, so
that nobody takes it for one that broke.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ccci import events, failed_task
from ccci.actions import own_variables, record, run_dir_of


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        ours = own_variables(self._templar, task_vars or {})
        run_dir = run_dir_of(ours)
        answer = {key: self._task.args[key] for key in ("results", "facts") if key in self._task.args}
        failure = self._task.args.get("failure")
        if failure:
            answer["results"] = [*answer.get("results", []), *_ended(failure, task_vars or {})]
        if run_dir is not None:
            record(run_dir, answer, ours, time.time())
            if self._task.args.get("note"):
                events.append(run_dir, "note", text=str(self._task.args["note"]))
        ends = bool(failure and failure.get("ends"))
        return {"changed": False, "failed": ends, "msg": failure["id"] if ends else "", "ccci": answer}


def _ended(failure: dict[str, Any], variables: dict[str, Any]) -> list[dict[str, Any]]:
    """Ansible's variables about the task are read as they are, for they hold templates. It sets none for a file that
    cannot be included: then they are another task's."""
    file = Path(failure["file"])
    if not file.is_file():
        return [{"id": failure.get("id") or file.name, **failed_task.missing(str(file))}]
    task, result = variables["ansible_failed_task"], variables["ansible_failed_result"]
    if failure.get("unless_judged") and failed_task.judged(result):
        return []
    return [{"id": failure.get("id") or task["name"], **failed_task.ended_by(task, result)}]
