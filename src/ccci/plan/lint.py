"""`ccci lint`: what is wrong with the folders of recipe_tests, before anything runs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ccci import paths, yaml_file
from ccci.errors import PASS, USAGE, CcciError, InfrastructureError, UsageError
from ccci.plan import python_packages
from ccci.plan.build import plan_of
from ccci.plan.deps import PROVIDES, resolve
from ccci.plan.expected import generic_ids, ids_of_deps
from ccci.plan.load import EMBEDDED, OVERLAY, Materials, Request, load
from ccci.plan.needs import needs, of_tasks
from ccci.plan.recipe_settings import FILE, load_recipe_settings
from ccci.plan.tests_discovery import (
    MARKER,
    check_task_file,
    discover_hooks,
    discover_tests,
    flat_tasks,
    marker_file,
)
from ccci.plan.tiers import TIERS
from ccci.schemas import facts
from ccci.settings import Settings, load_settings
from ccci.source.versions import nearest
from ccci_host import policy
from ccci_host.traefik_labels import App, app_of
from ccci_probe import steps

ERROR, NOTE = "error", "note"
FLOOR = 2  # tests of what makes a recipe what it is
PARITY = "PARITY.md"
SCHEMA_LINE = "# yaml-language-server: $schema="
_KNOWN = (FILE, "marker.py", "tests", "hooks", "provides", "files", OVERLAY, PARITY, "README.md", "__pycache__")
_QUOTED = re.compile(r"`([A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+)`")


@dataclass(frozen=True)
class Finding:
    """`error` makes lint fail; a `note` is worth knowing."""

    level: str
    recipe: str
    text: str


def print_findings(recipes: Sequence[str], inventory: str | None, output: str) -> int:
    """`ccci lint`: prints the findings, returns 0 or 2."""
    settings = load_settings(inventory)
    checked = list(recipes) or enrolled()
    findings = [finding for recipe in checked for finding in lint_recipe(recipe, settings)]
    if output == "json":
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False) + "\n")
    else:
        for finding in findings:
            sys.stdout.write(f"{finding.recipe}: {finding.level}: {finding.text}\n")
        errors = sum(finding.level == ERROR for finding in findings)
        sys.stdout.write(f"{len(checked)} checked, {errors} wrong\n")
    return USAGE if any(finding.level == ERROR for finding in findings) else PASS


def enrolled() -> list[str]:
    """The recipes with a folder of their own."""
    if not paths.RECIPE_TESTS.is_dir():
        return []
    return sorted(path.name for path in paths.RECIPE_TESTS.iterdir() if path.is_dir() and path.name[0] not in "_.")


def lint_recipe(recipe: str, settings: Settings) -> list[Finding]:
    """Every finding about one recipe, the folder's first. UsageError when there is no such folder."""
    folder = paths.RECIPE_TESTS / recipe
    if not folder.is_dir():
        near = nearest(recipe, enrolled()) or enrolled()
        raise UsageError(f"There is no folder {folder}", expected=", ".join(near), next_step=f"ccci new {recipe}")
    steps: tuple[Callable[[str, Path], Iterable[Finding]], ...] = (
        _settings, _deps, _provides, _tests, _copies, _strangers, _parity
    )  # fmt: skip
    findings: list[Finding] = []
    for step in steps:
        try:
            findings += step(recipe, folder)
        except UsageError as error:
            findings.append(Finding(ERROR, recipe, str(error)))
    if not any(finding.level == ERROR for finding in findings):
        findings += _planned(recipe, settings)
    return findings


def _settings(recipe: str, folder: Path) -> Iterator[Finding]:
    file = folder / FILE
    if file.is_file() and not file.read_text(errors="replace").startswith(SCHEMA_LINE):
        schema = f"{SCHEMA_LINE}../../src/ccci/schemas/recipe.json"
        yield Finding(ERROR, recipe, f"{file}:1 does not begin with {schema}, which lets editors check the file")
    load_recipe_settings(folder)


