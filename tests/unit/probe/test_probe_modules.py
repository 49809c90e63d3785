"""The modules as a playbook calls them: through Ansible, with the action plugins that write the events."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from webserver import Site

from ccci import events, paths
from ccci_probe import browser as pages
from ccci_probe.steps import Stage

HOSTS = {
    "all": {
        "hosts": {
            "ccci_controller": {
                "ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            }
        }
    }
}  # fmt: skip


def play(folder: Path, *tasks: dict[str, Any], **variables: Any) -> tuple[int, list[events.Event], str]:
    """Runs tasks on the controller; the folder is the run's. Returns the return code, the events, the output."""
    for task in tasks:
        task.setdefault("name", "Do it")
    given = {"ccci_tier": "install", "ccci_run_dir": str(folder), **variables}
    one = {"name": "Try", "hosts": "ccci_controller", "gather_facts": False, "vars": given, "tasks": list(tasks)}
    (folder / "play.yml").write_text(yaml.safe_dump([one]))
    (folder / "hosts.yml").write_text(yaml.safe_dump(HOSTS))
    environment = {**os.environ, "ANSIBLE_CONFIG": str(paths.PROJECT / "ansible.cfg")}
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts.yml", "play.yml"]
    command += ["-e", f"ccci_run_dir={folder}"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, events.read(folder), done.stdout + done.stderr


def results(stream: list[events.Event]) -> dict[str, str]:
    return {event["id"]: event["outcome"] for event in stream if event["type"] == "result"}


def test_http_and_tcp_checks_of_a_playbook(site: Site, tmp_path: Path) -> None:
    site.answers["/made"] = (201, {"Content-Type": "application/json"}, b'{"id": "abc"}')
    site.answers["/made/abc"] = (200, {"Content-Type": "application/json"}, b'{"id": "abc"}')
    reach = {"ingress_address": "127.0.0.1", "ca_file": site.ca_file, "retry_for": 0.5}
    checks = [
        {"id": "health", "url": site.url(), "json": "{{ nothing | default(omit) }}", "text": "{{ omit }}"},
        {"id": "certificate", "url": site.url(), "tls": {"name": "app.ci.test"}},
        {"id": "wrong", "url": site.url(), "status": [418]},
        {"id": "made", "url": site.url("/made"), "method": "POST", "body_json": {"a": [1]}, "status": [201]},
    ]
    again = {"id": "read", "url": site.url("/made/{{ __first.answers.made.json.id }}"), "json": {"id": "abc"}}
    port = {"id": "port", "host": "app.ci.test", "port": site.port}
    code, stream, output = play(
        tmp_path,
        {"ccci_assert_http": {"checks": checks, **reach}, "register": "__first"},
        {"ccci_assert_http": {"checks": [again], **reach}},
        {"ccci_assert_tcp": {"checks": [port], "ingress_address": "127.0.0.1"}},
    )
    assert code == 0, output
    assert results(stream) == {
        "health": "pass", "certificate": "pass", "wrong": "fail", "made": "pass", "read": "pass", "port": "pass",
    }  # fmt: skip
    assert [json.loads(body) for method, _, _, body in site.seen if method == "POST"] == [{"a": [1]}]
    assert any(event["type"] == "wait" and event["what"] == "app" for event in stream)


def test_an_operation_that_does_not_pass_fails_its_task(site: Site, tmp_path: Path) -> None:
    gate = {"checks": [{"id": "gate", "url": site.url("/none")}], "operation": True, "retry_for": 0.1}
    code, stream, output = play(
        tmp_path, {"ccci_assert_http": {**gate, "ingress_address": "127.0.0.1", "ca_file": site.ca_file}}
    )
    assert (code, results(stream)) == (2, {"gate": "fail"})
    assert "gate: fail" in output


def test_what_a_gate_that_stays_shut_is_called(site: Site, tmp_path: Path) -> None:
    reach = {"ingress_address": "127.0.0.1", "retry_for": 30}
    office = {"id": "upgrade.gates", "url": site.url("/none", "office.ci.test"), "within": 3}
    closed = {"id": "install.ready", "host": "app.ci.test", "port": 1, "within": 0.3}
    started = {"id": "install.health", "url": site.url(), "json": {"status": "ok"}, "within": 0.3}
    code, stream, output = play(
        tmp_path,
        {"ccci_assert_http": {"checks": [started], "purpose": "boot", "ca_file": site.ca_file, **reach}},
        {"ccci_assert_tcp": {"checks": [closed], "purpose": "boot", **reach}},
        {
            "ccci_assert_http": {
                "checks": [office],
                "purpose": "gate",
                "operation": True,
                "ca_file": site.ca_file,
                **reach,
            }
        },
    )
    found = {event["id"]: event for event in stream if event["type"] == "result"}
    assert code == 2, output
    assert [(found[name]["outcome"], found[name].get("failure_id")) for name in found] == [
        ("fail", "boot-placeholder"), ("fail", None), ("fail", "subservice-race"),
    ]  # fmt: skip
    assert "the body is no JSON: <!doctype html>" in found["install.health"]["observed"]
    assert "office.ci.test" in found["upgrade.gates"]["expected"]
    assert " tries in " in found["upgrade.gates"]["observed"]
    assert found["install.ready"]["evidence"].startswith("after 0.0 s")


def test_a_long_wait_says_what_was_seen_last_and_how_long_it_takes(site: Site, tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text(json.dumps({"token": "s3cr3t-t0k3n"}))
    site.answers["/slow"] = lambda asked: (503 if asked < 8 else 200, {}, b"starting up with s3cr3t-t0k3n")
    reach = {"ingress_address": "127.0.0.1", "retry_for": 20, "purpose": "boot"}
    ready = {"id": "install.ready", "url": site.url("/slow")}
    closed = {"id": "install.port", "host": "app.ci.test", "port": 1, "within": 9}
    code, stream, output = play(
        tmp_path,
        {"ccci_assert_http": {"checks": [ready], "ca_file": site.ca_file, **reach}},
        {"ccci_assert_tcp": {"checks": [closed], **reach}},
    )
    assert (code, results(stream)) == (0, {"install.ready": "pass", "install.port": "fail"}), output
    said = [event for event in stream if event["type"] == "progress"]
    assert [event["tier"] for event in said] == ["install", "install"], said
    seen = "status 503: starting up with <secret token>"
    assert re.fullmatch(rf"install\.ready: GET {site.url('/slow')}: {seen} \([5-9] s\)", said[0]["text"])
    assert re.fullmatch(r"install\.port: app\.ci\.test port 1: .*Connection refused \([5-9] s\)", said[1]["text"])
    assert all(event["text"] in output for event in said)
    assert "s3cr3t-t0k3n" not in output + json.dumps(stream)


def test_a_misspelt_key_is_refused(site: Site, tmp_path: Path) -> None:
    code, stream, output = play(
        tmp_path, {"ccci_assert_http": {"checks": [{"id": "x", "url": site.url(), "stauts": [200]}]}}
    )
    assert (code, results(stream)) == (2, {})
    assert "stauts" in output


def test_a_browser_check_of_a_playbook(site: Site, tmp_path: Path, authority: tuple[Path, Path, Path]) -> None:
    reach = {"ingress_address": "127.0.0.1", "spki_file": str(authority[2]), "run_dir": str(tmp_path), "retry_for": 5}
    picture = "screenshots/install.png"
    code, stream, output = play(
        tmp_path,
        {
            "ccci_assert_browser": {
                "id": "install.page",
                "url": site.url(),
                "screenshot": picture,
                **reach,
            }
        },
        {"ccci_assert_browser": {"id": "text", "steps": [{"goto": site.url()}, {"expect_text": "Hello"}], **reach}},
    )
    assert code == 0, output
    assert results(stream) == {"install.page": "pass", "text": "pass"}
    kept = [event for event in stream if event["type"] == "artefact"]
    assert [(event["kind"], event["path"], event["tier"]) for event in kept] == [
        ("screenshot", "screenshots/install.png", "install")
    ]
    assert (tmp_path / "screenshots/install.png").is_file()


def test_a_controller_without_a_browser_is_infrastructures_fault(site: Site, tmp_path: Path) -> None:
    bare = {"PATH": "/nowhere"}
    task = {"ccci_assert_browser": {"id": "install.page", "url": site.url()}, "environment": bare}
    code, stream, output = play(tmp_path, task)
    assert (code, results(stream)) == (0, {"install.page": "error"}), output
    assert "apt-get install chromium" in next(event for event in stream if event["type"] == "result")["observed"]


def test_a_certificate_that_is_not_ours_is_never_accepted_by_the_browser(site: Site, tmp_path: Path) -> None:
    import time

    other = tmp_path / "spki"
    other.write_text("A" * 43 + "=\n")
    with pages.browser("127.0.0.1", str(other)) as stranger:
        story = Stage(stranger, None, time.monotonic() + 6, "page").play([{"goto": site.url()}])
    assert (story.outcome, "ERR_CERT_AUTHORITY_INVALID" in story.observed) == ("fail", True)
