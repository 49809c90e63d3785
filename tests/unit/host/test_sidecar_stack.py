"""Commands in and beside the services of a real stack."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import record

from ccci_host import command_checks, inventory, sidecar
from ccci_host.docker import Client, LimitReached, NoService, running_container
from ccci_host.docker_errors import DockerError

pytestmark = pytest.mark.docker
STACK = "ccci-test-sidecar"
SCOPE = {"run": "20260101-000000-side-abcdef", "stack": STACK, "apps": [{"stack": STACK}]}
IMAGE = "127.0.0.1:5000/ccci/nginx:1.22.1"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    client = Client()
    serves = {"image": IMAGE, "stop_signal": "SIGKILL"}
    record.deploy(STACK, {"app": serves, "other": {**serves, "command": ["sleep", "1000"]}})
    deadline = time.monotonic() + 60
    while not all(_runs(client, service) for service in ("app", "other")):
        assert time.monotonic() < deadline, "the stack did not come up"
        time.sleep(0.2)
    yield client
    record.remove(client, STACK)


def _runs(client: Client, service: str) -> bool:
    filters = {"label": [f"com.docker.swarm.service.name={STACK}_{service}"], "status": ["running"]}
    return bool(client.get("/containers/json", filters=filters))


def ours(client: Client) -> list[str]:
    """Containers that a teardown would take away and that are no task of a service."""
    found = inventory.own({"container": inventory.snapshot(client, _NOWHERE)["container"]}, SCOPE)["container"]
    tasks = {container["Id"] for container in client.containers(STACK)}
    return [entry["name"] for id, entry in found.items() if id not in tasks]


class _Nowhere:
    def glob(self, pattern: str) -> list[Any]:
        return []


_NOWHERE: Any = _Nowhere()


def test_it_reaches_other_services_by_name_and_its_own_on_localhost(client: Client) -> None:
    script = "exec 3<>/dev/tcp/$0/80; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; head -1 <&3; echo asked $0 >&2"
    for host, service in (("app", "other"), ("localhost", "app")):
        done = sidecar.run(client, SCOPE, IMAGE, ["bash", "-c", script, host], service, 30)
        assert done.rc == 0, done
        assert done.stdout.startswith(b"HTTP/1.1 200")
        assert done.stderr == f"asked {host}\n".encode()
    assert ours(client) == []


def test_a_return_code_is_an_answer(client: Client) -> None:
    assert sidecar.run(client, SCOPE, IMAGE, ["sh", "-c", "exit 7"], "app", 30).rc == 7


def test_one_that_hangs_is_named_and_taken_away(client: Client) -> None:
    began = time.monotonic()
    with pytest.raises(LimitReached, match=r"`sh -c echo here; sleep 60` of .* did not end within 2 s.*here"):
        sidecar.run(client, SCOPE, IMAGE, ["sh", "-c", "echo here; sleep 60"], "app", 2)
    assert time.monotonic() - began < 20
    assert ours(client) == []


def test_much_output_is_bounded(client: Client) -> None:
    done = sidecar.run(client, SCOPE, IMAGE, ["sh", "-c", "yes line | head -c 9000000; echo the end"], "app", 60)
    assert done.rc == 0
    assert len(done.stdout) <= 2 * sidecar.LOG_BYTES
    assert done.stdout.endswith(b"the end\n")


def test_what_a_dead_module_leaves_belongs_to_the_run(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    request = client.request

    def die(method: str, path: str, *rest: Any, **more: Any) -> Any:
        if method == "DELETE":
            raise DockerError(0, "killed before it could clean up")
        return request(method, path, *rest, **more)

    monkeypatch.setattr(client, "request", die)
    with pytest.raises(DockerError):
        sidecar.run(client, SCOPE, IMAGE, ["true"], "app", 30)
    monkeypatch.undo()
    (left,) = ours(client)
    assert left.startswith(f"{STACK}_ccci-sidecar-")
    client.request("DELETE", f"/containers/{left}", {"force": True})


def test_an_image_that_nobody_has_is_told_in_the_registrys_words(client: Client) -> None:
    with pytest.raises(DockerError, match="no-such-image"):
        sidecar.run(client, SCOPE, "127.0.0.1:5000/ccci/no-such-image:1", ["true"], "app", 30)


def test_a_service_that_is_not_there_names_those_that_are(client: Client) -> None:
    for ask in (
        lambda: sidecar.run(client, SCOPE, IMAGE, ["true"], "web", 30),
        lambda: running_container(client, STACK, "web"),
    ):
        with pytest.raises(NoService, match="has no service 'web'; it has: app, other"):
            ask()
    judged, _ = command_checks.run(client, STACK, {"id": "x", "service": "web", "argv": ["true"]})
    assert (judged.failure_id, judged.observed) == ("wrong-service", "no service 'web'; the stack has app, other")


def test_a_command_reads_what_it_is_given(client: Client) -> None:
    check = {"id": "x", "service": "other", "argv": ["sh", "-c", "read -r a; read -r b; echo $b-$a"], "stdin": "1\n2\n"}
    judged, evidence = command_checks.run(client, STACK, {**check, "stdout_equals": "2-1"})
    assert judged.outcome == "pass", evidence


def test_a_command_that_hangs_is_named(client: Client) -> None:
    check = {"id": "x", "service": "other", "argv": ["sh", "-c", "echo Continue? ; sleep 30"], "limit": 2}
    judged, evidence = command_checks.run(client, STACK, check)
    assert (judged.outcome, judged.failure_id) == ("fail", "interactive-hang")
    assert "`sh -c echo Continue? ; sleep 30` was still running in other after 2 s" in judged.observed
    assert "Last output: 'Continue?" in evidence
