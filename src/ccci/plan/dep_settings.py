"""What one recipe.yml says about its own deps, judged without any other file. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ccci.errors import UsageError
from ccci.plan.templates import Renderer
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
    if settings.login is not None and kinds.get(settings.login.through) != LOGIN_KIND:
        fit = [name for name, kind in kinds.items() if kind == LOGIN_KIND]
        raise UsageError(
            f"{settings.place('login', 'through')}: {settings.login.through!r} is no dep of kind {LOGIN_KIND}",
            expected=f"one of {', '.join(fit)}" if fit else f"a dep of kind {LOGIN_KIND}; this recipe has none",
        )
