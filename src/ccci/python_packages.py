"""The Python packages that tests of some recipes import: the optional group `recipes` of pyproject.toml.

recipe.yml names them (`python: [python-socketio]`), pyproject.toml alone says which versions. They are installed when a
recipe that needs them is played for the first time.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterable

import click

from ccci.errors import InfrastructureError, UsageError
from ccci.source.versions import nearest

GROUP = "recipes"
LIMIT = 600  # seconds
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def known() -> dict[str, str]:
    """`{name: requirement}` of the group, as pip reads them."""
    found = {}
    for text in importlib.metadata.requires("ccci") or []:
        requirement, _, marker = text.partition(";")
        if re.fullmatch(rf"""\s*extra == ["']{GROUP}["']\s*""", marker):
            name = _NAME.match(requirement)
            if name is not None:
                found[_plain(name[0])] = requirement.strip()
    return found


def missing(names: Iterable[str], place: str) -> list[str]:
    """The requirements, out of those that `names` stand for, that are not installed. UsageError for an unknown name."""
    group, lacking = known(), []
    for name in names:
        if _plain(name) not in group:
            near = nearest(_plain(name), group)
            raise UsageError(
                f"{place}: {name} is not in the group `{GROUP}` of pyproject.toml",
                expected=f"one of {', '.join(near or sorted(group))}",
                next_step=f"Add it there, with a range of versions, and run pip install -e '.[{GROUP}]'",
            )
        try:
            importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            lacking.append(group[_plain(name)])
    return lacking


def ensure(names: Iterable[str], place: str, assume_yes: bool) -> None:
    """Installs what is missing; asks on a terminal, and without one wants --yes (UsageError otherwise)."""
    lacking = missing(names, place)
    if not lacking:
        return
    wanted = " ".join(f"'{one}'" for one in lacking)
    command = f"{sys.executable} -m pip install {wanted}"
    sys.stderr.write(f"ccci: the tests of this recipe need {', '.join(lacking)} (python: in {place})\n")
    if not assume_yes:
        if not sys.stdin.isatty():
            raise UsageError(
                f"{place}: {', '.join(lacking)} is not installed", next_step=f"Use --yes, or install it: {command}"
            )
        if not click.confirm("Install it into ccci's own Python environment?", default=False, err=True):
            raise UsageError("not installed, so nothing was played", next_step=command)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *lacking],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise InfrastructureError(f"pip did not end within {LIMIT} s", next_step=command) from None
    if done.returncode:
        raise InfrastructureError(
            f"{', '.join(lacking)} cannot be installed", observed=(done.stderr or done.stdout).strip()[-600:],
            next_step=command,
        )  # fmt: skip


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
