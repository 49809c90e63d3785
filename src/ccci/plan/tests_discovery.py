"""Which tests and hooks a recipe's folder holds, and their ids. Nothing is imported and nothing is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ccci import yaml_file
from ccci.errors import UsageError
from ccci.plan.needs import Fixtures, Function, Uses, fixtures_in, of_function, of_head, of_tasks, together
from ccci.source.versions import nearest

HOOKS = ("pre_install", "post_install", "pre_upgrade", "pre_backup", "pre_restore", "post_restore", "setup_custom")
_META = ("meta", "ansible.builtin.meta", "ansible.legacy.meta")
_HARMLESS_META = re.compile(r"(?!end_)[a-z_]+")
_FROM = re.compile(r"#\s*from:\s*(\S+)\s*$")
_STEM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
CONFTEST = "conftest.py"
MARKER = "marker.py"
MARKER_FUNCTIONS = ("seed", "check", "destroy")
_BLOCKS = ("block", "rescue", "always")


@dataclass(frozen=True)
class RecipeTest:
    """One test id. `kind`: yaml or pytest; `since` is base or upgrade; `place` is file:line; `uses`: deps it needs."""

    id: str
    kind: str
    path: str
    since: str
    place: str
    uses: Uses = Uses()  # noqa: RUF009 - frozen


def discover_tests(recipe: str, folder: Path | None) -> list[RecipeTest]:
    """The tests below `<folder>/tests`, ordered by file; [] without a folder.

    UsageError with file:line for what is broken, for an id that is used twice, and for `meta: end_*`, which would end
    the play before its teardown.
    """
    tests_dir = folder / "tests" if folder else None
    if tests_dir is None or not tests_dir.is_dir():
        return []
    files = {str(path): _text(path) for path in sorted(tests_dir.iterdir()) if path.is_file()}
    return tests_of(recipe, files)


def tests_of(recipe: str, files: Mapping[str, str]) -> list[RecipeTest]:
    """The same for files that were read already: `{path: text}`."""
    shared = next((path for path in files if Path(path).name == CONFTEST), None)
    fixtures = fixtures_in(_tree(shared, files[shared])) if shared else Fixtures()
    tests = [test for path, text in files.items() for test in _tests_in(recipe, path, text, fixtures)]
    refuse_duplicates(tests)
    return tests


def refuse_duplicates(tests: Iterable[RecipeTest]) -> None:
    seen: dict[str, RecipeTest] = {}
    for test in tests:
        if test.id in seen:
            raise UsageError(
                f"The test id {test.id!r} is used twice",
                observed=f"{seen[test.id].place} and {test.place}",
                next_step="Rename one of the two",
            )
        seen[test.id] = test


def marker_file(folder: Path) -> Path:
    """The recipe's marker.py. UsageError when it is not there, or lacks one of its functions."""
    path = folder / MARKER
    if not path.is_file():
        raise UsageError(f"{path} is not there", expected=f"a file with the functions {', '.join(MARKER_FUNCTIONS)}")
    names: set[str] = set()
    for node in _tree(str(path), _text(path)).body:
        if isinstance(node, Function):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    if missing := [name for name in MARKER_FUNCTIONS if name not in names]:
        raise UsageError(f"{path} lacks {', '.join(f'{name}(app, value)' for name in missing)}")
    return path


def discover_hooks(folder: Path | None) -> dict[str, str]:
    """`{hook: path}` of the task files below `<folder>/hooks`."""
    hooks_dir = folder / "hooks" if folder else None
    if hooks_dir is None or not hooks_dir.is_dir():
        return {}
    hooks = {}
    for path in sorted(hooks_dir.iterdir()):
        if path.suffix not in (".yml", ".yaml"):
            continue
        check_task_file(str(path), _text(path))
        if path.stem not in HOOKS or path.suffix != ".yml":
            near = nearest(path.stem, HOOKS)
            raise UsageError(
                f"{path} is not a hook", expected=", ".join(f"{name}.yml" for name in (near or HOOKS)),
                next_step="A hook's file name says when it runs",
            )  # fmt: skip
        hooks[path.stem] = str(path)
    return hooks


