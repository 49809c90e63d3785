"""A real stack is taken away, whole and for good, and a foreign one beside it is not touched."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ccci_host import inventory, journal, processes, teardown
from ccci_host.docker import Client, DockerError

pytestmark = pytest.mark.docker
PROJECT = Path(__file__).resolve().parents[3]
OURS, FOREIGN = "tear-ours_ci_test", "tear-ours_ci_test_two"  # a foreign name that begins like ours
RUN = "20260101-000000-tear-ours"
LIMIT = 60.0  # seconds for anything that is waited for here


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def image(client: Client) -> str:
    """An image of the embedded platform with a shell in it."""
    tags = [tag for image in client.get("/images/json") for tag in image.get("RepoTags") or []]
    return next(tag for tag in sorted(tags) if tag.startswith("127.0.0.1:5000/ccci/registry:"))


@pytest.fixture
def deploy(client: Client, image: str, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Deploys a stack with a service that ignores SIGTERM, and one of everything that a stack can own."""
    value = tmp_path / "value"
    value.write_text("value of a test\n")
    document = {
        "version": "3.8",
        "services": {
            "app": {
                "image": image,
                "entrypoint": ["/bin/sh", "-c", "trap '' TERM; echo here we are; sleep 600"],
                "volumes": ["data:/data", "/nameless"],
                "secrets": ["key"],
                "configs": ["settings"],
                "networks": ["inner"],
                "deploy": {"endpoint_mode": "dnsrr"},
            }
        },
        "volumes": {"data": {}},
        "networks": {"inner": {}},
        "secrets": {"key": {"file": str(value)}},
        "configs": {"settings": {"file": str(value)}},
    }
    file = tmp_path / "compose.yml"
    file.write_text(yaml.safe_dump(document))

    def run(stack: str) -> None:
        command = ["docker", "stack", "deploy", "--resolve-image", "never", "-c", str(file), stack]
        subprocess.run(command, check=True, capture_output=True, timeout=LIMIT)
        until(lambda: any(one["State"] == "running" for one in client.containers(stack)), f"{stack} runs")

    yield run
    for stack in (OURS, FOREIGN):
        teardown.remove(client, scope_of(stack, tmp_path), teardown.Progress(), LIMIT)


def scope_of(stack: str, folder: Path) -> dict[str, Any]:
    domain = stack.replace("_", ".")
    app = {"name": "app", "recipe": "demo", "domain": domain, "stack": stack}
    return {"run": RUN, "recipe": "demo", "domain": domain, "stack": stack, "node_dir": str(folder / RUN),
            "server": "default", "apps": [app], "lease": 120, "deploys": 1}  # fmt: skip


