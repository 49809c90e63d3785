"""Commands inside the app's services, from a test on the controller: through Ansible, like everything on a node.

So it works the same over every kind of connection, with the same privileges as the rest of the run.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ccci import paths
from ccci.testing.context import Context

PLAYBOOK = Path(__file__).with_name("exec.yml")
GRACE = 60  # seconds for Ansible itself, above the limit of the command


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    rc: int
    stdout: str
    stderr: str


class NodeError(Exception):
    """The command could not be run at all: the node's fault, or the test names a service that does not exist."""


def exec_in(context: Context, service: str, argv: Sequence[str], stdin: str | None, user: str, limit: float) -> Done:
    """Runs a command in the newest container of a service. NodeError says why when that is not possible."""
    call = {
        "service": service, "argv": list(argv), "user": user, "limit": int(limit),
        "stdin": None if stdin is None else base64.b64encode(stdin.encode()).decode(),
    }  # fmt: skip
    answer = _play(context, call, limit + GRACE)
    output = answer.get("ccci_exec")
    if not isinstance(output, dict):
        raise NodeError(f"{' '.join(argv)} in {service}: {answer.get('msg') or 'no answer'}")
    texts = {name: base64.b64decode(output[name]).decode("utf-8", "replace") for name in ("stdout", "stderr")}
    return Done(int(output["rc"]), texts["stdout"], texts["stderr"])


def _play(context: Context, call: dict[str, Any], limit: float) -> dict[str, Any]:
    """The module's answer. What is called travels in files that nobody else can read, never as process arguments."""
    with tempfile.TemporaryDirectory(prefix="ccci-exec-") as folder:
        call_file, answer_file = Path(folder) / "call.json", Path(folder) / "answer.json"
        call_file.write_text(json.dumps({**call, "scope": context.scope}))
        command = [str(Path(sys.executable).with_name("ansible-playbook")), str(PLAYBOOK), "-i", context.inventory]
        values = {"ccci_node": context.node, "ccci_call": call_file, "ccci_answer": answer_file}
        command += [word for name, value in values.items() for word in ("-e", f"{name}={value}")]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(paths.PROJECT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired as error:
            raise NodeError(f"{context.node} did not answer within {limit:.0f} s") from error
        if answer_file.is_file():
            return dict(json.loads(answer_file.read_text()))
        said = " ".join((done.stdout + done.stderr).split())[-1500:]
        raise NodeError(f"ansible-playbook returned {done.returncode}: {said}")
