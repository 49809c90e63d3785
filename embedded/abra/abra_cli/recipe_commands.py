"""`recipe fetch`, `versions`, `ls` and `lint`."""

from __future__ import annotations

import json

from ccci_host.compose import ComposeError, read_stack

from . import linting
from .cli import Call
from .listings import table
from .recipes import Recipe, abra_dir, git


def fetch(call: Call) -> None:
    recipe = Recipe(call.arguments[0])
    if call.has("offline"):
        recipe.require()
    else:
        recipe.fetch()
    known = recipe.versions()
    if known and not recipe.is_dirty():
        recipe.check_out(known[-1])
    call.say(f"{recipe.name} is in {recipe.folder} ({known[-1] if known else recipe.head()[:8]})")


def versions(call: Call) -> None:
    """Every service of every version, oldest version first. A version that cannot be read is named as such."""
    recipe = Recipe(call.arguments[0])
    recipe.require()
    rows = []
    for version in recipe.versions():
        for service, image in _images(recipe, version).items():
            name, _, tag = image.partition("@")[0].rpartition(":")
            plain = (name, tag) if name and "/" not in tag else (image, "")
            rows.append({"service": service, "image": plain[0], "tag": plain[1], "version": version})
    call.say(json.dumps(rows) if call.has("machine") else table(rows))


def recipes(call: Call) -> None:
    root = abra_dir() / "recipes"
    rows = [{"name": path.name} for path in sorted(root.iterdir()) if path.is_dir()] if root.is_dir() else []
    call.say(json.dumps(rows) if call.has("machine") else table(rows))


def lint(call: Call) -> None:
    """The return code only says whether it could lint; what it found is in the table and the last line."""
    recipe = Recipe(call.arguments[0])
    recipe.require()
    rules = linting.check(recipe)
    marks = {True: "✅", False: "❌"}
    rows = [
        {"ref": rule.ref, "rule": rule.content, "severity": rule.severity, "satisfied": marks[rule.satisfied],
         "skipped": "✅" if rule.skipped else "-", "how to fix": rule.fix}
        for rule in rules
    ]  # fmt: skip
    call.say(table(rows))
    if any(rule.severity == "error" and not rule.satisfied and not rule.skipped for rule in rules):
        call.out.flush()
        call.warn(f"critical errors present in {recipe.name} config")


def _images(recipe: Recipe, version: str) -> dict[str, str]:
    text = git(recipe.folder, "show", f"refs/tags/{version}:compose.yml")
    try:
        stack = read_stack({"compose.yml": text}, ["compose.yml"], {"STACK_NAME": "version_example_com"})
    except ComposeError:
        return {"unreadable": ""}
    return {name: service.image for name, service in stack.services.items()}
