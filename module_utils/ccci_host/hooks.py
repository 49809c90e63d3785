"""The commands that a recipe's labels have the backup service run, and which of them hang."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .answer import Answer
from .docker import SERVICE_LABEL, Client, service_name
from .docker_errors import DockerError

BACKUP = ("backupbot.backup.pre-hook", "backupbot.backup.post-hook")
RESTORE = ("backupbot.restore.pre-hook", "backupbot.restore.post-hook")
HANG = "interactive-hang"
HANG_HINT = "Nobody answers a prompt here: let the command answer for itself; raise timeouts.backup if it is only slow"


@dataclass(frozen=True)
class Hook:
    service: str
    label: str
    command: str

    def __str__(self) -> str:
        return f"the hook `{self.command}` of service {self.service}"


def of(services: Sequence[Mapping[str, Any]], stack: str, labels: Sequence[str]) -> list[Hook]:
    """The hooks of a stack; `services` are objects of GET /services."""
    return [
        Hook(service_name(one, stack), label, command.strip())
        for one in services
        for label in labels
        for command in [str((one["Spec"].get("Labels") or {}).get(label) or "")]
        if command.strip()
    ]


def hanging(client: Client, stack: str, hooks: Sequence[Hook]) -> list[Hook]:
    """Those that still run in a container of their service. Empty when Docker cannot tell."""
    try:
        running = [
            (container["Labels"].get(SERVICE_LABEL, "").removeprefix(f"{stack}_"), words)
            for container in client.containers(stack, all=False)
            for words in _commands(client, str(container["Id"]))
        ]
    except DockerError:
        return []
    return [hook for hook in hooks if any(name == hook.service and hook.command in words for name, words in running)]


def _commands(client: Client, container: str) -> list[str]:
    """What somebody started in a container and still runs, healthchecks included."""
    found = []
    for id in client.get(f"/containers/{container}/json").get("ExecIDs") or []:
        try:
            started = client.get(f"/exec/{id}/json")
        except DockerError:
            continue  # over meanwhile
        if started["Running"]:
            config = started["ProcessConfig"]
            found.append(" ".join([str(config["entrypoint"]), *map(str, config.get("arguments") or [])]))
    return found


def report_timeout(
    answer: Answer, id: str, expected: str, limit: float, found: Sequence[Hook], words: str, history: str = ""
) -> None:  # fmt: skip
    """One result for a call of abra that did not end. `limit` are the seconds of the whole; `found` the hooks that
    hang; `words` those of the timeout; `history` what came before."""
    evidence = "\n".join(filter(None, [history, words]))
    if not found:
        answer.result(
            id, "error", expected=expected, observed=words, evidence=evidence, hint="Look at the node's backup service"
        )  # fmt: skip
        return
    told = " and ".join(str(hook) for hook in found)
    answer.result(
        id, "fail", expected=expected, observed=f"{told} did not end within {limit:.0f} s (timeouts.backup)",
        failure_id=HANG, service=found[0].service, evidence=evidence, hint=HANG_HINT,
    )  # fmt: skip
