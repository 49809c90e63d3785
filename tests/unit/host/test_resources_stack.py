"""What a real service uses, as the kernel and Docker count it on this node."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import record

from ccci_host import resources
from ccci_host.answer import Answer
from ccci_host.docker import Client

pytestmark = pytest.mark.docker
STACK = "ccci-test-resources"
MB = 1_000_000
# Dies once, then holds 20 MB of memory for a moment, writes 5 MB into its volume and 3 MB into its own layer.
SCRIPT = (
    "[ -e /data/again ] || { touch /data/again; exit 7; }; "
    "head -c 20000000 /dev/zero | tail -c 20000000 >/dev/null; "
    "head -c 5000000 /dev/urandom >/data/five; head -c 3000000 /dev/urandom >/three; touch /data/done; sleep 1000"
)


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client()
    record.remove(client, STACK)  # a run that was ended may have left a volume that remembers the first death
    yield client
    record.remove(client, STACK)


def noted(client: Client, **more: Any) -> tuple[dict[str, Any], float]:
    """What is noted of the service, and how many seconds that took."""
    answer, began = Answer("install"), time.monotonic()
    resources.note(client, STACK, answer, **more)
    took = time.monotonic() - began
    json.dumps(answer.facts)
    return dict(answer.facts["resources"]["app"]), took


def until(what: str, true: Callable[[], bool], limit: float = 60) -> None:
    deadline = time.monotonic() + limit
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen within {limit:.0f} s"
        time.sleep(0.2)


def test_a_service_is_measured(client: Client) -> None:
    tags = [tag for image in client.get("/images/json") for tag in image.get("RepoTags") or []]
    image = next(tag for tag in sorted(tags) if "ccci/registry:" in tag)  # one with a shell in it
    deploy = {"resources": {"limits": {"memory": "96M"}}, "restart_policy": {"delay": "0s"}}
    app = {"image": image, "entrypoint": ["/bin/sh", "-c", SCRIPT], "volumes": ["data:/data"], "deploy": deploy}
    record.deploy(STACK, {"app": app})
    until("all is written", lambda: (noted(client, disk=True)[0]["disk"] or 0) > 8 * MB)
    use, took = noted(client)
    assert took < 0.5
    assert use["memory_peak"] is not None, "the cgroup of the container was not found"
    assert 20 * MB < use["memory_peak"] <= 96 * 2**20
    assert (use["memory_limit"], use["restarts"], use["disk"]) == (96 * 2**20, 1, None)
    assert use["image"] == image
    use, took = noted(client, disk=True)
    assert took < resources.DISK_SECONDS + 0.5
    assert 8 * MB <= use["disk"] < 12 * MB
