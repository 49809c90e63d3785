"""Which deps a recipe's test needs, from its text: a test that needs one and is skipped makes the run red. Pure.

Nothing is imported. A pytest function needs deps when it asks for the fixture `deps`, itself or through fixtures of its
file or of conftest.py; a task file when it says `ccci_deps` or `facts_of`. A comment `# needs: sso` at the head of
either says it as well, for a test that uses a dep without asking for its facts.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ccci.errors import UsageError
from ccci.source.versions import nearest

FIXTURE = "deps"
_COMMENT = re.compile(r"#\s*needs:\s*(.*?)\s*$")
# As a key of YAML, quoted or not, and in the short form `module: facts_of=sso`. Tasks from elsewhere may say it, too.
_IN_TASKS = re.compile(r"\bccci_deps\b|\bfacts_of['\"]?\s*[:=]\s*['\"]?(\w*)")
_ELSEWHERE = re.compile(r"\b(?:include|import)_(?:tasks|role)\b")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Uses:
    """`names` are those that the text says; `all`: it asks for deps without saying which. `line`: where it says so.
    `maybe`: what it takes from elsewhere is not read; so it needs what there is."""

    names: tuple[str, ...] = ()
    all: bool = False
    line: int = 1
    maybe: bool = False


def needs(uses: Uses, deps: Sequence[str], path: str) -> tuple[str, ...]:
    """The deps in question, out of those of the recipe. UsageError, with file and line, for one that is not there."""
    if uses.maybe:
        return tuple(deps)
    place = f"{path}:{uses.line}"
    if (uses.all or uses.names) and not deps:
        raise UsageError(f"{place} needs deps, but recipe.yml names none", next_step="Add them under `deps:`")
    for name in uses.names:
        if name not in deps:
            raise UsageError(
                f"{place} needs the dep {name!r}, which recipe.yml does not name",
                expected=f"one of {', '.join(nearest(name, deps) or deps)}",
            )
    return tuple(deps) if uses.all and not uses.names else tuple(name for name in deps if name in uses.names)


def of_head(text: str) -> Uses:
    """`# needs: sso, forge` among the comments at the head of a file."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith(("#", "---")):
            break
        if match := _COMMENT.match(line):
            return Uses(tuple(re.findall(r"[^\s,]+", match[1])), True, number)
    return Uses()


def of_tasks(text: str) -> Uses:
    """Of a task file."""
    found = list(_IN_TASKS.finditer(text))
    names = [match[1] or "" for match in found]
    line = text.count("\n", 0, found[0].start()) + 1 if found else 1
    # `ccci_deps` is the plan's whole list, and a name that a template gives could be any dep's.
    if not found and (elsewhere := _ELSEWHERE.search(text)):
        return Uses((), True, text.count("\n", 0, elsewhere.start()) + 1, maybe=True)
    return Uses(() if "" in names else tuple(dict.fromkeys(names)), bool(found), line)


def together(*several: Uses) -> Uses:
    there = [uses for uses in several if uses.all or uses.names]
    vague = any(uses.all and not uses.names for uses in there)
    names = () if vague else tuple(dict.fromkeys(name for uses in there for name in uses.names))
    only_maybe = bool(there) and all(uses.maybe for uses in there)
    return Uses(names, bool(there), there[0].line if there else 1, only_maybe)


@dataclass(frozen=True)
class Fixtures:
    """The fixtures that tests of a file can ask for, by name."""

    by_name: Mapping[str, Function] = field(default_factory=dict)
    automatic: tuple[str, ...] = ()

    def also(self, other: Fixtures) -> Fixtures:
        """With those of the file itself, which hide conftest.py's of the same name."""
        return Fixtures({**self.by_name, **other.by_name}, (*self.automatic, *other.automatic))


def fixtures_in(tree: ast.Module) -> Fixtures:
    found, automatic = {}, []
    for node in ast.walk(tree):
        if not isinstance(node, Function):
            continue
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if _last(called) != "fixture":
                continue
            options = {word.arg: word.value for word in decorator.keywords} if isinstance(decorator, ast.Call) else {}
            name = _text(options.get("name")) or node.name
            found[name] = node
            if "autouse" in options:
                automatic.append(name)
    return Fixtures(found, tuple(automatic))


def of_function(function: Function, around: Iterable[ast.expr], fixtures: Fixtures) -> Uses:
    """Of a test. `around` are the marks of its class and of its file."""
    open_names = [*_asked(function), *_marked(function.decorator_list), *_marked(around), *fixtures.automatic]
    seen: set[str] = set()
    bodies: list[Function] = [function]
    asks = False
    while open_names:
        name = open_names.pop()
        if name in seen:
            continue
        seen.add(name)
        fixture = fixtures.by_name.get(name)
        if fixture is not None:
            bodies.append(fixture)
            more = [*_asked(fixture), *_marked(fixture.decorator_list)]
            asks = asks or (name == FIXTURE and FIXTURE in more)  # it takes the place of ours, and asks for it
            open_names += more
        elif name == FIXTURE:
            asks = True
    if not asks:
        return Uses()
    names = [name for body in bodies for name in _named(body)]
    return Uses(() if "" in names else tuple(dict.fromkeys(names)), True, function.lineno)


def _asked(function: Function) -> Iterator[str]:
    """Arguments, and what `request.getfixturevalue` is asked for."""
    arguments = function.args
    yield from (one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _last(node.func) == "getfixturevalue":
            # A name that is only known when it runs could be any.
            yield from (_text(argument) or FIXTURE for argument in node.args)


def _marked(decorators: Iterable[ast.expr]) -> Iterator[str]:
    """The fixtures of `pytest.mark.usefixtures(…)`."""
    for decorator in decorators:
        for node in ast.walk(decorator):
            if isinstance(node, ast.Call) and _last(node.func) == "usefixtures":
                yield from filter(None, map(_text, node.args))


def _named(body: Function) -> Iterator[str]:
    """Which deps a function names: `deps.sso`, `deps["sso"]`; "" where it hands `deps` on."""
    inside = set()
    for node in ast.walk(body):
        if isinstance(node, ast.Attribute | ast.Subscript) and _is_deps(node.value):
            inside.add(id(node.value))
            yield (node.attr if isinstance(node, ast.Attribute) else _text(node.slice)) or ""
    for node in ast.walk(body):
        if _is_deps(node) and id(node) not in inside:
            yield ""


def _is_deps(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == FIXTURE


def _last(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
