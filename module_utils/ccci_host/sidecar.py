"""A throwaway container beside a service, for tests that need a client which the app's own images do not have.

The networks of a stack are not attachable, so a container of ours cannot join one; a service of ours could, but would
be part of what is judged, and swarm takes seconds to start one. So the container lives in the network namespace of a
running container of the stack: it reaches what that service reaches, under the same names, and the service itself on
`localhost`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from .answer import cut
from .docker import Client, DockerError, ExecResult, LimitReached, running_container
from .registry import parse
from .registry_credentials import read_credentials

RUN_LABEL = "ccci.run"
PULL_LIMIT = 300.0  # seconds
LOG_BYTES = 2**20  # of both streams together; the daemon drops what comes before
PROCESSES = 512


def run(
    client: Client, scope: Mapping[str, Any], image: str, argv: Sequence[str], service: str, limit: float,
    credentials: str = "",
) -> ExecResult:  # fmt: skip
    """Runs `argv` (the image's entrypoint is not used) and takes the container away, whatever happens. `credentials`
    as in `pull_missing`.

    LimitReached after `limit` seconds, NoContainer for a service that is not there, DockerError with Docker's words.
    The container bears the stack's name, so a teardown takes it away when this process does not live long enough.
    """
    target = running_container(client, str(scope["stack"]), service)
    pull_missing(client, image, credentials)
    made = client.post(
        "/containers/create",
        {
            "Image": image,
            "Entrypoint": list(argv[:1]),
            "Cmd": list(argv[1:]),
            "Healthcheck": {"Test": ["NONE"]},
            "Labels": {RUN_LABEL: str(scope["run"])},
            "HostConfig": {
                "NetworkMode": f"container:{target['Id']}",
                "LogConfig": {"Type": "json-file", "Config": {"max-size": str(LOG_BYTES), "max-file": "1"}},
                "SecurityOpt": ["no-new-privileges"],
                "PidsLimit": PROCESSES,
            },
        },
        name=f"{scope['stack']}_ccci-sidecar-{secrets.token_hex(4)}",
    )["Id"]
    try:
        client.post(f"/containers/{made}/start")
        try:
            rc = int(client.request("POST", f"/containers/{made}/wait", timeout=limit)["StatusCode"])
        except LimitReached as error:
            said = cut(client.logs("containers", made, tail=20).strip(), 500)
            told = f"`{' '.join(argv)}` of {image} did not end within {limit:.0f} s. Last output: {said or 'none'}"
            raise LimitReached(told) from error
        output = [client.logs("containers", made, tail="all", streams=(name,)) for name in ("stdout", "stderr")]
        return ExecResult(rc, *(text.encode() for text in output))
    finally:
        client.request("DELETE", f"/containers/{made}", {"force": True, "v": True})


def pull_missing(client: Client, image: str, credentials: str = "") -> None:
    """Has the daemon pull an image that the node does not have, with the same accounts as the images of the app.

    `credentials` is the path of a file, "" for the docker command's own. DockerError with the registry's words,
    CredentialsError for a file that must not be used.
    """
    try:
        client.get(f"/images/{image}/json")
        return
    except DockerError as error:
        if error.status != 404:
            raise
    reference = parse(image)
    query = {"fromImage": reference.repository, "tag": reference.digest or reference.tag}
    header = read_credentials(credentials).header(reference.host)
    for event in client.stream("POST", "/images/create", query, headers=header, timeout=PULL_LIMIT):
        if event.get("error"):
            raise DockerError(0, f"{image} cannot be pulled: {event['error']}")
