"""`ccci deps`: which providers there are, and the ones that are kept warm between runs."""

from __future__ import annotations

import json
import sys
from typing import Any

from ccci import cleaning, inventory, paths, run, warm
from ccci.errors import PASS, UsageError
from ccci.overview import columns
from ccci.plan.deps import PROVIDES, alone
from ccci.settings import load_settings


def show(inventory_name: str | None, node: str | None, output: str) -> int:
    """Prints every recipe that provides something, and whether the node keeps one. Returns 0."""
    settings = load_settings(inventory_name, {"node": node})
    name = inventory.chosen(settings.inventory, settings.node).name
    used, there = warm.kept(name), {entry["run"] for entry in cleaning.look(settings, name)["warm"]}
    files = sorted(paths.RECIPE_TESTS.glob(f"*/{PROVIDES}/*.yml"))
    kinds: dict[str, list[str]] = {}
    for file in files:
        kinds.setdefault(file.parent.parent.name, []).append(file.stem)
    rows = [
        {"recipe": recipe, "provides": provided, "used": recipe in used, "there": warm.run_of(recipe) in there}
        for recipe, provided in kinds.items()
    ]
    if output == "json":
        sys.stdout.write(json.dumps({"node": name, "providers": rows}, indent=2) + "\n")
        return PASS
    table = [("RECIPE", "PROVIDES", f"WARM ON {name}")]
    table += [(str(row["recipe"]), ", ".join(row["provides"]), _told(row)) for row in rows]  # type: ignore[arg-type]
    sys.stdout.write("\n".join(columns(table)) + "\n")
    return PASS


def keep(recipe: str, inventory_name: str | None, node: str | None, output: str, assume_yes: bool) -> int:
    """Sees that the node has this provider, ready; from then on runs borrow it. Returns the exit code of that run."""
    alone(recipe)
    flags = run.Flags(recipe, tags=("prepare",), inventory=inventory_name, node=node, keep="never", keep_warm=True)
    settings = flags.settings()
    code = run.play(flags, output, assume_yes, 0, [])
    if code == PASS:
        warm.remember(inventory.chosen(settings.inventory, settings.node).name, recipe)
    return code


def cool(recipe: str, inventory_name: str | None, node: str | None, output: str) -> int:
    """Takes it away. Returns 0, or 4 when something stayed. UsageError when there is none."""
    settings = load_settings(inventory_name, {"node": node})
    name = inventory.chosen(settings.inventory, settings.node).name
    used = recipe in warm.kept(name)
    try:
        code = cleaning.clean(inventory_name, name, warm.run_of(recipe), False, output)
        if code == PASS:
            warm.forget(name, recipe)
        return code
    except UsageError as error:
        warm.forget(name, recipe)
        if used:  # somebody took it away on the node itself
            sys.stderr.write(f"{recipe} was not on {name} any more.\n")
            return PASS
        raise UsageError(f"{recipe} is not kept warm on {name}", next_step="`ccci deps` shows which are") from error


def _told(row: dict[str, Any]) -> str:
    if row["used"]:
        return "yes" if row["there"] else "the next run makes it"
    return "yes, but made from elsewhere and not borrowed from here" if row["there"] else "-"
