"""Errors that end a command, each with the exit code a script can rely on.

0 pass · 1 the recipe failed · 2 usage · 3 infrastructure · 4 teardown left something behind · 130 interrupted.
"""

from __future__ import annotations

PASS, RECIPE_FAILED, USAGE, INFRASTRUCTURE, LEFT_BEHIND, INTERRUPTED = 0, 1, 2, 3, 4, 130


class CcciError(Exception):
    """Something a person can act on: `what` happened, and the `next_step` that helps."""

    exit_code = INFRASTRUCTURE

    def __init__(self, what: str, *, expected: str = "", observed: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.observed = observed
        self.next_step = next_step

    def __str__(self) -> str:
        parts = [self.what]
        if self.expected:
            parts.append(f"  expected: {self.expected}")
        if self.observed:
            parts.append(f"  found:    {self.observed}")
        if self.next_step:
            parts.append(f"  next:     {self.next_step}")
        return "\n".join(parts)


class UsageError(CcciError):
    """The command or a file that the user wrote is wrong (exit code 2)."""

    exit_code = USAGE


class InfrastructureError(CcciError):
    """The forge, the node or the controller is at fault, not the recipe (exit code 3)."""

    exit_code = INFRASTRUCTURE
