"""Values of recipe.yml that may use `{{ domain }}` and a few more names.

Only files of recipe_tests/ come here, which their maintainers own. Nothing that comes out of a recipe's git does.

What is known only while the run lasts, the facts of deps first of all, stays a template in the plan: a *late* value. It
brings along what it uses of the plan's own names, so that `render_late` needs the facts and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ccci.errors import UsageError
from ccci.schemas import facts as fact_schemas
from ccci.source.versions import nearest

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment

NAMES = {
    "domain": "the app's domain",
    "stack": "the app's stack name",
    "run": "run.id, run.recipe, run.pr, run.commit, run.version",
    "deps": "facts of the recipe's deps",
    "secrets": "generated secrets by name",
}
_LATER = {
    "deps": ("only env and env_from_upgrade may use facts of deps",
             "A secret one goes through `secrets: {NAME: {value_from: deps.…}}`"),
    "secrets": ("secrets are made on the node and never enter a plan", "Give the app its secret through compose"),
}  # fmt: skip
KNOWN_LATER = "known-later.invalid"  # what a late value reads until its facts are there
USER = ("username", "email", "name")  # what the steps of a login may say of the person: {{ user.username }}
_MARKS = ("{{", "{%", "{#")
Chain = tuple[str, ...]


@dataclass(frozen=True)
class Env:
    """Variables of an app's `.env`. `late` are templates; such a variable reads KNOWN_LATER in `known`."""

    known: Mapping[str, str] = field(default_factory=dict)
    late: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Renderer:
    """Renders texts with the documented names: `values` has domain, stack and run; `kinds` says which kind of facts
    each dep provides, by its name."""

    values: Mapping[str, Any]
    kinds: Mapping[str, str] = field(default_factory=dict)

    def text(self, text: str, place: str) -> str:
        """UsageError, naming `place`, for an unknown name or what is no template."""
        return _rendered(text, place, self.values) if _is_template(text) else text

    def data(self, data: Any, place: str) -> Any:
        """The same for every text inside lists and mappings."""
        return _each(data, lambda text: self.text(text, place))

    def env(self, written: Mapping[str, str], place: Callable[[str], str], chosen: Mapping[str, str]) -> Env:
        """`place` says where a variable is written. What was `chosen` on the command line is no template, and wins."""
        known: dict[str, str] = {}
        late: dict[str, str] = {}
        for name, text in written.items():
            if name in chosen:
                continue
            uses = chains(text, "deps", place(name)) if _is_template(text) else []
            for chain in uses:
                self.check_fact(chain, place(name), secret=False)
            if uses:
                late[name] = self._late(text, place(name), "deps")
            known[name] = KNOWN_LATER if uses else self.text(text, place(name))
        return Env({**known, **chosen}, late)

    def steps(self, steps: Any, place: str) -> Any:
        """Steps of a login: texts that use `user` stay templates, all others are rendered."""
        return _each(steps, lambda text: self._step(text, place))

    def check_fact(self, chain: Chain, place: str, secret: bool = True) -> None:
        """UsageError unless `deps.<chain>` is one fact of a dep, and no secret one where those must not go."""
        told = ".".join(("deps", *chain))
        if not chain or chain[0] not in self.kinds:
            near = nearest(chain[0], self.kinds) if chain else []
            raise UsageError(
                f"{place} uses {told}" + (f", but there is no dep {chain[0]!r}" if chain else " as a whole"),
                expected=f"deps.NAME.FACT, where NAME is one of {', '.join(near or self.kinds) or 'the deps: none'}",
            )
        kind, path = self.kinds[chain[0]], chain[1:]
        hidden, public = fact_schemas.secret_paths(kind), fact_schemas.public_paths(kind)
        if path in hidden and not secret:
            raise UsageError(
                f"{place} uses {told}, which is secret: it would be readable in the app's .env",
                next_step=f"Make it a secret of the app: secrets: {{NAME: {{value_from: {told}}}}}",
            )
        if path not in hidden | public:
            _refuse_fact(told, place, kind, path, sorted(".".join(fact) for fact in (hidden | public)))

    def _step(self, text: str, place: str) -> str:
        if not _is_template(text):
            return text
        uses = chains(text, "user", place)
        for chain in uses:
            if len(chain) != 1 or chain[0] not in USER:
                raise UsageError(
                    f"{place} uses {'.'.join(('user', *chain))}", expected=", ".join(f"user.{name}" for name in USER)
                )
        return self._late(text, place, "user") if uses else self.text(text, place)

    def _late(self, text: str, place: str, later: str) -> str:
        """The template, with the values in front that are known already. Every name that it uses is checked."""
        used = _names(text, place)
        for name in sorted(used - set(self.values) - {later}):
            raise _unknown(name, place)
        known = (f"{{% set {name} = {json.dumps(self.values[name])} %}}" for name in sorted(used - {later}))
        return "".join(known) + text


