"""The embedded backup service at work: on the platform's own service, with a stack of our own."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Iterator

import pytest

from ccci_host.backup import backup_service
from ccci_host.backup_survey import parse_listing
from ccci_host.docker import Client, ExecResult, running_container

pytestmark = pytest.mark.docker

STACK = "ccci-test-backup"
COMPOSE = f"""
version: "3.8"
services:
  app:
    image: 127.0.0.1:5000/ccci/nginx:1.26.3
    command: ["sleep", "600"]
    init: true
    volumes: ["data:/data", "cache:/cache"]
    deploy: {{endpoint_mode: dnsrr}}
volumes: {{data: , cache: }}
networks: {{default: {{name: {STACK}_default}}}}
"""


class Stack:
    """The stack of these tests and the backup service. Labels of a service change without a new task."""

    def __init__(self) -> None:
        self.client = Client()
        self.bot = backup_service(self.client)
        self.app = running_container(self.client, STACK, "app")["Id"]

    def label(self, labels: dict[str, str]) -> None:
        service = self.client.get(f"/services/{STACK}_app")
        kept = {key: value for key, value in service["Spec"]["Labels"].items() if not key.startswith("backupbot.")}
        spec = {**service["Spec"], "Labels": {**kept, **labels}}
        self.client.post(f"/services/{service['ID']}/update", spec, version=service["Version"]["Index"])

    def backup(self, verb: str, **environment: str) -> ExecResult:
        environment = {"SERVICE": STACK, **environment}
        return self.client.exec(self.bot, ["/usr/bin/backup", "--", verb], env=environment, limit=60)

    def run(self, script: str) -> str:
        done = self.client.exec(self.app, ["sh", "-c", script])
        return done.stdout.decode().strip()

    def held(self) -> list[str]:
        done = self.backup("ls", MACHINE_LOGS="1")
        assert done.rc == 0, done.stderr
        return [entry.path for entry in parse_listing(done.stdout.decode())[1]]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    subprocess.run(["docker", "stack", "deploy", "-c", "-", STACK], input=COMPOSE, text=True, check=True, timeout=60,
                   capture_output=True)  # fmt: skip
    try:
        client, deadline = Client(), time.monotonic() + 60
        while not client.containers(STACK, all=False):
            assert time.monotonic() < deadline, client.tasks(STACK)
            time.sleep(0.3)
        stack = Stack()
        yield stack
        stack.backup("forget")
    finally:
        subprocess.run(["docker", "stack", "rm", STACK], check=True, timeout=60, capture_output=True)
        remove_volumes()


def remove_volumes() -> None:
    client, deadline = Client(), time.monotonic() + 60
    while client.containers(STACK):
        assert time.monotonic() < deadline, "the containers of the test stack do not go away"
        time.sleep(0.5)
    for name in ("data", "cache"):
        client.delete(f"/volumes/{STACK}_{name}")


def test_a_snapshot_is_made_listed_restored_and_forgotten(stack: Stack) -> None:
    value = secrets.token_hex(8)
    stack.label({"backupbot.backup": "true", "backupbot.backup.volumes.cache": "false"})
    stack.run(f"echo {value} >/data/kept; echo x >/cache/lost")
    done = stack.backup("create")
    assert done.rc == 0, done.stderr
    assert done.stdout.decode().splitlines()[-1] == "backup finished"
    root = f"/var/lib/docker/volumes/{STACK}"
    assert f"{root}_data/_data/kept" in stack.held()
    assert not [path for path in stack.held() if "_cache" in path]

    stack.run("echo changed >/data/kept; echo later >/data/extra")
    assert stack.backup("restore").rc == 0
    assert stack.run("cat /data/kept") == value
    assert stack.run("cat /data/extra") == "later"  # files that the snapshot does not hold stay

    assert json.loads(stack.backup("snapshots", MACHINE_LOGS="1").stdout)
    assert stack.backup("forget").rc == 0
    assert json.loads(stack.backup("snapshots", MACHINE_LOGS="1").stdout) == []
    assert b"no snapshot" in stack.backup("restore").stderr


def test_hooks_run_around_the_snapshot_and_only_the_named_path_is_kept(stack: Stack) -> None:
    stack.label({
        "backupbot.backup": "true",
        "backupbot.backup.volumes.data.path": "dump",
        "backupbot.backup.volumes.cache": "false",
        "backupbot.backup.pre-hook": "echo $HOSTNAME >/data/dump",
        "backupbot.backup.post-hook": "rm /data/dump",
        "backupbot.restore.post-hook": "mv /data/dump /data/imported",
    })  # fmt: skip
    stack.run("echo x >/data/other")
    assert stack.backup("create").rc == 0
    assert [path.rpartition("/")[2] for path in stack.held() if f"{STACK}_data/_data/" in path] == ["dump"]
    assert stack.run("ls /data/dump 2>/dev/null") == ""
    assert stack.backup("restore").rc == 0
    assert stack.run("cat /data/imported") == stack.run("echo $HOSTNAME")


def test_a_hook_that_fails_inside_a_pipe_is_loud_and_the_post_hook_still_runs(stack: Stack) -> None:
    stack.label({"backupbot.backup": "true", "backupbot.backup.pre-hook": "echo broken >&2; false | cat >/data/dump",
                 "backupbot.backup.post-hook": "echo tidy >/data/tidied"})  # fmt: skip
    done = stack.backup("create")
    assert done.rc == 1
    assert b"of service app ended with 1: broken" in done.stderr
    assert stack.run("cat /data/tidied") == "tidy"


def test_a_hook_that_hangs_is_killed_with_its_children(stack: Stack) -> None:
    stack.label({"backupbot.backup": "true", "backupbot.backup.pre-hook": "echo begun; sleep 4242 | cat"})
    done = stack.backup("create", HOOK_LIMIT="2")
    assert done.rc == 1
    assert b"did not end within 2 s and was killed; it printed: begun" in done.stderr
    processes = stack.client.get(f"/containers/{stack.app}/top")["Processes"]
    assert not [line for line in processes if "4242" in line[-1]]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({}, "no service of ccci-test-backup has the label backupbot.backup=true (looked at: app)"),
        ({"backupbot.backup": "false"}, "no service of"),
        ({"backupbot.backup": "true", "backupbot.backup.volumes.dat": "false"}, "no volume dat; there is: cache, data"),
        ({"backupbot.backup": "true", "backupbot.backup.volumes.data.path": "nix"}, "not there after all pre-hooks"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(stack: Stack, labels: dict[str, str], words: str) -> None:
    stack.label(labels)
    done = stack.backup("create")
    assert done.rc == 1
    assert words in done.stderr.decode()


def test_an_unknown_stack_is_named(stack: Stack) -> None:
    done = stack.backup("create", SERVICE="nobody.ci.test")
    assert done.rc == 1
    assert b"there is no stack nobody_ci_test" in done.stderr
