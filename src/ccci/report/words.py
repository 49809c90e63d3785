"""How outcomes, seconds and differences are said. Shared by the terminal, the live view and the HTML report. Pure."""

from __future__ import annotations

import difflib
import re
from typing import Any

from ccci.report import clean

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
RED = ("fail", "error", "missing")
SYMBOLS = {
    "pass": "✓", "fail": "✗", "error": "!", "missing": "?", "skip": "–", "not reached": "·", "interrupted": "■",
}  # fmt: skip
COLOURS = {
    "pass": "green", "fail": "red", "error": "magenta", "missing": "magenta", "skip": "yellow",
    "not reached": "bright_black", "interrupted": "yellow",
}  # fmt: skip
MEANING = {
    "pass": "everything that was planned happened and is well",
    "fail": "the recipe is at fault",
    "error": "the infrastructure or ccci is at fault, not the recipe",
    "interrupted": "somebody ended the run",
}


def explain(failure_id: str | None) -> str | None:
    """The command that tells more about a known failure. An id that a module made up is no part of a command."""
    return f"ccci explain {failure_id}" if failure_id and _ID.fullmatch(failure_id) else None


def size(value: int | None) -> str:
    """41 kB, 3.2 MB, 1.5 GB: thousands, as registries and disks count."""
    return _counted(value, 1000, ("kB", "MB", "GB"))


def memory(value: int | None) -> str:
    """41 KiB, 64 MiB, 1.5 GiB: as limits in compose files count."""
    return _counted(value, 1024, ("KiB", "MiB", "GiB"))


def _counted(value: int | None, factor: int, units: tuple[str, str, str]) -> str:
    if value is None:
        return "unknown"
    power = 3 if value >= factor**3 else 2 if value >= factor**2 else 1
    number = value / factor**power
    return f"{number:.1f} {units[power - 1]}" if 0 < number < 9.95 else f"{number:.0f} {units[power - 1]}"


def seconds(value: float) -> str:
    """3.2 s, 75 s → 1 min 15 s."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    return f"{int(value) // 60} min {int(value) % 60:02d} s"


def difference(expected: str | None, observed: str | None, limit: int = 12) -> list[str]:
    """Lines that begin with -, + or a space; short texts are simply set against each other."""
    wanted, seen = clean.plain(expected or "").splitlines(), clean.plain(observed or "").splitlines()
    if not wanted and not seen:
        return []
    if len(wanted) <= 1 and len(seen) <= 1:
        lines = [f"- {line}" for line in wanted] + [f"+ {line}" for line in seen]
    else:
        lines = [line for line in difflib.ndiff(wanted, seen) if not line.startswith("?")]
    if len(lines) > limit:
        lines = [*lines[: limit - 1], f"  … {len(lines) - limit + 1} more lines"]
    return lines


def last_lines(text: str | None, count: int) -> list[str]:
    lines = [line.rstrip() for line in clean.plain(text or "").splitlines() if line.strip()]
    return lines[-count:]


def remark(tier: dict[str, Any]) -> str:
    """What a table says about a tier of result.json: why it is not green, or what is worth knowing of a green one."""
    parts = [tier["cause"]] if tier["cause"] else []
    if tier["failure_id"]:
        parts.append(f"[{tier['failure_id']}]")
    if tier["prerequisite"]:
        parts.append("prerequisite")
    parts += [f"{item['id']} skipped: {item['cause']}" for item in tier["assertions"] if item["outcome"] == "skip"]
    parts += [item["observed"] for item in tier["assertions"] if (item["observed"] or "").startswith("no-op")]
    return clean.one_line("; ".join(dict.fromkeys(parts)).replace("; [", " ["))
