"""What a test on the controller does on the node: through Ansible, like everything there.

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

PLAYBOOK = Path(__file__).with_name("node.yml")
GRACE = 60  # seconds for Ansible itself, above the limit of the command
PULL_LIMIT = 300  # seconds for an image that the node does not have


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    rc: int
    stdout: str
    stderr: str


class Named(Exception):  # noqa: N818 - the names of its kinds say what happened
    """A failure that may have a name in the catalogue, and a service that it is about."""

    def __init__(self, text: str, failure_id: str | None = None, service: str | None = None) -> None:
        super().__init__(text)
        self.failure_id, self.service = failure_id, service


class NodeError(Named):
    """Nothing could be asked at all: the node's fault, not the recipe's."""


class WrongService(Named):
    """The test names a service that the stack does not have; the text has the real ones."""


class StillRunning(Named):
    """A command did not end within its limit."""


class NotConverged(Named):
    """The stack did not come up; the text is the watcher's own sentence."""


_KINDS: dict[str, type[Named]] = {"wrong-service": WrongService, "interactive-hang": StillRunning}


def exec_in(context: Context, service: str, argv: Sequence[str], stdin: str | None, user: str, limit: float) -> Done:
    """Runs a command in the newest container of a service. Named says why when that is not possible."""
    call = {
        "what": "exec", "service": service, "argv": list(argv), "user": user, "limit": int(limit),
        "stdin": None if stdin is None else base64.b64encode(stdin.encode()).decode(),
    }  # fmt: skip
    return _done(_play(context, call, limit + GRACE), f"{' '.join(argv)} in {service}", service)


def sidecar(context: Context, image: str, argv: Sequence[str], service: str, limit: float) -> Done:
    """Runs a command in a container of `image` beside a service. Named says why when that is not possible."""
    call = {"what": "sidecar", "image": image, "argv": list(argv), "service": service, "limit": int(limit)}
    return _done(_play(context, call, limit + PULL_LIMIT + GRACE), f"{' '.join(argv)} beside {service}", service)


def converges(context: Context, limit: float) -> str:
    """Waits until the whole stack is up; what the watcher saw. NotConverged as soon as it is certain that it won't."""
    answer = _play(context, {"what": "converge", "limit": int(limit)}, limit + 2 * GRACE)
    results = (answer.get("ccci") or {}).get("results") or []
    one = next((one for one in results if one["id"] == "custom.converged"), None)
    if one is None:
        raise NodeError(str(answer.get("msg") or "no answer"))
    told = str(one.get("observed") or "")
    if one["outcome"] == "pass":
        return told
    kind = NotConverged if one["outcome"] == "fail" else NodeError
    raise kind("\n".join(filter(None, (told, one.get("evidence")))), one.get("failure_id"), one.get("service"))


def _done(answer: dict[str, Any], what: str, service: str) -> Done:
    output = answer.get("ccci_exec")
    if not isinstance(output, dict):
        name = answer.get("failure_id")
        kind = _KINDS.get(str(name), NodeError)
        raise kind(f"{what}: {answer.get('msg') or 'no answer'}", name, None if kind is NodeError else service)
    texts = {name: base64.b64decode(output[name]).decode("utf-8", "replace") for name in ("stdout", "stderr")}
    return Done(int(output["rc"]), texts["stdout"], texts["stderr"])


def _play(context: Context, call: dict[str, Any], limit: float) -> dict[str, Any]:
    """The module's answer. What is called travels in files that nobody else can read, never as process arguments."""
    with tempfile.TemporaryDirectory(prefix="ccci-node-") as folder:
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
