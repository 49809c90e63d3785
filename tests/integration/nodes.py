"""Machines for the tests, as containers: a bare Debian that is reached over SSH, and one with an engine in it."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from ccci import paths

PROJECT = Path(__file__).resolve().parents[2]
BUILD_LIMIT = 900.0  # seconds; from nothing it takes about one minute
START_LIMIT = 60.0
# As in roles/nested_node.
FLAGS = (
    "--init", "--cap-add=ALL", "--cap-drop=SYS_RESOURCE",
    "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined",
    "--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw", "--tmpfs=/run",
)  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """A container that stands for a machine; `name` is the container's, `address` what it is reached at."""

    name: str
    address: str

    def sh(self, script: str, limit: float = START_LIMIT, check: bool = True) -> str:
        """Runs a shell script inside, as root; gives its output."""
        done = run(["docker", "exec", self.name, "sh", "-c", script], limit, check)
        return done.stdout + done.stderr


def run(command: Sequence[str], limit: float, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        list(command), cwd=PROJECT, capture_output=True, text=True, timeout=limit, stdin=subprocess.DEVNULL, check=False
    )
    if check:
        assert done.returncode == 0, f"{' '.join(command)}\nended with {done.returncode}\n{done.stdout}{done.stderr}"
    return done


@contextmanager
def machine(kind: str) -> Iterator[Machine]:
    """A machine of its own for some tests: `bare` has sshd and python3, `node` runs dockerd. Removed at the end."""
    archives = paths.cache_dir() / "images"
    built = run([sys.executable, "-B", "embedded/node/build.py", kind, "--archives", str(archives)], BUILD_LIMIT)
    name = f"ccci-test-{kind}-{secrets.token_hex(3)}"
    try:
        command = ["docker", "run", "--detach", "--name", name, "--hostname", name, f"--volume={name}:/var/lib/docker"]
        run([*command, *FLAGS, built.stdout.strip()], START_LIMIT)
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        address = run(["docker", "inspect", "--format", form, name], START_LIMIT).stdout.strip()
        yield Machine(name, address)
    finally:
        run(["docker", "rm", "--force", "--volumes", name], START_LIMIT, check=False)
        (paths.cache_dir() / f"abra-{name}.tar").unlink(missing_ok=True)  # each has another name
        shutil.rmtree(paths.node_facts_dir(name), ignore_errors=True)
        run(["docker", "volume", "rm", "--force", name], START_LIMIT, check=False)
        shutil.rmtree(paths.node_facts_dir(name), ignore_errors=True)


def wait_until(machine: Machine, question: str, limit: float = START_LIMIT) -> None:
    """Until a shell script inside succeeds."""
    end = time.monotonic() + limit
    while run(["docker", "exec", machine.name, "sh", "-c", question], limit, check=False).returncode:
        assert time.monotonic() < end, f"{machine.name}: `{question}` did not succeed within {limit} s"
        time.sleep(0.5)


def allow_ssh(machine: Machine, folder: Path, user: str = "root") -> Path:
    """Makes a key pair in the folder, lets it in, and waits for sshd; gives the private key's path."""
    key = folder / "id_ed25519"
    if not key.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], START_LIMIT)
    public = key.with_suffix(".pub").read_text().strip()
    home = machine.sh(f"getent passwd {user} | cut -d: -f6").strip()
    machine.sh(
        f"mkdir -p {home}/.ssh && echo '{public}' >{home}/.ssh/authorized_keys"
        f" && chmod -R go= {home}/.ssh && chown -R {user} {home}/.ssh"
    )
    wait_until(machine, "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 22), 1)'")
    return key


def write_inventory(
    folder: Path, machine: Machine, variables: dict[str, object], group: str = "ccci_ssh_nodes"
) -> Path:
    """An inventory as a person would write it for one machine: the embedded platform, and how to reach the machine."""
    inventory = folder / "inventory"
    (inventory / "group_vars" / "all").mkdir(parents=True, exist_ok=True)
    controller = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    hosts = {
        "all": {
            "hosts": {"ccci_controller": controller},
            "children": {
                "ccci_nodes": {
                    "children": {group: {"hosts": {machine.name: variables}}},
                    "vars": {"ansible_python_interpreter": "/usr/bin/python3"},
                }
            },
        }
    }
    (inventory / "hosts.yml").write_text(yaml.safe_dump(hosts))
    settings = {
        "ccci_platform": "embedded",
        "ccci_wildcard_domain": "ci.test",
        "ccci_ingress_address": machine.address,
        "ccci_recipe_url": "embedded",
        "ccci_registry": "127.0.0.1:5000",
    }
    (inventory / "group_vars" / "all" / "ccci.yml").write_text(yaml.safe_dump(settings))
    return inventory


def over_ssh(machine: Machine, folder: Path, user: str = "root") -> dict[str, object]:
    """Host variables for Ansible over SSH, with a known_hosts file of the test's own."""
    key = allow_ssh(machine, folder, user)
    return {
        "ansible_host": machine.address,
        "ansible_user": user,
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={folder}/known_hosts -o StrictHostKeyChecking=accept-new",
    }


def through_docker(machine: Machine) -> dict[str, object]:
    return {"ansible_connection": "community.docker.docker", "ansible_host": machine.name}


def bootstrap(inventory: Path, *options: str, limit: float = BUILD_LIMIT) -> subprocess.CompletedProcess[str]:
    """Plain ansible-playbook, as an operations team would run it."""
    ansible = Path(sys.executable).parent / "ansible-playbook"
    return run([str(ansible), "-i", str(inventory), "playbooks/bootstrap.yml", *options], limit, check=False)