def check_task_file(path: str, text: str) -> None:
    """UsageError unless the text is a list of Ansible tasks that cannot end the play."""
    file = yaml_file.parse(text, path)
    if not isinstance(file.data, list) or not file.data:
        raise UsageError(f"{file.place()} holds no list of tasks", observed=type(file.data).__name__)
    for where, task in _tasks(file.data, ()):
        if not isinstance(task, dict):
            raise UsageError(f"{file.place(*where)} is not a task", expected="a mapping", observed=repr(task)[:100])
        if "hosts" in task:
            raise UsageError(f"{file.place(*where)} is a play", expected="a list of tasks, as in a role's tasks/")
        for key in _META:
            action = task.get(key)
            name = action.get("free_form", action.get("_raw_params", "")) if isinstance(action, dict) else action
            if name is not None and not _HARMLESS_META.fullmatch(str(name).strip()):
                raise _ends_the_play(file.place(*where, key), name)
        for key in ("action", "local_action"):
            action = task.get(key)
            words = f"{action.get('module', '')} x" if isinstance(action, dict) else str(action or "")
            if words.split(" ")[0] in _META:
                raise _ends_the_play(file.place(*where, key), action)


def _ends_the_play(place: str, name: object) -> UsageError:
    return UsageError(
        f"{place} uses meta: {name}", expected="no meta task that ends the play: the teardown would be skipped",
        next_step="Use `when:` on the tasks that follow, or ansible.builtin.fail",
    )  # fmt: skip


def flat_tasks(tasks: list[Any]) -> list[dict[str, Any]]:
    """The tasks of a file that `check_task_file` let pass, those inside blocks too."""
    return [task for _, task in _tasks(tasks, ()) if isinstance(task, dict)]


def _tasks(tasks: list[Any], path: yaml_file.KeyPath) -> Iterator[tuple[yaml_file.KeyPath, Any]]:
    for index, task in enumerate(tasks):
        yield (*path, index), task
        if isinstance(task, dict):
            for key in _BLOCKS:
                if isinstance(task.get(key), list):
                    yield from _tasks(task[key], (*path, index, key))


def _tests_in(recipe: str, path: str, text: str, shared: Fixtures) -> list[RecipeTest]:
    name = Path(path).name
    if name.endswith((".yml", ".yaml")):
        if not name.endswith(".yml") or not _STEM.fullmatch(Path(path).stem):
            raise UsageError(f"{path} cannot be a test", expected="a name of letters, digits, - and _, ending in .yml")
        check_task_file(path, text)
        uses = together(of_head(text), of_tasks(text))
        return [RecipeTest(f"{recipe}.{Path(path).stem}", "yaml", path, _since(path, text), f"{path}:1", uses)]
    if re.fullmatch(r"test_.*\.py", name):
        since, head, tree = _since(path, text), of_head(text), _tree(path, text)
        fixtures = shared.also(fixtures_in(tree))
        functions = list(_functions(tree))
        if not functions:
            raise UsageError(f"{path} holds no test", expected="a function whose name begins with test_")
        return [
            RecipeTest(
                f"{recipe}.{function.name}", "pytest", path, since, f"{path}:{function.lineno}",
                together(head, of_function(function, around, fixtures)),
            )
            for function, around in functions
        ]  # fmt: skip
    return []


def _tree(path: str, text: str) -> ast.Module:
    try:
        return ast.parse(text, path)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        words = getattr(error, "msg", None) or str(error)
        raise UsageError(f"{path}:{line} is not valid Python", observed=words) from error


def _functions(tree: ast.Module) -> Iterator[tuple[Function, list[ast.expr]]]:
    """The tests of a file, each with the marks of its class and of the file."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test")]
    whole = _marks(tree.body)
    groups = [(tree.body, whole)]
    groups += [(node.body, [*whole, *node.decorator_list, *_marks(node.body)]) for node in classes]
    for body, around in groups:
        for node in body:
            if isinstance(node, Function) and node.name.startswith("test_"):
                yield node, around


def _marks(body: Iterable[ast.stmt]) -> list[ast.expr]:
    """`pytestmark = …`"""
    assigned = [node for node in body if isinstance(node, ast.Assign)]
    return [node.value for node in assigned if any(getattr(to, "id", "") == "pytestmark" for to in node.targets)]


def _since(path: str, text: str) -> str:
    """`# from: upgrade` among the comments at the head of a file."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith(("#", "---")):
            break
        match = _FROM.match(line)
        if match:
            if match[1] not in ("base", "upgrade"):
                raise UsageError(f"{path}:{number} says from: {match[1]}", expected="base or upgrade")
            return match[1]
    return "base"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if path.suffix in (".yml", ".yaml", ".py"):
            raise UsageError(f"Cannot read {path}", observed=str(error)) from error
        return ""
