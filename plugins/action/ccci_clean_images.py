"""Takes the node's lock in the name of this ansible-playbook, as long as `wait` allows."""

from __future__ import annotations

from typing import Any

from ccci.holding import HolderAction

MARGIN = 30  # seconds; the module itself says who holds the node when `wait` is over


class ActionModule(HolderAction):
    def _slices(self, arguments: dict[str, Any], *rest: Any) -> dict[str, Any]:
        arguments["limit"] = int(arguments.get("wait") or 0) + MARGIN
        return super()._slices(arguments, *rest)
