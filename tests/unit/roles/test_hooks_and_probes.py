"""The roles that run a recipe's hooks and its ready probes, with the real ansible-playbook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from webserver import Site

from ccci import events, paths
from ccci.report.judge import broken_tasks

HANGS = "- name: Scale the worker down\n  ansible.builtin.command: sleep 300\n"


def play(folder: Path, role: str, tags: str = "all", **variables: Any) -> tuple[int, list[events.Event], str]:
    """Includes a role as the tiers do. Returns the return code, the events and what Ansible printed."""
    include = {"name": role, "apply": {"tags": ["always"]}}
    given = {"ccci_run_dir": str(folder), "ccci_scope": {}, **variables}
    tasks = [{"name": "Try it", "ansible.builtin.include_role": include, "tags": ["upgrade"]}]
    tasks += [{"name": "Go on", "ccci_record": {"results": [{"id": "after", "outcome": "pass"}]}, "tags": ["upgrade"]}]
    one = {"name": "Try", "hosts": "here", "gather_facts": False, "vars": given, "tasks": tasks}
    (folder / "play.yml").write_text(yaml.safe_dump([one]))
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"ccci_controller": local, "here": local}}}))
    environment = {**os.environ, "ANSIBLE_CONFIG": str(paths.PROJECT / "ansible.cfg")}
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts.yml", "play.yml", "--tags", tags]
    command += ["-e", f"ccci_run_dir={folder}"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, events.read(folder), done.stdout + done.stderr


def results(stream: list[events.Event]) -> list[events.Event]:
    return [event for event in stream if event["type"] == "result"]


def hook(folder: Path, text: str | None, tags: str = "all", limit: int = 60) -> tuple[int, list[events.Event], str]:
    path = folder / "pre_upgrade.yml"
    if text is not None:
        path.write_text(text)
    plan = {"hooks": {"pre_upgrade": str(path)}}
    return play(folder, "recipe_hook", tags, recipe_hook_name="pre_upgrade", recipe_hook_limit=limit, ccci_plan=plan,
                ccci_tier="upgrade")  # fmt: skip


@pytest.mark.parametrize("tags", ["all", "upgrade"])
def test_a_hook_that_ran_is_a_result(tmp_path: Path, tags: str) -> None:
    text = "- name: Say something\n  ccci_record: {results: [{id: hook.said, outcome: pass}]}\n"
    code, stream, output = hook(tmp_path, text, tags)
    assert code == 0, output
    assert [(one["id"], one["outcome"]) for one in results(stream)] == [
        ("hook.said", "pass"), ("upgrade.pre_upgrade", "pass"), ("after", "pass"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "outcome", "failure_id", "observed"),
    [
        (HANGS, "fail", "interactive-hang", "`sleep 300` did not end within 3 s (task 'Scale the worker down')"),
        ("- ansible.builtin.assert: {that: 1 == 2, fail_msg: one is not two}\n", "fail", None, "one is not two"),
        ('- ansible.builtin.command: "false"\n', "error", None, "non-zero return code"),
        (None, "error", "stale-checkout", "it is not there"),
    ],
    ids=["hangs", "asserts", "breaks", "gone"],
)
def test_what_ends_a_hook_ends_the_life_and_is_its_result(
    tmp_path: Path, text: str | None, outcome: str, failure_id: str | None, observed: str
) -> None:
    began = time.monotonic()
    code, stream, output = hook(tmp_path, text, limit=3 if text == HANGS else 60)
    (one,) = results(stream)
    assert (code, one["id"], one["outcome"], one.get("failure_id")) == (
        2, "upgrade.pre_upgrade", outcome, failure_id,
    ), output  # fmt: skip
    assert observed in one["observed"]
    assert [event["outcome"] for event in stream if event["type"] == "task"][-1] == "failed"
    assert broken_tasks(stream) == [], "the hook's result says it all"
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(("port", "outcome"), [(None, "fail"), (1, "error")])
def test_a_module_that_judged_in_a_hook_has_said_whose_fault_it_is(
    site: Site, tmp_path: Path, port: int | None, outcome: str
) -> None:
    url = f"https://app.ci.test:{port or site.port}/none"
    check = {"checks": [{"id": "written", "url": url, "method": "POST"}], "operation": True, "retry_for": 0.5}
    reach = {"ingress_address": "127.0.0.1", "ca_file": site.ca_file}
    _, stream, output = hook(tmp_path, yaml.safe_dump([{"name": "Write", "ccci_assert_http": {**check, **reach}}]))
    own, ended = results(stream)
    assert [(one["id"], one["outcome"]) for one in (own, ended)] == [
        ("written", outcome), ("upgrade.pre_upgrade", outcome),
    ], output  # fmt: skip
    assert own["observed"] in ended["observed"]


def probes(folder: Path, *checks: dict[str, Any], **more: Any) -> tuple[int, list[events.Event], str]:
    return play(folder, "ready_probes", ready_probes_id="upgrade.gates", ready_probes_checks=list(checks),
                ready_probes_limit=20, ready_probes_purpose="gate", **more)  # fmt: skip


def test_kinds_that_are_absent_cost_no_call(site: Site, tmp_path: Path) -> None:
    code, stream, output = probes(tmp_path, {"host": "127.0.0.1", "port": site.port, "successes": 3})
    assert code == 0, output
    assert [(one["id"], one["outcome"]) for one in results(stream)] == [("upgrade.gates", "pass"), ("after", "pass")]
    assert output.count("skipping: [here]") == 3, "addresses, ports inside the app's network, commands"


def test_mixed_kinds_are_asked_and_an_operation_ends_the_life(site: Site, tmp_path: Path) -> None:
    closed = {"url": "http://127.0.0.1:1/hosting/discovery", "status": [200], "successes": 1, "within": 1}
    open_ = {"host": "127.0.0.1", "port": site.port, "successes": 1}
    for operation, expected in ((False, ["error", "pass", "pass"]), (True, ["error"])):
        folder = tmp_path / str(operation)
        folder.mkdir()
        code, stream, output = probes(folder, closed, open_, ready_probes_operation=operation)
        assert [one["outcome"] for one in results(stream)] == expected, output
        assert code == (2 if operation else 0)
        assert "http://127.0.0.1:1/hosting/discovery" in results(stream)[0]["expected"]
        assert json.dumps(results(stream)[0]).count(" tries in ") == 1
