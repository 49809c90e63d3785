"""Values of recipe.yml that may use `{{ domain }}` and a few more names.

Only files of recipe_tests/ come here, which their maintainers own. Nothing that comes out of a recipe's git does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ccci.errors import UsageError
from ccci.source.versions import nearest

NAMES = {
    "domain": "the app's domain",
    "stack": "the app's stack name",
    "run": "run.id, run.recipe, run.pr, run.commit, run.version",
    "deps": "facts of the recipe's deps",
    "secrets": "generated secrets by name",
}
_LATER = {
    "deps": "this version of ccci cannot provision deps yet",
    "secrets": "secrets are made on the node and never enter a plan; give the app its secret through compose",
}


@dataclass(frozen=True)
class Renderer:
    """Renders texts with the documented names: `values` has domain, stack and run."""

    values: Mapping[str, Any]

    def text(self, text: str, place: str) -> str:
        """UsageError, naming `place`, for an unknown name or what is no template."""
        if "{{" not in text and "{%" not in text and "{#" not in text:
            return text
        from jinja2 import StrictUndefined, TemplateError, meta
        from jinja2.sandbox import SandboxedEnvironment

        environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
        environment.globals.clear()
        try:
            unknown = sorted(meta.find_undeclared_variables(environment.parse(text)) - set(self.values))
            if unknown:
                raise _unknown(unknown[0], place)
            return environment.from_string(text).render(self.values)
        except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
            raise UsageError(
                f"{place}: {text!r} cannot be rendered", observed=str(error), next_step=f"Known names: {_known()}"
            ) from error

    def data(self, data: Any, place: str) -> Any:
        """The same for every text inside lists and mappings."""
        if isinstance(data, str):
            return self.text(data, place)
        if isinstance(data, Mapping):
            return {key: self.data(value, place) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.data(value, place) for value in data]
        return data


def _unknown(name: str, place: str) -> UsageError:
    if name in _LATER:
        return UsageError(f"{place} uses {name!r}", observed=_LATER[name])
    near = nearest(name, NAMES)
    return UsageError(
        f"{place} uses the unknown name {name!r}",
        expected=_known(),
        next_step=f"Did you mean {near[0]}?" if near else "",
    )


def _known() -> str:
    return "; ".join(f"{name} ({what})" for name, what in NAMES.items())
