"""Scratch playbooks for the engine: the real ansible-runner and ansible-playbook, on this machine, without Docker."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest

HEAD = """\
- name: Scratch
  hosts: {hosts}
  gather_facts: false
  vars: {{ccci_tier: {tier}, ccci_run_dir: "{{{{ ccci_plan_file | dirname }}}}"}}
  tasks:
"""
RECORD = "    - ccci_record: {{results: [{{id: {id}, outcome: pass}}]}}\n      tags: [always]\n"


class Scratch:
    """`play` and `clean` are playbooks; what they do is given as tasks."""

    def __init__(self, folder: Path, inventory: Path) -> None:
        self.folder, self.inventory = folder, inventory
        # A name of its own: processes are ended by it, also those of a test that runs beside this one.
        self.run_dir = folder / f"20260101-000000-demo-{secrets.token_hex(3)}"
        self.run_dir.mkdir()
        self.plan: dict[str, Any] = {"run": {"id": self.run_dir.name, "dir": str(self.run_dir), "tags": ["all"]}}
        (self.run_dir / "plan.json").write_text(json.dumps(self.plan))
        self.playbook("clean", self.record("teardown.removed"), tier="teardown")

    def playbook(self, name: str, tasks: str, tier: str = "install", hosts: str = "ccci_nodes[0]") -> Path:
        path = self.folder / f"{name}.yml"
        path.write_text(HEAD.format(hosts=hosts, tier=tier) + tasks)
        return path

    @staticmethod
    def record(name: str) -> str:
        return RECORD.format(id=name)


@pytest.fixture
def scratch(world: Any) -> Scratch:
    folder = world.root / "scratch"
    folder.mkdir()
    return Scratch(folder, world.inventory)
