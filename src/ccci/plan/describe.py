"""A plan for people: lines of text. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ccci.plan.tiers import CHOOSABLE, TIERS, requested


def describe(plan: dict[str, Any]) -> list[str]:
    """What `ccci plan` prints."""
    head, base, marker = plan["head"], plan["base"], plan["marker"]
    lines = [
        f"{plan['recipe']['name']}: {head['label']} ({head['commit'][:8]}) {head['subject']}".rstrip(),
        f"  source    {plan['source']['url']}",
        f"  base      {base['version']} ({base['commit'][:8]}): {base['reason']}" if base else "  base      none",
        f"  app       https://{plan['app']['domain']}",
        f"  node      {plan['run']['node']} of {plan['run']['inventory']}",
        f"  marker    {marker['kind']}: {marker['reason']}",
        f"  folder    {plan['recipe']['tests_dir'] or 'none'}",
        *_deps(plan),
        "",
    ]
    for tier in TIERS:
        lines += _tier(plan, tier)
    if plan["untrusted_tests"]:
        lines += ["", "Not run, because the inventory does not trust this recipe's pull requests:"]
        lines += [f"  {path}" for path in plan["untrusted_tests"]]
    if plan["notes"]:
        lines += ["", "Note:", *(f"  {note}" for note in plan["notes"])]
    return lines


def _deps(plan: dict[str, Any]) -> Iterator[str]:
    """A line each, in the order of the deploys."""
    for index, dep in enumerate(plan["deps"]):
        head, label = dep["head"], "deps" if index == 0 else ""
        needs = f" (needs {', '.join(dep['needs'])})" if dep["needs"] else ""
        parent = "" if dep["parent"] == "app" else f", for {dep['parent']}"
        where = f"https://{dep['app']['domain']}{', warm' if dep['warm'] else ''}"
        yield f"  {label:<9} {dep['key']}: {dep['recipe']['name']} {head['version']}, {where}{parent}{needs}"


def _tier(plan: dict[str, Any], tier: str) -> Iterator[str]:
    reasons = {entry["tier"]: entry["reason"] for entry in plan["not_planned"]}
    items = [item for item in plan["expected"] if item["tier"] == tier]
    wanted = tier in requested(plan["run"]["tags"])
    if tier in reasons and wanted:
        yield f"{tier}: not planned, {reasons[tier]}"
    elif not wanted and tier in CHOOSABLE:
        yield f"{tier}: not asked for"
    elif not items:
        yield f"{tier}: nothing to judge"
    else:
        yield f"{tier}:"
    for item in items:
        suffix = "" if wanted and tier not in reasons else "  (prerequisite)"
        yield f"  {item['id']:<28} {item['title']}{suffix}"
