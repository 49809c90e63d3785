"""How outcomes, seconds and differences are said. Shared by the terminal, the live view and the HTML report. Pure."""

from __future__ import annotations

import difflib
from typing import Any

from ccci.report import clean

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
