"""The role that runs a recipe's own tests: one file's failure must neither stop the next nor go unseen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from webserver import Site

from ccci import events, paths

FILES = {
    "good": """
- name: Ask
  ccci_assert_http: {checks: [{id: text, url: "{{ ccci_url }}/", text: Hello}], retry_for: 1}
""",
    "wrong": """
- name: Ask
  ccci_assert_http: {checks: [{id: text, url: "{{ ccci_url }}/", text: Bye}], retry_for: 0.1}
""",
    "gate": """
- name: Ask
  ccci_assert_http: {checks: [{id: g, url: "{{ ccci_url }}/none"}], retry_for: 0.1, operation: true}
""",
    "option": "- name: Misspell\n  ccci_assert_http: {cheks: []}\n",
    "asserts": "- name: Assert that one is one\n  ansible.builtin.assert: {that: 1 == 1}\n",
    "refutes": "- name: Assert that one is two\n  ansible.builtin.assert: {that: 1 == 2}\n",
    "undefined": "- name: Use what is not there\n  ansible.builtin.debug: {msg: '{{ nowhere.at_all }}'}\n",
    "hangs": "- name: Wait for news\n  ansible.builtin.command: tail -f /dev/null\n",
    "nothing": "- name: Only talk\n  ansible.builtin.debug: {msg: hello}\n",
    "rescued": """
- name: Try
  block:
    - name: Break
      ansible.builtin.command: "false"
  rescue:
    - name: Assert that it broke
      ansible.builtin.assert: {that: ansible_failed_result.rc == 1}
""",
    "last": "- name: Assert that we got here\n  ansible.builtin.assert: {that: true}\n",
}
EXPECTED = {
    "good": ["pass"], "wrong": ["fail"], "gate": ["fail"], "option": ["error"], "asserts": ["pass"],
    "refutes": ["fail"], "undefined": ["error"], "gone": ["error"], "hangs": ["fail"], "nothing": [],
    "rescued": ["pass"], "last": ["pass"],
}  # fmt: skip
PLAY = """
- name: Try the role
  hosts: here
  gather_facts: false
  vars: {ccci_run_dir: "{{ ccci_plan.run.dir }}", ccci_scope: {}, ccci_url: "{{ ccci_plan.url }}"}
  module_defaults:
    ccci_assert_http: {ingress_address: 127.0.0.1, ca_file: "{{ ccci_plan.ca_file }}"}
  tasks:
    - name: Load the plan
      ansible.builtin.set_fact:
        ccci_plan: "{{ lookup('ansible.builtin.file', ccci_plan_file) | from_json }}"
      tags: [always]
    - name: Run the recipe's own tests
      ansible.builtin.import_role: {name: tier_custom}
      vars: {ccci_tier: custom}
      tags: [custom]
"""


def play(folder: Path, site: Site, *options: str) -> tuple[int, list[events.Event], str]:
    tests = []
    for name in EXPECTED:
        path = folder / f"{name}.yml"
        tests.append({"id": f"demo.{name}", "kind": "yaml", "path": str(path)})
        if name in FILES:
            path.write_text(FILES[name])
    plan: dict[str, Any] = {
        "run": {"id": "r", "dir": str(folder)}, "app": {"domain": "d", "stack": "s"}, "head": {"version": None},
        "recipe": {"name": "demo"}, "hooks": {}, "timeouts": {"custom": 20}, "tests": tests,
        "url": site.url().rstrip("/"), "ca_file": site.ca_file,
    }  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "play.yml").write_text(PLAY)
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"ccci_controller": local, "here": local}}}))
    environment = {**os.environ, "ANSIBLE_CONFIG": str(paths.PROJECT / "ansible.cfg")}
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts.yml", "play.yml", *options]
    command += ["-e", f"ccci_plan_file={folder / 'plan.json'}"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, events.read(folder), done.stdout + done.stderr


def test_every_test_has_its_say(site: Site, tmp_path: Path) -> None:
    for number, options in enumerate(([], ["--tags", "custom"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        code, stream, output = play(folder, site, *options)
        found: dict[str, list[str]] = {name: [] for name in EXPECTED}
        for event in stream:
            if event["type"] == "result":
                found[event["id"].removeprefix("demo.")].append(event["outcome"])
        assert found == EXPECTED, output
        assert code == 0, output
        refuted = next(event for event in stream if event.get("id") == "demo.refutes")
        assert (refuted["check"], refuted["tier"]) == ("Assert that one is two", "custom")
        gone, hangs = (next(e for e in stream if e.get("id") == f"demo.{name}") for name in ("gone", "hangs"))
        assert (gone["failure_id"], gone["check"]) == ("stale-checkout", "gone.yml")
        assert (hangs["failure_id"], hangs["check"]) == ("interactive-hang", "Wait for news")
        assert hangs["observed"].startswith("`tail -f /dev/null` did not end within 20 s")
