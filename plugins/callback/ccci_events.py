"""Writes what a play does to the run's event file, whoever started it: the engine or plain `ansible-playbook`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

from ccci import events, packed_modules
from ccci.engine import processes

DOCUMENTATION = """
name: ccci_events
type: notification
short_description: Writes the events of a ccci run
description:
  - Appends play, task and failure events to C(events.jsonl) in the run's folder (see docs/architecture.md).
  - Silent for plays that name neither C(ccci_plan_file) nor C(ccci_run_dir).
  - Keeps what Ansible packs for ccci's modules from one play to the next.
  - Ties the life of ansible-playbook to the process in C(CCCI_PARENT), so that a killed command line leaves
    nothing running.
"""

QUIET = ("ccci_record", "ccci_verdict", "ccci_late_values")  # nothing that anybody would wait for
ON_THE_CONTROLLER = (*QUIET, "ccci_provide")  # their action plugins do it all: the node is not asked


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "ccci_events"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        self._run_dir: Path | None = None
        self._playbook = ""
        self._began: dict[str, float] = {}
        if parent := os.environ.get("CCCI_PARENT"):
            processes.die_with_parent(int(parent))

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._playbook = Path(playbook._file_name).name
        packed_modules.restore()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        manager = play.get_variable_manager()
        self._run_dir = run_dir_of(manager.extra_vars)
        if self._run_dir is not None:
            tags = list(play.only_tags or ["all"])
            node = str(next(iter(manager._inventory.get_hosts(play.hosts)), "")) if manager._inventory else ""
            self._write("play_start", playbook=self._playbook, pid=os.getpid(), tags=tags, node=node)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._began[task._uuid] = time.time()
        module = task.action.rsplit(".", 1)[-1]
        if module.startswith("ccci_") and module not in QUIET:
            self._write("begin", tier=task.get_vars().get("ccci_tier"), name=_named(task), module=module)

    def v2_runner_on_ok(self, result: Any) -> None:
        self._task(result, "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._task(result, "ok" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._task(result, "unreachable")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        failed = any(stats.failures.values()) or any(stats.dark.values())
        self._write("play_end", playbook=self._playbook, rc=2 if failed else 0)
        packed_modules.keep()

    def _task(self, result: Any, outcome: str) -> None:
        if self._run_dir is None:
            return
        task, answer = result._task, result._result
        module = task.action.rsplit(".", 1)[-1]
        if outcome == "ok" and module == "assert":
            self._passed_assert(task)
        if outcome == "ok" and not module.startswith("ccci_"):
            return  # the plan's bookkeeping is no news
        delegated = (answer.get("_ansible_delegated_vars") or {}).get("ansible_host") or task.delegate_to
        self._write(
            "task",
            tier=task.get_vars().get("ccci_tier"),
            name=_named(task),
            module=module,
            host=str(result._host),
            on="controller" if delegated or module in ON_THE_CONTROLLER else "node",
            start=self._began.get(task._uuid),
            end=time.time(),
            outcome=outcome,
            msg=_message(answer) if outcome != "ok" else None,
        )

    def _passed_assert(self, task: Any) -> None:
        """Ansible's own assert may judge in a recipe's test. One that fails ends the test, which records that."""
        variables = task.get_vars()
        test = variables.get("ccci_test_file")
        if isinstance(test, dict):
            name, began = task.get_name().strip(), self._began.get(task._uuid)
            check = name.rpartition(" : ")[2]
            times = {"start": began, "end": time.time()}
            self._write("result", tier=variables.get("ccci_tier"), id=test["id"], check=check, outcome="pass", **times)

    def _write(self, event_type: str, **fields: Any) -> None:
        if self._run_dir is not None:
            events.append(self._run_dir, event_type, **fields)


def run_dir_of(extra_vars: dict[str, Any]) -> Path | None:
    """The folder of the run that a play belongs to; a plan stands in its own run's folder."""
    if extra_vars.get("ccci_run_dir"):
        return Path(str(extra_vars["ccci_run_dir"]))
    if extra_vars.get("ccci_plan_file"):
        return Path(str(extra_vars["ccci_plan_file"])).resolve().parent
    return None


def _named(task: Any) -> str:
    """Its name, with the dep that it is about: the item of the loop that its file was included by."""
    name, dep = task.get_name().strip(), task.get_vars().get("ccci_dep_plan")
    return f"{name} [{dep['key']}]" if isinstance(dep, dict) else str(name)


def _message(answer: dict[str, Any]) -> str:
    broken = [item for item in answer.get("results") or [] if isinstance(item, dict) and item.get("failed")]
    if broken:  # a loop's own message only says that an item failed
        return "\n".join(dict.fromkeys(_message(item) for item in broken))
    parts = [str(answer.get("msg") or "")]
    parts += [str(answer[key]) for key in ("module_stderr", "exception", "stderr") if answer.get(key)]
    return "\n".join(part for part in parts if part and part != "(traceback unavailable)")
