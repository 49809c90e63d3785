"""What can go wrong between us and Docker."""

from __future__ import annotations

_SWARM_AWAY = ("rpc error", "deadline exceeded", "does not have a leader", "not a swarm manager")


class DockerError(Exception):
    """`status` is the HTTP status, or 0 when there was no complete answer; `message` are Docker's own words."""

    def __init__(self, status: int, message: str, call: str = "") -> None:
        super().__init__(f"Docker answered {status} to {call}: {message}" if call else message)
        self.status = status
        self.message = message
        self.call = call


class LimitReached(DockerError):  # noqa: N818 - says what happened
    """A call, or a command inside a container, took longer than its limit."""

    def __init__(self, message: str) -> None:
        super().__init__(0, message)


class TooMuch(LimitReached):
    """A command inside a container wrote without end; what it wrote is not kept."""


def is_outage(error: DockerError) -> bool:
    """Whether Docker itself is away, or its swarm is: something that may come back by itself."""
    words = error.message.lower()
    if "docker swarm init" in words:  # it never was in one
        return False
    return error.status in (0, 503) or (error.status == 500 and any(hint in words for hint in _SWARM_AWAY))


class NoContainer(Exception):  # noqa: N818 - says what happened
    """A service has no running container, or does not exist; the text names the services that do."""


class NoService(NoContainer):
    """The stack has no service of that name; the text names those it has."""
