"""Plain ansible-playbook on an inventory that does not have the plan's node: nothing is played, and that is no 0."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ccci import paths

HOSTS = "all: {children: {ccci_nodes: {hosts: {here: {ansible_connection: local}}}}}\n"


@pytest.mark.parametrize("playbook", ["play.yml", "clean.yml"])
def test_a_node_that_is_not_in_the_inventory_is_an_error(tmp_path: Path, playbook: str) -> None:
    (tmp_path / "hosts.yml").write_text(HOSTS)
    for node, good in (("there", False), ("here", True)):
        (tmp_path / "plan.json").write_text(json.dumps({"run": {"node": node}}))
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts.yml")]
        command += ["--list-hosts", str(paths.PLAYBOOKS / playbook), "-e", f"ccci_plan_file={tmp_path / 'plan.json'}"]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(paths.PROJECT / "ansible.cfg")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode == 0) is good, done.stdout + done.stderr
