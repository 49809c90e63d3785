"""A small world for each test: a forge, recipe_tests, an inventory, runs and a cache below a temporary folder."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent / "source"))  # gitrepo

from gitrepo import Repo

from ccci import paths
from ccci.plan.build import Plan, build_plan
from ccci.plan.load import Request
from ccci.settings import Settings, load_settings
from ccci.source.mirror import Selector

SCHEMA_LINE = "# yaml-language-server: $schema=../../src/ccci/schemas/recipe.json\n"
HOSTS = """\
all:
  hosts:
    ccci_controller: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  children:
    ccci_nodes:
      hosts: {here: {ansible_connection: local}, there: {ansible_host: node.example.org}}
      vars: {ansible_python_interpreter: /usr/bin/python3}
"""
COMPOSE = """\
version: "3.8"
services:
  app:
    image: demo:{number}
    volumes: ["content:/data"]
    deploy:
      labels:
        - backupbot.backup=true
volumes:
  content:
"""


@dataclass
class World:
    """`forge` holds the recipe `demo`: 1.0.0+1.2.0, 1.1.0+1.3.0, main after them, and pull requests."""

    root: Path
    forge: Repo
    commits: dict[str, str]

    @property
    def tests(self) -> Path:
        return self.root / "recipe_tests" / "demo"

    @property
    def inventory(self) -> Path:
        return self.root / "inventory"

    def write(self, name: str, text: str) -> Path:
        """A file in the recipe's folder."""
        path = self.tests / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SCHEMA_LINE + text if name == "recipe.yml" else text)
        return path

    def configure(self, text: str) -> None:
        file = self.inventory / "group_vars" / "all" / "ccci.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            f"ccci_wildcard_domain: ci.test\nccci_recipe_url: file://{self.forge.path.parent}/{{recipe}}.git\n{text}"
        )

    def settings(self, **flags: Any) -> Settings:
        return load_settings(str(self.inventory), flags)

    def plan(self, kind: str = "main", value: str = "", **request: Any) -> Plan:
        return build_plan(Request("demo", Selector(kind, value), **request), self.settings())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for name in ["CCCI_INVENTORY", "CCCI_KEEP", "CCCI_WAIT", "CCCI_NODE", "CCCI_SOURCE"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CCCI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("CCCI_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr(paths, "RECIPE_TESTS", tmp_path / "recipe_tests")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe_tests").mkdir()
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "hosts.yml").write_text(HOSTS)
    world = World(tmp_path, Repo(tmp_path / "forge" / "demo.git"), {})
    world.configure("")
    _fill(world)
    return world


def _fill(world: World) -> None:
    forge = world.forge
    files = {".env.sample": "TYPE=demo\nDOMAIN=demo.example.com\n", "abra.sh": "export A=v1\n"}
    first = forge.commit({**files, "compose.yml": COMPOSE.replace("{number}", "1")}, "First")
    second = forge.commit({"compose.yml": COMPOSE.replace("{number}", "2")}, "Second", parent=first)
    main = forge.commit({"README.md": "Demo\n"}, "Say what it is", parent=second)
    broken = forge.commit({"compose.yml": "services:\n  app: {image: [\n"}, "Break it", parent=main)
    carries = {".ccci/tests/own.yml": "- ansible.builtin.debug:\n", ".ccci/tests/notes.txt": "x"}
    carrying = forge.commit(carries, "With its own test", parent=main)
    bare = forge.commit(
        {"compose.yml": COMPOSE.replace("        - backupbot.backup=true\n", "        - a=b\n")}, "No labels", main
    )
    forge.tag("1.0.0+1.2.0", first)
    forge.tag("1.1.0+1.3.0", second)
    forge.ref("refs/heads/main", main)
    for number, commit in ((1, broken), (2, carrying), (3, bare)):
        forge.ref(f"refs/pull/{number}/head", commit)
    world.commits = {"first": first, "second": second, "main": main, "broken": broken, "carrying": carrying}
