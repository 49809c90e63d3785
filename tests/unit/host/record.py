"""Records what Docker says while a little stack comes up or fails; the unit tests replay it.

    PYTHONPATH=module_utils .venv/bin/python tests/unit/host/record.py NAME…     (all of recorded/stacks.yml by default)

Each case of stacks.yml is deployed (`then:` is a second deploy over the first), looked at until the watcher decides or
`seconds` are over, and removed. `signal: [TERM, 3]` sends that to each container of it that is 3 s old. Frames in
which nothing changed are left out, and so is what nobody reads.
It needs a swarm, and an image `ccci-w-busybox:1` (any static busybox) on the node.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ccci_host.converge import Memory, look
from ccci_host.docker import Client, DockerError
from ccci_host.docker_events import Events
from ccci_host.snapshot import SERVICE_ID, SERVICE_NAME, TASK_ID, read
from ccci_host.watch import Eye, concerns

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
                for one in record(client, stack, case["seconds"], case.get("stop", True), case.get("signal")):
                    out.write(json.dumps(one, separators=(",", ":")) + "\n")
            finally:
                remove(client, stack)


def deploy(stack: str, services: dict[str, Any]) -> None:
    for service in services.values():
        service.setdefault("deploy", {}).setdefault("endpoint_mode", "dnsrr")
    mounted = [mount for service in services.values() for mount in service.get("volumes", []) if isinstance(mount, str)]
    volumes = {name: {} for name in (mount.partition(":")[0] for mount in mounted) if not name.startswith("/")}
    document = {"version": "3.8", "services": services, "volumes": volumes}
    subprocess.run(
        ["docker", "stack", "deploy", "--resolve-image", "never", "-c", "-", stack],
        input=yaml.safe_dump(document).encode(), check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def remove(client: Client, stack: str) -> None:
    deadline = time.monotonic() + 60
    # It fails on a network that still has its last container; the next try finds it free.
    while subprocess.run(["docker", "stack", "rm", stack], capture_output=True, timeout=60).returncode:
        assert time.monotonic() < deadline, f"docker stack rm {stack} fails again and again"
        time.sleep(1)
    while client.containers(stack) and time.monotonic() < deadline:
        time.sleep(0.5)
    for volume in client.get("/volumes", filters={"name": [f"{stack}_"]})["Volumes"] or []:
        client.delete(f"/volumes/{volume['Name']}")


def send(client: Client, stack: str, signal: str, age: float) -> None:
    for container in client.containers(stack, all=False):
        if time.time() - container["Created"] >= age:
            with contextlib.suppress(DockerError):  # it may have ended meanwhile
                client.post(f"/containers/{container['Id']}/kill", signal=signal)


def record(
    client: Client, stack: str, seconds: float, stop: bool = True, signal: tuple[str, float] | None = None
) -> Iterator[dict[str, Any]]:
    began, last = time.time(), ""
    memory, eye = Memory(began), Eye(client, stack)
    events = Events(client, time.time_ns() - 10**10, seconds, lambda event: concerns(event, stack))
    happened = events.wait(0.1)
    while time.time() - began < seconds:
        if signal:
            send(client, stack, *signal)
        known = [death.task for death in memory.deaths]
        seen = trimmed(eye.frame(known, curious=bool(known), events=happened))
        memory, decision = look(read(seen, stack), memory)
        signature = json.dumps([signature_of(seen), decision.outcome])
        if signature != last:
            sys.stderr.write(f"{stack} {time.time() - began:5.1f} {decision.outcome} {decision.progress}\n")
            last = signature
            yield seen
        if stop and decision.outcome != "waiting":
            return
        time.sleep(0.2)
        happened = events.rest()


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
        [(event["Action"], event["timeNano"]) for event in seen["events"]],
        [(id, one["oom_kills"]) for id, one in seen["kernel"].items()],
    ]


def trimmed(raw: Any) -> dict[str, Any]:
    raw = dict(raw)
    raw["containers"] = [
        {
            "Id": container["Id"],
            "State": container["State"],
            "Status": container["Status"],
            "Labels": {key: container["Labels"].get(key, "") for key in (TASK_ID, SERVICE_ID)},
            "NetworkSettings": {
                "Networks": {
                    name: {"IPAddress": network["IPAddress"]}
                    for name, network in container["NetworkSettings"]["Networks"].items()
                }
            },
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
            **{
                key: service[key]
                for key in ("ID", "CreatedAt", "UpdatedAt", "UpdateStatus", "Endpoint")
                if key in service
            },
            "Spec": {key: service["Spec"][key] for key in ("Name", "Mode", "TaskTemplate")},
        }
        for service in raw["services"]
    ]
    told = (SERVICE_NAME, TASK_ID, "signal", "exitCode")
    raw["events"] = [
        {
            **{key: event[key] for key in ("Type", "Action", "timeNano")},
            "Actor": {
                "Attributes": {
                    key: event["Actor"]["Attributes"][key] for key in told if key in event["Actor"]["Attributes"]
                }
            },
        }
        for event in raw["events"]
        if event["Type"] == "container"
    ]
    kept = ("ID", "ServiceID", "Slot", "NodeID", "CreatedAt", "Spec", "Status", "DesiredState")
    raw["tasks"] = [{key: task[key] for key in kept if key in task} for task in raw["tasks"]]
    return raw


if __name__ == "__main__":
    main(sys.argv[1:])
