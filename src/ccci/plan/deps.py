"""Which apps a recipe needs besides its own, and in which order they come up.

Only the folders of recipe_tests are read here: nothing is fetched, so that `ccci lint` can ask too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ccci import paths
from ccci.errors import UsageError
from ccci.plan.dep_settings import APP
from ccci.plan.recipe_settings import Dep, RecipeSettings, load_recipe_settings
from ccci.plan.tests_discovery import check_task_file
from ccci.schemas import facts
from ccci.source.versions import nearest

PROVIDES = "provides"
_WITHDRAW = re.compile(r"^def withdraw\(", re.MULTILINE)
ALONE = "provider"  # the key of one that is kept warm, in the plan that sees to it


@dataclass(frozen=True)
class Needed:
    """A dep of one parent. `key` is unique in the run (`sso`; a dep of a dep: `<parent key>-<name>`), `needs` are the
    keys of its own deps. Level 0 needs nothing, level n+1 needs level n. `place` is where the parent names it."""

    key: str
    parent: str
    level: int
    needs: tuple[str, ...]
    dep: Dep
    settings: RecipeSettings
    tests_dir: Path
    provides: Path
    place: str


def resolve(recipe: str, settings: RecipeSettings) -> tuple[Needed, ...]:
    """All deps of a recipe, its deps' own included, in the order of their deploys: levels ascending.

    Each parent gets an app of its own, even when two of them need the same recipe. UsageError with file and line for a
    recipe or a provider that is not there, and for deps that go round in a circle.
    """
    return tuple(sorted(_below(APP, (recipe,), settings), key=lambda needed: needed.level))


def alone(recipe: str) -> Needed:
    """A provider that nobody needs now: it is to be kept warm. UsageError when it is none, or needs others itself."""
    kinds = sorted(path.stem for path in (paths.RECIPE_TESTS / recipe / PROVIDES).glob("*.yml"))
    if not kinds:
        known = sorted({name for kind in facts.kinds() for name in providers(kind)})
        raise UsageError(
            f"{recipe} provides nothing that another recipe could need",
            observed=f"no {PROVIDES}/<kind>.yml in its folder",
            expected=f"one of {', '.join(nearest(recipe, known) or known)}",
        )  # fmt: skip
    dep = Dep(recipe, ALONE, kinds[0])
    folder = _folder(dep, recipe)
    settings = load_recipe_settings(folder)
    for file in sorted((folder / PROVIDES).glob("*.py")):
        if not _WITHDRAW.search(file.read_text(encoding="utf-8", errors="replace")):
            raise UsageError(
                f"{recipe} cannot be kept warm, because it never takes away what it makes for a run",
                expected="a function withdraw(app, wants)", observed=f"{file} has none",
            )  # fmt: skip
    needs = [each.recipe for each in settings.deps if not each.for_tests]
    if needs:
        raise UsageError(f"{recipe} cannot be kept warm, because it needs {', '.join(needs)} itself")
    return Needed(ALONE, APP, 0, (), dep, settings, folder, _provider(dep, folder, recipe), recipe)


def _below(parent: str, line: tuple[str, ...], settings: RecipeSettings) -> Iterator[Needed]:
    """Deps before those that need them. `line` are the recipes from the one that is played down to this parent."""
    for index, dep in enumerate(settings.deps):
        if dep.for_tests and parent != APP:
            continue  # tests are not run for a dep
        place = settings.place("deps", index)
        if dep.recipe in line:
            circle = " → ".join((*line[line.index(dep.recipe) :], dep.recipe))
            raise UsageError(f"{place}: the deps go round in a circle", observed=circle)
        folder = _folder(dep, place)
        provides = _provider(dep, folder, place)
        own = load_recipe_settings(folder)
        key = dep.name if parent == APP else f"{parent}-{dep.name}"
        below = list(_below(key, (*line, dep.recipe), own))
        direct = [needed for needed in below if needed.parent == key]
        level = 1 + max((needed.level for needed in direct), default=-1)
        yield from below
        yield Needed(key, parent, level, tuple(needed.key for needed in direct), dep, own, folder, provides, place)


def providers(kind: str) -> list[str]:
    """The recipes that provide facts of this kind."""
    return sorted(path.parent.parent.name for path in paths.RECIPE_TESTS.glob(f"*/{PROVIDES}/{kind}.yml"))


def _folder(dep: Dep, place: str) -> Path:
    folder = paths.RECIPE_TESTS / dep.recipe
    if folder.is_dir():
        return folder
    fit = providers(dep.kind)
    raise UsageError(
        f"{place}: there is no folder {folder}, so nothing says how {dep.recipe!r} provides {dep.kind}",
        expected=f"a recipe that provides {dep.kind}: {', '.join(nearest(dep.recipe, fit) or fit) or 'none does'}",
    )


def _provider(dep: Dep, folder: Path, place: str) -> Path:
    file = folder / PROVIDES / f"{dep.kind}.yml"
    if not file.is_file():
        there = sorted(path.stem for path in file.parent.glob("*.yml"))
        raise UsageError(
            f"{place}: {file} is missing, so {dep.recipe} cannot provide {dep.kind}",
            expected=f"a kind that it provides: {', '.join(there)}" if there else "a file that makes the facts",
            observed="no folder provides"
            if not file.parent.is_dir()
            else f"it provides {', '.join(there) or 'nothing'}",
        )
    check_task_file(str(file), file.read_text(encoding="utf-8", errors="replace"))
    return file
