"""Takes the node's lock in the name of this ansible-playbook, as long as `wait` allows; says what time it is here."""

from __future__ import annotations

import time
from typing import Any

from ccci.holding import HolderAction

MARGIN = 30  # seconds; the module itself says who holds the node when `wait` is over


class ActionModule(HolderAction):
    def _slices(self, arguments: dict[str, Any], *rest: Any) -> dict[str, Any]:
        arguments["limit"] = int(arguments.get("wait") or 0) + MARGIN
        return super()._slices(arguments, *rest)

    def _execute_module(
        self, module_name: str | None = None, module_args: dict[str, Any] | None = None, **keywords: Any
    ) -> dict[str, Any]:
        arguments = module_args if module_args is not None else {}
        arguments["clock"] = time.time()
        return super()._execute_module(module_name, arguments, **keywords)
