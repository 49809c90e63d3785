"""What one recipe.yml says about its own deps, judged without any other file. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ccci.errors import UsageError
from ccci.plan.templates import Renderer, chains
from ccci.schemas import facts
from ccci.source.versions import nearest

if TYPE_CHECKING:
    from ccci.plan.recipe_settings import RecipeSettings

APP = "app"  # the key of the recipe itself, as the parent of a dep
LOGIN_KIND = "sso"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def check_settings(settings: RecipeSettings) -> None:
    """UsageError for what one recipe.yml says wrong about its own deps."""
    kinds: dict[str, str] = {}
    for index, dep in enumerate(settings.deps):
        place = settings.place("deps", index)
        if not _NAME.fullmatch(dep.name) or dep.name == APP:
            raise UsageError(
                f"{place}: {dep.name!r} cannot be the name of a dep", expected="small letters, digits and _",
                next_step="Give it another one with `as:`",
            )  # fmt: skip
        if dep.name in kinds:
            raise UsageError(f"{place}: two deps are called {dep.name!r}", next_step="Use `as:`")
        if dep.kind not in facts.kinds():
            near = nearest(dep.kind, facts.kinds()) or facts.kinds()
            raise UsageError(
                f"{place}: there is no kind {dep.kind!r} of facts", expected=f"kind: one of {', '.join(near)}"
            )
        kinds[dep.name] = dep.kind
    renderer = Renderer({}, kinds)
    for name, secret in settings.secrets.items():
        if "value_from" in secret:
            renderer.check_fact(tuple(secret["value_from"].split(".")[1:]), settings.place("secrets", name))
    _refuse_wired(settings, {dep.name for dep in settings.deps if dep.for_tests})
    if settings.login is not None and kinds.get(settings.login.through) != LOGIN_KIND:
        fit = [name for name, kind in kinds.items() if kind == LOGIN_KIND]
        raise UsageError(
            f"{settings.place('login', 'through')}: {settings.login.through!r} is no dep of kind {LOGIN_KIND}",
            expected=f"one of {', '.join(fit)}" if fit else f"a dep of kind {LOGIN_KIND}; this recipe has none",
        )


def _refuse_wired(settings: RecipeSettings, for_tests: set[str]) -> None:
    """UsageError for settings of the app that need a dep which is not always made: as a dep, the app could not be
    deployed."""
    if not for_tests:
        return
    wired = [
        (settings.place(key, name), chain)
        for key in ("env", "env_from_upgrade")
        for name, text in getattr(settings, key).items()
        for chain in chains(text, "deps", settings.place(key, name))
    ]
    wired += [
        (settings.place("secrets", name), tuple(secret["value_from"].split(".")[1:]))
        for name, secret in settings.secrets.items()
        if "value_from" in secret
    ]
    for place, chain in wired:
        if chain and chain[0] in for_tests:
            raise UsageError(
                f"{place} uses deps.{'.'.join(chain)}, but {chain[0]} is made for tests alone (`for_tests`): "
                "where this recipe is itself a dep, there is no such fact",
                next_step="Make the app and the dep known to each other in the hook post_install, which runs only "
                "where the dep is made; or take `for_tests` away, when the app does need it",
            )
