"""The Python packages that tests of some recipes import: the optional group `recipes` of pyproject.toml.

recipe.yml names them (`python: [python-socketio]`), pyproject.toml alone says which versions. Read from what is
installed; `ccci.bootstrap` installs what is missing when a recipe that needs it is played for the first time.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ccci.errors import UsageError
from ccci.source.versions import nearest

GROUP = "recipes"


def known() -> dict[str, Requirement]:
    """`{name: requirement}` of the group, as this installation of ccci has it."""
    every = [Requirement(text) for text in importlib.metadata.requires("ccci") or []]
    return {str(canonicalize_name(one.name)): one for one in every if _of_extra(one, GROUP)}


def missing(names: Iterable[str], place: str) -> list[str]:
    """The requirements, out of those that `names` stand for, that are not met, for pip. UsageError for a name that is
    not in the group."""
    group, lacking = known(), []
    for name in names:
        requirement = group.get(str(canonicalize_name(name)))
        if requirement is None:
            near = nearest(name, group)
            raise UsageError(
                f"{place}: {name} is not in the group `{GROUP}` of pyproject.toml",
                expected=f"one of {', '.join(near or sorted(group)) or 'nothing: this ccci was installed without it'}",
                next_step=f"Add it there, with a range of versions, and run pip install -e '.[{GROUP}]'",
            )
        if not _met(requirement):
            extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            lacking.append(f"{requirement.name}{extras}{requirement.specifier}")
    return lacking


def _met(requirement: Requirement) -> bool:
    """Whether it is installed, in this range, with what its extras ask for."""
    try:
        found = importlib.metadata.distribution(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    if not requirement.specifier.contains(found.version, prereleases=True):
        return False
    more = [Requirement(text) for text in found.requires or []] if requirement.extras else []
    return all(_met(one) for one in more if any(_of_extra(one, extra) for extra in requirement.extras))


def _of_extra(requirement: Requirement, extra: str) -> bool:
    marker = requirement.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})
