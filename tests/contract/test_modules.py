"""What every module of library/ and every role promises, checked against what it does."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
MODULES = sorted((PROJECT / "library").glob("ccci_*.py"))
HOST_FILES = sorted((PROJECT / "module_utils" / "ccci_host").rglob("*.py"))
ROLES = sorted(path for path in (PROJECT / "roles").iterdir() if path.is_dir())
# These run on the controller, in ccci's own Python environment. All others run with the node's bare Python.
ON_CONTROLLER = {
    "ccci_assert_http", "ccci_assert_tcp", "ccci_assert_browser", "ccci_assert_login", "ccci_assert_oidc",
    "ccci_pytest", "ccci_provide", "ccci_api_marker",
}  # fmt: skip
IN_ACTION = {"ccci_provide", "ccci_api_marker"}  # the action plugin does it all; the module is its documentation
LONGEST = 300  # lines
OPTION_KEYS = ("type", "elements", "choices", "default", "required")


def stem(path: Path) -> str:
    return path.stem


@pytest.fixture(scope="module", autouse=True)
def _ansible_finds_our_utilities() -> Any:
    """Ansible ships module_utils/ as part of `ansible.module_utils`; here the same folder gets that second name."""
    before = {name for name in sys.modules if name.startswith("ansible.module_utils.ccci_host")}
    sys.path.insert(0, str(PROJECT / "library"))
    importlib.import_module("ansible.module_utils").__path__.append(str(PROJECT / "module_utils"))
    yield
    sys.path.remove(str(PROJECT / "library"))
    importlib.import_module("ansible.module_utils").__path__.remove(str(PROJECT / "module_utils"))
    for name in [name for name in sys.modules if name.startswith("ansible.module_utils.ccci_host")]:
        if name not in before:
            del sys.modules[name]


def loaded(path: Path) -> ModuleType:
    return importlib.import_module(path.stem)


def documentation(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(loaded(path).DOCUMENTATION))


def imports(path: Path) -> set[str]:
    """Top-level names that a file imports, `ansible.module_utils.…` and relative imports left out."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return {name.split(".")[0] for name in names if not name.startswith("ansible.module_utils")}


def shape(options: dict[str, Any], nested: str) -> dict[str, Any]:
    """What documentation (`nested` is suboptions there) and argument spec (there it is options) say in common."""
    told: dict[str, Any] = {}
    for name, option in options.items():
        told[name] = {key: option[key] for key in OPTION_KEYS if option.get(key) not in (None, False)}
        if option.get("default") is False:
            told[name]["default"] = False
        if option.get(nested):
            told[name]["nested"] = shape(option[nested], nested)
    return told


def test_there_are_modules_and_roles_to_look_at() -> None:
    assert len(MODULES) >= 10
    assert len(ROLES) >= 10


@pytest.mark.parametrize("path", [path for path in MODULES if path.stem in IN_ACTION], ids=stem)
def test_options_of_an_action_are_documented_as_they_are(path: Path) -> None:
    text = (PROJECT / "plugins" / "action" / path.name).read_text()
    told = re.search(r"_VALID_ARGS = frozenset\((\{.*?\})\)", text)
    assert told
    assert ast.literal_eval(told[1]) == set(documentation(path)["options"])


@pytest.mark.parametrize("path", [path for path in MODULES if path.stem not in IN_ACTION], ids=stem)
def test_options_are_documented_as_they_are(path: Path) -> None:
    assert shape(documentation(path)["options"], "suboptions") == shape(loaded(path).ARGUMENT_SPEC, "options")


@pytest.mark.parametrize("path", MODULES, ids=stem)
def test_the_documentation_is_complete_and_comes_first(path: Path) -> None:
    words = documentation(path)
    assert words["module"] == path.stem
    assert words["short_description"]
    assert words["author"] == ["ccci"]
    assert words["attributes"]["check_mode"]["support"] in ("full", "none", "partial")
    if words["attributes"]["check_mode"]["support"] != "full":
        assert words["attributes"]["check_mode"]["description"], "say why check mode is not supported"
    assert isinstance(yaml.safe_load(loaded(path).EXAMPLES), list)
    assert "ccci" in yaml.safe_load(loaded(path).RETURN)
    text = path.read_text()
    # Only with this exact first line does Ansible heed ansible_python_interpreter, which leads to ccci's environment.
    python = "python" if path.stem in ON_CONTROLLER else "python3"
    assert re.match(rf"#!/usr/bin/{python}\n# GNU General Public License v3\.0 or later", text)
    if path.stem not in IN_ACTION:
        assert text.index("DOCUMENTATION = ") < text.index("from ansible.module_utils")


@pytest.mark.parametrize("path", MODULES, ids=stem)
def test_every_module_has_its_half_on_the_controller(path: Path) -> None:
    assert "ActionModule" in (PROJECT / "plugins" / "action" / path.name).read_text()


@pytest.mark.parametrize("path", MODULES, ids=stem)
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("path", [*MODULES, *HOST_FILES], ids=stem)
def test_what_runs_on_the_node_needs_nothing_but_its_python(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"ansible", "ccci_host"}
    if path in HOST_FILES:
        allowed |= {"yaml"}  # Debian's, for the compose reader
    if path.stem in ON_CONTROLLER:
        allowed |= {"requests", "urllib3", "playwright", "pytest"}
    assert imports(path) <= allowed
    assert "ccci" not in imports(path), "a module that imports ccci works by accident on localhost and breaks over SSH"


@pytest.mark.parametrize("role", ROLES, ids=stem)
def test_role_arguments_equal_the_defaults(role: Path) -> None:
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    options = {name: option for spec in specs.values() for name, option in (spec.get("options") or {}).items()}
    text = (role / "defaults" / "main.yml").read_text()
    defaults = yaml.safe_load(text) or {}
    commented = set(re.findall(r"^# ([a-z_]+):(?:\s|$)", text, re.MULTILINE))
    required = {name for name, option in options.items() if option.get("required")}
    assert set(defaults) | commented == set(options)
    assert commented >= required, "inputs without a safe default appear commented out"
    assert {name: options[name].get("default") for name in defaults} == defaults
    assert all(option.get("description") for option in options.values())
