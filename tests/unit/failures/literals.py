"""Every text that the code uses as a failure id, found in the syntax trees: nothing is imported and nothing runs.

An id is what is given to a keyword, parameter, field, key or variable called `failure_id`, or compared with one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

NAME = "failure_id"
T = TypeVar("T")
Found = dict[str, list[str]]  # id → places, as file:line
Texts = Iterator[tuple[str, int]]


def failure_ids(files: Iterable[Path]) -> Found:
    trees = {path: ast.parse(path.read_text()) for path in files}
    places = {(path.stem, name): place for path, tree in trees.items() for name, place in _positions(tree)}
    values = {path: _assigned(tree) for path, tree in trees.items()}
    returned = {(path.stem, name): _resolved(known[name], known)
                for path, tree in trees.items() for known in [values[path]] for name in _functions(tree)}  # fmt: skip
    found: Found = {}
    for path, tree in trees.items():
        from_others = _visible(path.stem, tree, returned)
        for text, line in _uses(tree, _visible(path.stem, tree, places), {**from_others, **values[path]}):
            found.setdefault(text, []).append(f"{path.name}:{line}")
    return found


def _functions(tree: ast.AST) -> Iterator[str]:
    """Those that return a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.returns and "str" in ast.unparse(node.returns):
            yield node.name


def _resolved(values: list[ast.expr], known: dict[str, list[ast.expr]]) -> list[ast.expr]:
    """The texts behind values of one file, so that they mean the same in another one."""
    return [ast.Constant(text, lineno=line) for value in values for text, line in _texts(value, known)]


def _positions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """(class or function, which of its positional arguments is the id)."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.FunctionDef):
            names = _parameters(node)
        elif isinstance(node, ast.ClassDef):
            made = [line for line in node.body if isinstance(line, ast.FunctionDef) and line.name == "__init__"]
            names = _parameters(made[0]) if made else [
                line.target.id for line in node.body
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
            ]  # fmt: skip
        if NAME in names and isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, names.index(NAME)


def _parameters(function: ast.FunctionDef) -> list[str]:
    return [one.arg for one in function.args.posonlyargs + function.args.args if one.arg != "self"]


def _visible(stem: str, tree: ast.AST, defined: dict[tuple[str, str], T]) -> dict[str, T]:
    """What can be called in this file, as it is written there: `Finding`, `diagnose.Finding`."""
    here = {name: place for (file, name), place in defined.items() if file == stem}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        for alias in node.names:
            as_name, module = alias.asname or alias.name, (node.module or "").rpartition(".")[2]
            if (module, alias.name) in defined:
                here[as_name] = defined[module, alias.name]
            here |= {f"{as_name}.{name}": place for (file, name), place in defined.items() if file == alias.name}
    return here


def _uses(tree: ast.AST, positions: dict[str, int], assigned: dict[str, list[ast.expr]]) -> Texts:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            place = positions.get(_dotted(node.func))
            if place is not None and place < len(node.args):
                yield from _texts(node.args[place], assigned)
            for keyword in node.keywords:
                if keyword.arg == NAME:
                    yield from _texts(keyword.value, assigned)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == NAME:
                    yield from _texts(value, assigned)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(_is_id(target) for target in targets):
                yield from _texts(node.value, assigned)
        elif isinstance(node, ast.Compare) and any(map(_is_id, [node.left, *node.comparators])):
            for side in [node.left, *node.comparators]:
                yield from _texts(side, assigned)


def _is_id(node: ast.expr) -> bool:
    """`failure_id`, `FAILURE_ID`, `x.failure_id`, `x["failure_id"]`."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value == NAME
    return str(getattr(node, "id", getattr(node, "attr", ""))).lower() == NAME


def _assigned(tree: ast.AST) -> dict[str, list[ast.expr]]:
    """Every value that a name is given anywhere in the file, and what functions of the file return."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.FunctionDef):
            values = [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value is not None]
            found.setdefault(node.name, []).extend(values)
    return found


def _texts(node: ast.expr, assigned: dict[str, list[ast.expr]], seen: frozenset[str] = frozenset()) -> Texts:
    """The texts that an expression can be, as far as the file itself shows it."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str) and node.value:
            yield node.value, node.lineno
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, assigned, seen)
        yield from _texts(node.orelse, assigned, seen)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _texts(value, assigned, seen)
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        for value in node.elts:
            yield from _texts(value, assigned, seen)
    elif isinstance(node, ast.Call):
        yield from _texts(node.func, assigned, seen)
    elif isinstance(node, ast.Name | ast.Attribute) and (name := _dotted(node)) not in seen:
        for value in assigned.get(name, []):
            yield from _texts(value, assigned, seen | {name})


def _dotted(node: ast.expr) -> str:
    """`Finding` or `diagnose.Finding`; empty for what is no plain name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return ""