def render_late(templates: Mapping[str, str], facts: Mapping[str, Any], name: str = "deps") -> dict[str, str]:
    """Late values, now that the facts are there: `facts` {name of the dep: its facts}. Pure.

    UsageError for a fact that a provider left out, and for what would be more than one line of an `.env`. No message
    holds a value.
    """
    rendered = {key: _rendered(text, key, {name: facts}) for key, text in templates.items()}
    for key, value in rendered.items():
        if not value.isprintable():
            raise UsageError(f"{key} would hold a line break or another control character", expected="one line of text")
    return rendered


def chains(text: str, root: str, place: str) -> list[Chain]:
    """What a template uses below a name: `{{ deps.sso.issuer }}` → [("sso", "issuer")]. The bare name gives ()."""
    return list(dict.fromkeys(_chains(_parsed(text, place), root)))


def _chains(node: nodes.Node, root: str) -> Iterator[Chain]:
    from jinja2 import nodes

    path: list[str] = []
    inner = node
    while isinstance(inner, nodes.Getattr | nodes.Getitem):
        step = inner.attr if isinstance(inner, nodes.Getattr) else getattr(inner.arg, "value", None)
        if not isinstance(step, str):
            break  # an index of a list: what is inside it counts
        path.insert(0, step)
        inner = inner.node
    if isinstance(inner, nodes.Name) and inner.name == root:
        yield tuple(path)
        return
    for child in node.iter_child_nodes():
        yield from _chains(child, root)


def _names(text: str, place: str) -> set[str]:
    from jinja2 import meta

    return set(meta.find_undeclared_variables(_parsed(text, place)))


def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.globals.clear()
    return environment


def _parsed(text: str, place: str) -> nodes.Template:
    from jinja2 import TemplateError

    try:
        return _environment().parse(text)
    except TemplateError as error:
        raise _cannot(text, place, error) from error


def _rendered(text: str, place: str, values: Mapping[str, Any]) -> str:
    from jinja2 import TemplateError

    unknown = sorted(_names(text, place) - set(values))
    if unknown:
        raise _unknown(unknown[0], place)
    try:
        return _environment().from_string(text).render(values)
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise _cannot(text, place, error) from error


def _is_template(text: str) -> bool:
    return any(mark in text for mark in _MARKS)


def _each(data: Any, change: Callable[[str], str]) -> Any:
    if isinstance(data, str):
        return change(data)
    if isinstance(data, Mapping):
        return {key: _each(value, change) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_each(value, change) for value in data]
    return data


def _cannot(text: str, place: str, error: Exception) -> UsageError:
    return UsageError(
        f"{place}: {text!r} cannot be rendered", observed=str(error), next_step=f"Known names: {_known()}"
    )


def _unknown(name: str, place: str) -> UsageError:
    if name in _LATER:
        why, way_out = _LATER[name]
        return UsageError(f"{place} uses {name!r}", observed=why, next_step=way_out)
    near = nearest(name, NAMES)
    return UsageError(
        f"{place} uses the unknown name {name!r}",
        expected=_known(),
        next_step=f"Did you mean {near[0]}?" if near else "",
    )


def _refuse_fact(told: str, place: str, kind: str, path: Chain, known: list[str]) -> None:
    below = [fact for fact in known if fact.startswith(".".join((*path, "")))] if path else known
    if below:
        raise UsageError(f"{place} uses {told}, which is no single fact", expected=f"one of {', '.join(below)}")
    near = nearest(".".join(path), known) or known
    raise UsageError(
        f"{place} uses {told}, which a dep of kind {kind} does not provide", expected=f"one of {', '.join(near)}"
    )


def _known() -> str:
    return "; ".join(f"{name} ({what})" for name, what in NAMES.items())
