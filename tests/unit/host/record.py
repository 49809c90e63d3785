"""Records what Docker says while a little stack comes up or fails; the unit tests replay it.

    PYTHONPATH=module_utils .venv/bin/python tests/unit/host/record.py NAME…     (all of recorded/stacks.yml by default)

Each case of stacks.yml is deployed (`then:` is a second deploy over the first), looked at until the watcher decides or
`seconds` are over, and removed. Frames in which nothing changed are left out, and so is what nobody reads.
It needs a swarm, and an image `ccci-w-busybox:1` (any static busybox) on the node.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ccci_host.converge import Memory, look
from ccci_host.docker import Client
from ccci_host.snapshot import TASK_ID, read
from ccci_host.watch import frame

HERE = Path(__file__).parent / "recorded"
PREFIX = "ccci-w-rec-"


def main(names: list[str]) -> None:
    cases = yaml.safe_load((HERE / "stacks.yml").read_text())
    client = Client()
    engine = client.get("/version")["Version"].partition("+")[0]
    for name in names or [name for name in cases if not name.startswith("x-")]:
        case, stack = cases[name], PREFIX + name
        with (HERE / f"{name}.docker-{engine}.jsonl").open("w") as out:
            out.write(json.dumps({"stack": stack, "engine": engine}) + "\n")
            try:
                deploy(stack, case["first"])
                if "then" in case:
                    for _ in record(client, stack, 20):
                        pass
                    deploy(stack, case["then"])
                for one in record(client, stack, case["seconds"], stop=case.get("stop", True)):
                    out.write(json.dumps(one, separators=(",", ":")) + "\n")
            finally:
                remove(client, stack)


def deploy(stack: str, services: dict[str, Any]) -> None:
    for service in services.values():
        service.setdefault("deploy", {}).setdefault("endpoint_mode", "dnsrr")
    document = {"version": "3.8", "services": services}
    subprocess.run(
        ["docker", "stack", "deploy", "--resolve-image", "never", "-c", "-", stack],
        input=yaml.safe_dump(document).encode(), check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def remove(client: Client, stack: str) -> None:
    subprocess.run(["docker", "stack", "rm", stack], check=True, capture_output=True, timeout=60)
    deadline = time.monotonic() + 60
    while client.containers(stack) and time.monotonic() < deadline:
        time.sleep(0.5)


def record(client: Client, stack: str, seconds: float, stop: bool = True) -> Iterator[dict[str, Any]]:
    began, last = time.time(), ""
    memory = Memory(began)
    while time.time() - began < seconds:
        seen = trimmed(frame(client, stack, [death.task for death in memory.deaths], bool(memory.deaths)))
        memory, decision = look(read(seen, stack), memory)
        signature = json.dumps([signature_of(seen), decision.outcome])
        if signature != last:
            sys.stderr.write(f"{stack} {time.time() - began:5.1f} {decision.outcome} {decision.progress}\n")
            last = signature
            yield seen
        if stop and decision.outcome != "waiting":
            return
        time.sleep(0.2)


def signature_of(seen: dict[str, Any]) -> Any:
    return [
        [
            (task["ID"], task["Status"]["State"], task["DesiredState"], task["Status"].get("Err"))
            for task in seen["tasks"]
        ],
        [(service["Spec"]["Name"], service.get("UpdateStatus")) for service in seen["services"]],
        [
            (container["Id"], container["State"], container["Status"].partition("(")[2])
            for container in seen["containers"]
        ],
    ]


def trimmed(raw: Any) -> dict[str, Any]:
    raw = dict(raw)
    raw["containers"] = [
        {
            "Id": container["Id"],
            "State": container["State"],
            "Status": container["Status"],
            "Labels": {TASK_ID: container["Labels"].get(TASK_ID, "")},
        }
        for container in raw["containers"]
    ]
    raw["nodes"] = [
        {
            "Status": {"State": node["Status"]["State"]},
            "Spec": {"Availability": node["Spec"]["Availability"]},
            "Description": {"Hostname": "node"},
        }
        for node in raw["nodes"]
    ]
    raw["services"] = [
        {
            **{key: service[key] for key in ("ID", "CreatedAt", "UpdatedAt", "UpdateStatus") if key in service},
            "Spec": {key: service["Spec"][key] for key in ("Name", "Mode", "TaskTemplate")},
        }
        for service in raw["services"]
    ]
    kept = ("ID", "ServiceID", "Slot", "NodeID", "CreatedAt", "Spec", "Status", "DesiredState")
    raw["tasks"] = [{key: task[key] for key in kept if key in task} for task in raw["tasks"]]
    return raw


if __name__ == "__main__":
    main(sys.argv[1:])
