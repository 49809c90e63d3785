"""What a failed task of a recipe's own file comes to, as a result. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

JUDGING = ("ansible.builtin.assert", "ansible.builtin.fail", "assert", "fail")


def ended_by(task: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """`task` and `result` are Ansible's `ansible_failed_task` and `ansible_failed_result`.

    A task file's own assert is the recipe's failure, and so is a command that never ends. A module that judged has said
    whose fault it is. Anything else that breaks is not the recipe's.
    """
    name = str(task.get("name") or task.get("action"))
    period = (result.get("timedout") or {}).get("period")
    if period:
        told = _told(task)
        return {
            "outcome": "fail", "failure_id": "interactive-hang", "expected": f"{told} ends within {period} s",
            "observed": f"{told} did not end within {period} s (task {name!r})",
            "hint": "Nothing waits for a person here: no prompts, and no command that watches until it is stopped",
        }  # fmt: skip
    if bad := judged(result):
        said: dict[str, Any] = {
            key: bad[0][key] for key in ("outcome", "failure_id", "service", "hint") if key in bad[0]
        }
        return {
            **said,
            "expected": f"the task {name!r} succeeds",
            "observed": f"{bad[0]['id']}: {bad[0].get('observed')}",
        }
    outcome = "fail" if task.get("action") in JUDGING else "error"
    return {"outcome": outcome, "expected": f"the task {name!r} succeeds", "observed": _words(result)}


def missing(file: str) -> dict[str, Any]:
    """A file that was there when the run was planned."""
    return {
        "outcome": "error", "failure_id": "stale-checkout", "expected": f"the file {file}, which was planned",
        "observed": "it is not there", "hint": "Was it deleted or renamed since the run was planned?",
    }  # fmt: skip


def judged(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The bad results that a module has recorded itself, which say more than that its task failed."""
    answer = result.get("ccci") or {}
    return [one for one in answer.get("results") or [] if one.get("outcome") not in ("pass", "skip")]


def _words(result: Mapping[str, Any]) -> str:
    return str(result.get("msg") or result.get("reason") or "no message")


def _told(task: Mapping[str, Any]) -> str:
    """The command as its file has it, templates and all; or the name of the module."""
    args = task.get("args") or {}
    line = args.get("_raw_params") or args.get("cmd") or " ".join(map(str, args.get("argv") or []))
    return f"`{line}`" if line else str(task.get("action"))