def until(condition: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, f"waited {LIMIT} s until {what}"
        time.sleep(0.1)


def foreign(objects: inventory.Objects, folder: Path) -> list[str]:
    found = inventory.own(objects, scope_of(FOREIGN, folder))
    assert all(found[kind] for kind in teardown.PATHS), found
    return inventory.named({kind: found[kind] for kind in teardown.PATHS})


def test_everything_of_the_run_goes_and_nothing_else(
    client: Client, deploy: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = scope_of(OURS, tmp_path)
    folder = teardown.node_dir(scope)
    folder.mkdir()
    deploy(FOREIGN)
    before = inventory.snapshot(client, folder / "abra")
    teardown.save_before(scope, before)
    deploy(OURS)
    settings = folder / "abra/servers/default" / f"{scope['domain']}.env"
    settings.parent.mkdir(parents=True)
    settings.write_text("TYPE=demo\n")
    broken = tmp_path / "bin" / "abra"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'FATA out of order' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    service = f"{OURS}_app"
    until(lambda: client.logs("services", service), "the app has said something")
    progress, files = teardown.Progress(), []
    teardown.begin(client, scope, progress, [], files)
    assert len(progress.mounts) == 1, "the volume without a name"
    assert teardown.remaining(client, scope, progress.mounts)["service"], "a broken abra removed nothing"
    left = teardown.remove(client, scope, progress, LIMIT)
    assert inventory.named(left) == []
    assert [note for note in progress.notes if "out of order" in note], progress.notes
    assert Path(files[0]["path"]).read_text() == "here we are\n"
    assert files[0]["to"] == "logs/app.log"
    after = inventory.snapshot(client, folder / "abra")
    difference = inventory.compare(before, after, scope, progress.mounts)
    assert difference.left_behind == [{"kind": "env", "name": scope["domain"]}]
    assert set(foreign(before, tmp_path)) == set(foreign(after, tmp_path))
    again = teardown.Progress()
    teardown.begin(client, scope, again, [], None)
    assert inventory.named(teardown.remove(client, scope, again, LIMIT)) == []


def test_a_volume_in_use_is_told_with_dockers_words(client: Client, image: str, tmp_path: Path) -> None:
    volume = f"{OURS}_data"
    body = {"Image": image, "HostConfig": {"Binds": [f"{volume}:/data"]}}
    container = client.post("/containers/create", body, name="tear-guest")["Id"]
    progress, scope = teardown.Progress(), scope_of(OURS, tmp_path)
    try:
        left = teardown.remove(client, scope, progress, 0.5)
        assert inventory.named(left) == [f"volume {volume}"]
        assert "in use" in progress.refused[f"volume {volume}"]
    finally:
        client.request("DELETE", f"/containers/{container}", {"force": True})
    assert inventory.named(teardown.remove(client, scope, progress, LIMIT)) == []


PLAY = """\
- name: A run that is killed in its middle
  hosts: here
  gather_facts: false
  environment: {CCCI_RUN_ID: "{{ ccci_scope.run }}"}
  tasks:
    - name: Take the node
      ccci_run_lock: {scope: "{{ ccci_scope }}", run: "{{ ccci_scope.run }}", wait: 300, backupbot: false}
    - name: Wait for the end
      ansible.builtin.command: sleep 600
"""


@pytest.fixture
def ansible(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    node = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    hosts = {"all": {"children": {"ccci_nodes": {"hosts": {"here": node}}}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
    environment = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
    started = []

    def run(playbook: Path, **variables: Any) -> subprocess.Popen[str]:
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(tmp_path / "hosts.yml")]
        command += [str(playbook), "-e", json.dumps(variables)]
        started.append(subprocess.Popen(
            command, env=environment, cwd=PROJECT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ))  # fmt: skip
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()
    processes.end(RUN)
    with contextlib.suppress(DockerError):
        journal.delete(Client(), RUN)


def test_a_killed_run_is_found_by_its_journal_and_taken_away(
    client: Client, deploy: Callable[[str], None], ansible: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    scope = scope_of(OURS, tmp_path)
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "events").mkdir()
    play = ansible(tmp_path / "play.yml", ccci_scope=scope)
    until(lambda: any("sleep" in command for command in commands()), "the run is in its middle")
    deploy(OURS)
    play.send_signal(signal.SIGKILL)
    play.wait()
    assert [command for command in commands() if "sleep" in command], "the module outlives its play"
    clean = ansible(PROJECT / "playbooks" / "clean.yml", ccci_run_dir=str(tmp_path / "events"), ccci_clean_run=RUN)
    said, _ = clean.communicate(timeout=LIMIT)
    assert clean.returncode == 0, said
    assert inventory.named(teardown.remaining(client, scope, [])) == []
    assert commands() == []
    assert journal.find(client, RUN) is None
    assert not teardown.node_dir(scope).exists()
    events = [json.loads(line) for line in (tmp_path / "events" / "events.jsonl").read_text().splitlines()]
    assert [event["outcome"] for event in events if event.get("id") == "teardown.removed"] == ["pass"]
    facts = {event["name"]: event["value"] for event in events if event["type"] == "fact"}
    assert RUN in [dead["run"] for dead in facts["dead"]]
    assert facts["left_behind"] == []


def commands() -> list[str]:
    return [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in processes.of_run(RUN)]