def _deps(recipe: str, folder: Path) -> Iterator[Finding]:
    """Deps that are not there or that nothing proves, and a login that no browser can play."""
    settings = load_recipe_settings(folder)
    resolve(recipe, settings)
    proved = {settings.login.through} if settings.login else set()
    for test in discover_tests(recipe, folder):
        proved |= {*needs(test.uses, [dep.name for dep in settings.deps], test.path)}
    for path in discover_hooks(folder).values():
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        needs(of_tasks(text), [dep.name for dep in settings.deps], path)
    for index, dep in enumerate(settings.deps):
        if dep.name not in proved:
            place = settings.place("deps", index)
            yield Finding(NOTE, recipe, f"{place}: neither a test nor the login needs {dep.name}, so nothing proves it")
    if settings.login is not None:
        for part in ("start", "then", "logout"):
            for index, step in enumerate(getattr(settings.login, part)):
                if wrong := steps.problem(step):
                    yield Finding(ERROR, recipe, f"{settings.place('login', part, index)}: {wrong}")


def _provides(recipe: str, folder: Path) -> Iterator[Finding]:
    """What other recipes would get from this one."""
    for path in sorted((folder / PROVIDES).glob("*")):
        if path.suffix == ".py" or path.name == "__pycache__":
            continue
        if path.suffix != ".yml" or path.stem not in facts.kinds():
            near = nearest(path.stem, facts.kinds()) or facts.kinds()
            names = ", ".join(f"{kind}.yml" for kind in near)
            yield Finding(ERROR, recipe, f"{path} is no kind of facts; expected {names}")
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        check_task_file(str(path), text)
        given = [arguments for task in flat_tasks(yaml_file.parse(text, str(path)).data) for arguments in _calls(task)]
        if not any(arguments.get("kind") == path.stem for arguments in given):
            yield Finding(ERROR, recipe, f"{path} gives no facts: expected a task ccci_provide with kind: {path.stem}")
        for arguments in given:
            name = str(arguments.get("file", "")).rpartition("/")[2]
            if name and "{" not in name and not (path.parent / name).is_file():
                yield Finding(ERROR, recipe, f"{path} names {name}, which is not in {path.parent}")


def _calls(task: dict[str, Any]) -> list[dict[str, Any]]:
    return [task["ccci_provide"]] if isinstance(task.get("ccci_provide"), dict) else []


def _tests(recipe: str, folder: Path) -> Iterator[Finding]:
    settings = load_recipe_settings(folder)
    discover_hooks(folder)
    if settings.marker is not None and settings.marker["kind"] == "api":
        marker_file(folder)
    elif (folder / MARKER).exists():
        place = settings.place("marker")
        yield Finding(ERROR, recipe, f"{folder / MARKER} is not used; {place} has to say kind: api")
    python_packages.missing(settings.python, settings.place("python"))
    tests = discover_tests(recipe, folder)
    if "custom" in settings.skip:
        yield Finding(NOTE, recipe, f"its own tests are skipped: {settings.skip['custom']}")
    elif len(tests) < FLOOR:
        names = ", ".join(test.id for test in tests) or "none"
        text = f"{len(tests)} of at least {FLOOR} tests of what makes this recipe what it is ({names})"
        # Where an app cannot be played, nobody could see its tests pass.
        level = NOTE if settings.embedded_not_run else ERROR
        yield Finding(level, recipe, f"{folder / 'tests'} is under the floor: {text}")


def _copies(recipe: str, folder: Path) -> Iterator[Finding]:
    """Files that say the same, comments and blank lines aside: a stray copy makes one test look like two."""
    seen: dict[str, Path] = {}
    for path in sorted((folder / "tests").glob("*")):
        if path.suffix not in (".yml", ".py") or not path.is_file():
            continue
        lines = [line.strip() for line in path.read_text(errors="replace").splitlines()]
        text = "\n".join(line for line in lines if line and not line.startswith("#"))
        if text in seen:
            yield Finding(ERROR, recipe, f"{path} is a copy of {seen[text].name}: one test would count twice")
        seen.setdefault(text, path)


