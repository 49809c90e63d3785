"""The controller's half of the modules that take the node's lock: they say which process here plays the run."""

from __future__ import annotations

import os
from typing import Any

from ccci.actions import ModuleAction
from ccci_host import processes


class HolderAction(ModuleAction):
    """Adds `holder`, the identity of this ansible-playbook, and `gone`, the runs whose holder is dead.

    The node can look up a holder that lives on the node itself. One that lived on this machine only we can look up:
    the module hands us `{run: holder}` as `holders` in its cursor.
    """

    def _execute_module(
        self, module_name: str | None = None, module_args: dict[str, Any] | None = None, **keywords: Any
    ) -> dict[str, Any]:
        arguments = module_args if module_args is not None else {}
        here = processes.identity(os.getppid())  # we are a worker; our parent is ansible-playbook itself
        arguments["holder"] = here
        answer: dict[str, Any] = super()._execute_module(module_name, arguments, **keywords)
        holders = ((answer.get("ccci_slice") or {}).get("cursor") or {}).get("holders") or {}
        arguments["gone"] = [run for run, holder in holders.items() if processes.is_gone(holder, here)]
        return answer
