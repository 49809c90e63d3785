"""A restore through abra. Its return code says little: what came back is judged by the marker alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import marker
from .abra_call import abra, fatal_words
from .answer import Answer
from .backup import PLATFORM
from .docker import Client


def restore(
    client: Client, scope: Mapping[str, Any], settings: Mapping[str, Any], limit: float, answer: Answer
) -> None:
    """The results restore.mutated and restore.run. `limit` in seconds. Nothing is restored over an unchanged marker."""
    if settings.get("kind") != "none":
        with answer.waiting("docker"):
            changed = marker.mutate(client, scope, settings)
        marker.report(answer, "restore.mutated", changed, unlike="fail")
        if not changed.ok:
            return
    with answer.waiting("restic"):
        done = abra(
            scope, ["app", "restore", str(scope["domain"]), "-n"], limit=limit, pty=True, optional=("-o", "-C")
        )  # fmt: skip
    expected, tail = "abra restores the newest snapshot", done.output.strip()[-2000:] or None
    if done.rc == 0:
        answer.result("restore.run", "pass", expected=expected, observed="return code 0", evidence=tail)
        return
    words = fatal_words(done)
    answer.result(
        "restore.run", "error" if PLATFORM.search(done.output) else "fail", expected=expected,
        observed=f"return code {done.rc}: {words}", evidence=tail,
        hint="Run the restore hooks by hand in the service's container (`ccci play … --keep on-failure` keeps it)",
    )  # fmt: skip