def _strangers(recipe: str, folder: Path) -> Iterator[Finding]:
    """Files that nothing reads, so that their author believes in a test that never runs."""
    known = (*_KNOWN, f"{recipe.replace('-', '_')}_client.py")
    for path in sorted(folder.iterdir()):
        if path.name not in known:
            near = nearest(path.name, known)
            yield Finding(ERROR, recipe, f"{path} is read by nothing" + (f"; did you mean {near[0]}?" if near else ""))
    for path in sorted((folder / "tests").glob("*")):
        helper = path.name in ("conftest.py", "__pycache__") or path.is_dir()
        if not helper and path.suffix != ".yml" and not re.fullmatch(r"test_.*\.py", path.name):
            yield Finding(ERROR, recipe, f"{path} is no test: expected NAME.yml or test_NAME.py")


def _parity(recipe: str, folder: Path) -> Iterator[Finding]:
    file = folder / PARITY
    if not file.is_file():
        yield Finding(ERROR, recipe, f"{file} is missing: what upstream tests, what covers it here, what is left out")
        return
    own = {test.id for test in discover_tests(recipe, folder)}
    shared = generic_ids() | ids_of_deps(needed.key for needed in resolve(recipe, load_recipe_settings(folder)))
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        for name in _QUOTED.findall(line):
            known = own if name.startswith(f"{recipe}.") else shared if name.split(".")[0] in TIERS else None
            if known is not None and name not in known:
                near = nearest(name, known)
                hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(sorted(known)) or 'none'}"
                yield Finding(ERROR, recipe, f"{file}:{number} names {name}, which is no id{hint}")


def _planned(recipe: str, settings: Settings) -> Iterator[Finding]:
    """What only shows together with the recipe itself: templates, the marker's service, the compose files."""
    not_run = load_recipe_settings(paths.RECIPE_TESTS / recipe).embedded_not_run
    if not_run and settings.platform == EMBEDDED:
        yield Finding(NOTE, recipe, f"not run here, so its compose files were not checked: {not_run}")
        return
    try:
        materials = load(Request(recipe), settings)
        plan = plan_of(materials)
    except InfrastructureError as error:
        yield Finding(NOTE, recipe, f"its compose files were not checked: {error}")
        return
    except CcciError as error:
        yield Finding(ERROR, recipe, str(error))
        return
    for entry in plan["not_planned"]:
        yield Finding(NOTE, recipe, f"{entry['tier']} is not judged: {entry['reason']}")
    app = app_of(materials.stack, materials.domain, {**plan["env"], **plan["env_from_upgrade"]})
    yield from _compose(recipe, settings, materials, app)
    yield from _overlay(recipe, materials)


def _compose(recipe: str, settings: Settings, materials: Materials, app: App) -> Iterator[Finding]:
    for rule in policy.unknown_rules(settings.compose_allow.get(recipe, ())):
        allowed = ", ".join(policy.ALLOWABLE)
        yield Finding(ERROR, recipe, f"the inventory allows {rule!r}, which is no rule; rules: {allowed}")
    side = materials.head_side
    if side.stack is None or side.stack.source is None:
        yield Finding(NOTE, recipe, f"the default branch cannot be deployed: {side.problem}")
        return
    for demand in policy.demands(side.stack.source, app):
        file, line = side.stack.source.line_of(demand.path)
        text = f"{file}:{line}: {demand.rule}: {demand.subject} asks for {demand.detail}"
        yield Finding(NOTE, recipe, f"{text} (published already; a pull request that adds it is refused)")


def _overlay(recipe: str, materials: Materials) -> Iterator[Finding]:
    """The overlay changes what is tested: it has to be valid, to touch services that exist, and it is shown."""
    path = materials.tests_dir / OVERLAY if materials.tests_dir else None
    if path is None or not path.is_file():
        return
    source = materials.head_side.stack.source if materials.head_side.stack else None
    try:
        file = yaml_file.read(path)
    except UsageError as error:
        yield Finding(ERROR, recipe, str(error))
        return
    services = file.data.get("services") if isinstance(file.data, dict) else None
    if not isinstance(services, dict):
        yield Finding(ERROR, recipe, f"{file.place()} holds no services")
        return
    for service, keys in services.items():
        if source is not None and service not in source.services:
            known = ", ".join(source.services)
            text = f"{file.place('services', service)}: the recipe has no service {service!r}; it has {known}"
            yield Finding(ERROR, recipe, text)
        else:
            changed = ", ".join(keys) if isinstance(keys, dict) else "nothing"
            yield Finding(NOTE, recipe, f"{file.place('services', service)} changes {changed} of service {service}")
