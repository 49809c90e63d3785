"""Which recipes there are, and the git URL of each."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from ccci import paths
from ccci.errors import InfrastructureError, UsageError
from ccci.source.forge import UnknownRepository
from ccci.source.git import PROTOCOLS, public_url
from ccci.source.mirror import Mirror
from ccci.source.versions import nearest

EMBEDDED = "embedded"
EMBEDDED_SOURCES = paths.PROJECT / "embedded" / "recipes"
BUILD_LIMIT = 120.0  # seconds
_RECIPE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_SCP = re.compile(r"[\w.-]+@[\w.-]+:[^:].*")


def open_mirror(recipe: str, recipe_url: str, source: str | None = None) -> Mirror:
    """The up-to-date mirror of a recipe. `recipe_url` is the inventory's (`embedded`, or a URL with `{recipe}`),
    `source` a git URL that overrides it. UsageError for an unknown recipe, InfrastructureError for a dead forge."""
    check_name(recipe)
    url = _checked(source) if source else _url(recipe, recipe_url)
    mirror = Mirror.open(recipe, url)
    try:
        mirror.fetch()
    except UnknownRepository as error:
        raise _unknown(recipe, recipe_url, f"{public_url(url)}: {error}") from error
    return mirror


def known_recipes(recipe_url: str) -> list[str]:
    """The names that can be listed without asking anybody: the embedded catalogue and the folders of recipe_tests."""
    names = {path.name for path in _folders(paths.RECIPE_TESTS)}
    if recipe_url == EMBEDDED:
        names |= set(embedded_recipes())
    return sorted(names)


def embedded_recipes() -> list[str]:
    return sorted(path.name for path in _folders(EMBEDDED_SOURCES))


def check_name(recipe: str) -> None:
    """A recipe's name becomes part of paths and URLs; UsageError when it cannot be one."""
    if not _RECIPE.fullmatch(recipe):
        raise UsageError(f"{recipe!r} cannot be the name of a recipe", expected="small letters, digits, - and _")


def _url(recipe: str, recipe_url: str) -> str:
    if recipe_url != EMBEDDED:
        if "{recipe}" not in recipe_url:
            raise UsageError(
                "The inventory's ccci_recipe_url names no recipe",
                expected=f'"{EMBEDDED}" or a git URL that holds {{recipe}}',
                observed=public_url(recipe_url),
            )
        return _checked(recipe_url.replace("{recipe}", recipe))
    if recipe not in embedded_recipes():
        raise _unknown(recipe, recipe_url, "the embedded catalogue has no such recipe")
    return f"file://{_built(recipe)}"


def _checked(url: str) -> str:
    """The URL in a form that git takes; a local path becomes a file URL."""
    scheme = urlsplit(url).scheme
    if scheme in PROTOCOLS and "://" in url:
        return url
    if _SCP.fullmatch(url):
        return url
    if Path(url).is_dir():
        return f"file://{Path(url).resolve()}"
    raise UsageError(
        f"{public_url(url)!r} is not a git repository that can be fetched",
        expected=f"a URL ({', '.join(PROTOCOLS)}), user@host:path, or the path of a local repository",
    )


def _built(recipe: str) -> Path:
    """The embedded recipe's repository, built when its sources are newer than what is there."""
    repository = paths.cache_dir() / "recipes" / f"{recipe}.git"
    if not (repository / "HEAD").exists() or (repository / "HEAD").stat().st_mtime < _newest(EMBEDDED_SOURCES):
        _build(recipe)
    if not (repository / "HEAD").exists():
        raise InfrastructureError(f"{EMBEDDED_SOURCES}/build.py did not make {repository}")
    # Also when nothing changed: the next plan must not build again.
    os.utime(repository / "HEAD")
    return repository


def _build(recipe: str) -> None:
    program = EMBEDDED_SOURCES / "build.py"
    command = [sys.executable, str(program), recipe]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=BUILD_LIMIT, stdin=subprocess.DEVNULL, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(f"{program} did not end within {BUILD_LIMIT:.0f} s") from error
    if done.returncode != 0:
        raise InfrastructureError(
            f"The embedded recipe {recipe} could not be built", observed=(done.stderr or done.stdout).strip()[-1500:]
        )


def _newest(folder: Path) -> float:
    return max((path.stat().st_mtime for path in folder.rglob("*") if path.is_file()), default=0.0)


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return [path for path in root.iterdir() if path.is_dir() and _RECIPE.fullmatch(path.name)]


def _unknown(recipe: str, recipe_url: str, observed: str) -> UsageError:
    known = known_recipes(recipe_url)
    near = nearest(recipe, known) or known[:10]
    return UsageError(
        f"Unknown recipe {recipe!r}",
        expected=f"a recipe of the catalogue, for example {', '.join(near)}" if near else "a recipe of the catalogue",
        observed=observed,
        next_step="ccci list names the recipes with tests; --source GIT-URL tests any other repository",
    )
