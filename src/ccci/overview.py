"""What `ccci list` and `ccci config` print."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ccci import paths, runs, yaml_file
from ccci.errors import CcciError, UsageError
from ccci.plan.deps import resolve
from ccci.plan.load import EMBEDDED
from ccci.plan.recipe_settings import load_recipe_settings
from ccci.plan.tests_discovery import discover_tests
from ccci.settings import Settings, load_settings
from ccci.source.catalogue import known_recipes

NOT_ENROLLED = "not-enrolled.yml"  # below recipe_tests/


def print_recipes(inventory: str | None, output: str) -> None:
    """`ccci list`: every recipe that is known here, and those that ought to have tests and have none; others can be
    played too."""
    settings = load_settings(inventory)
    known, names, wishes = runs.all_runs(), known_recipes(settings.recipe_url), _not_enrolled()
    rows = [_recipe(name, known, settings, wishes) for name in sorted({*names, *wishes})]
    if output == "json":
        sys.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
        return
    table = [("RECIPE", "TESTS", "DEPS", "NOT JUDGED", "LAST VERDICT", "OF", "RUN")]
    table += [
        (row["recipe"], _count(row), ", ".join(row["deps"]) or "-", ", ".join(row["not_judged"]) or "-",
         "not run here" if row["not_run"] else row["verdict"] or "-", row["of"] or "-", row["run"] or "-")
        for row in rows
    ]  # fmt: skip
    lines = columns(table)
    lines += [f"{row['recipe']} is not run here: {row['not_run']}" for row in rows if row["not_run"]]
    lines += [
        f"{row['recipe']} is not enrolled; its tests would have to show: {row['to_show']}"
        for row in rows
        if row["to_show"]
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def print_config(inventory: str | None, output: str) -> None:
    """`ccci config`: values and where each is from; passwords inside URLs are hidden."""
    values = load_settings(inventory).as_dict()
    if output == "json":
        sys.stdout.write(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
        return
    rows = [("SETTING", "VALUE", "FROM")]
    rows += [(name, _shown(entry["value"]), entry["origin"]) for name, entry in values.items()]
    sys.stdout.write("\n".join(columns(rows)) + "\n")


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of texts, aligned. Pure."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _not_enrolled() -> dict[str, str]:
    """`{recipe: what a suite has to show}` of those in recipe_tests/not-enrolled.yml that still have no folder."""
    path = paths.RECIPE_TESTS / NOT_ENROLLED
    wishes = yaml_file.read(path).data if path.is_file() else {}
    if not isinstance(wishes, dict):
        raise UsageError(f"{path} is no mapping", expected="RECIPE: what a suite of it has to show")
    return {str(name): str(text) for name, text in wishes.items() if not (paths.RECIPE_TESTS / str(name)).is_dir()}


def _recipe(name: str, known: list[runs.Run], inventory: Settings, wishes: Mapping[str, str]) -> dict[str, Any]:
    folder = paths.RECIPE_TESTS / name
    tests_dir = folder if folder.is_dir() else None
    last = runs.last_of(name, known)
    row: dict[str, Any] = {
        "recipe": name, "folder": str(tests_dir) if tests_dir else None, "tests": [], "deps": [], "not_judged": {},
        "not_run": None, "to_show": wishes.get(name), "problem": None, "verdict": last.verdict() if last else None,
        "of": last.plan().get("head", {}).get("label") if last else None, "run": last.name if last else None,
    }  # fmt: skip
    try:
        settings = load_recipe_settings(tests_dir)
        row["tests"] = [test.id for test in discover_tests(name, tests_dir)]
        row["deps"] = list(dict.fromkeys(needed.dep.recipe for needed in resolve(name, settings)))
        if inventory.platform == EMBEDDED and settings.embedded_not_run:
            row |= {"not_run": settings.embedded_not_run, "verdict": None, "of": None, "run": None}
        row["not_judged"] = dict(settings.skip)
        if settings.backup_not_applicable:
            row["not_judged"] |= dict.fromkeys(("backup", "restore"), settings.backup_not_applicable)
    except CcciError as error:
        row["problem"] = str(error)
    return row


def _count(row: dict[str, Any]) -> str:
    if row["problem"]:
        return "broken, see ccci lint"
    if row["to_show"]:
        return "not enrolled"
    return f"generic + {len(row['tests'])}" if row["folder"] else "generic"


def _shown(value: Any) -> str:
    if value is None or value in ([], {}, ""):
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
