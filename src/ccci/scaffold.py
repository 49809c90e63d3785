"""`ccci new`: a recipe's folder from the template."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from ccci import paths
from ccci.errors import InfrastructureError, UsageError
from ccci.source.catalogue import check_name

TEMPLATE = "_template"
PLACEHOLDER = "RECIPE"  # in the template's texts: the recipe's name


def make(recipe: str) -> None:
    """Copies recipe_tests/_template; says what to do next. UsageError when the folder is there already."""
    check_name(recipe)
    folder = paths.RECIPE_TESTS / recipe
    template = paths.RECIPE_TESTS / TEMPLATE
    if not template.is_dir():
        raise InfrastructureError(f"{template} is missing", next_step="Restore it from git")
    try:
        shutil.copytree(template, folder)
    except FileExistsError as error:
        raise UsageError(f"{folder} is there already", next_step=f"Edit it, or play it: ccci play {recipe}") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    for path in _texts(folder):
        path.write_text(path.read_text().replace(PLACEHOLDER, recipe))
    sys.stdout.write(
        f"{folder}\n\nNext: edit recipe.yml and tests/, then\n"
        f"  ccci lint {recipe}\n  ccci plan {recipe}\n  ccci play {recipe}\n"
    )


def _texts(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix in (".yml", ".md", ".py")]
