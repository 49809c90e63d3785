"""When the first evidence of a fault was there to see. Functions over what was recorded without ccci; epoch seconds.

A mere failed probe is never evidence: a healthcheck counts once Docker calls the container unhealthy, an exit counts
once it happened twice in the same way (unless one is enough to know), a refusal counts when the registry answers it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from stage import Line, Record

SERVICE = "com.docker.swarm.service.name"
Evidence = Callable[[Record], float | None]


def of_service(record: Record, service: str, action: str) -> Iterator[Line]:
    """Container events of one service of the stack, oldest first."""
    name = f"{record.stack}_{service}"
    for event in record.docker:
        attributes = event["Actor"]["Attributes"]
        if event["Type"] == "container" and event["Action"].startswith(action) and attributes.get(SERVICE) == name:
            yield event


def first(events: Iterator[Line]) -> float | None:
    return nth(events, 1)


def nth(events: Iterator[Line], number: int) -> float | None:
    return next((float(event["at"]) for count, event in enumerate(events, 1) if count == number), None)


def unhealthy(service: str) -> Evidence:
    return lambda record: first(of_service(record, service, "health_status: unhealthy"))


def exits(service: str, times: int = 1) -> Evidence:
    """The end of the N-th container with the same exit code; containers that were told to stop do not count."""

    def find(record: Record) -> float | None:
        told = {event["Actor"]["ID"]: event["at"] for event in of_service(record, service, "kill")}
        seen: Counter[str] = Counter()
        for event in of_service(record, service, "die"):
            code = event["Actor"]["Attributes"]["exitCode"]
            if told.get(event["Actor"]["ID"], event["at"] + 1) > event["at"]:
                seen[code] += 1
            if seen[code] == times:
                return float(event["at"])
        return None

    return find


def ended(service: str, code: int, times: int = 1) -> Evidence:
    """The N-th end of a container with this exit code, whoever ended it."""
    return lambda record: nth(
        (e for e in of_service(record, service, "die") if e["Actor"]["Attributes"]["exitCode"] == str(code)), times
    )


def later(evidence: Evidence, seconds: float) -> Evidence:
    """The moment when a limit was over that began then."""

    def find(record: Record) -> float | None:
        began = evidence(record)
        return began + seconds if began is not None else None

    return find


def oom(service: str) -> Evidence:
    return lambda record: first(of_service(record, service, "oom")) or exits(service)(record)


def not_started(service: str) -> Evidence:
    """The first container that was made; of a task that swarm refuses nothing else can be seen in Docker's events."""
    return lambda record: first(of_service(record, service, "create"))


def deployed(service: str) -> Evidence:
    """The service was made or changed: what is wrong was there from the first moment."""

    def find(record: Record) -> float | None:
        name = f"{record.stack}_{service}"
        return first(
            event
            for event in record.docker
            if event["Type"] == "service" and event["Actor"]["Attributes"].get("name") == name
        )

    return find


def update_state(service: str, state: str) -> Evidence:
    def find(record: Record) -> float | None:
        name = f"{record.stack}_{service}"
        for event in record.docker:
            attributes = event["Actor"]["Attributes"]
            if (
                event["Type"] == "service"
                and attributes.get("name") == name
                and state in attributes.get("updatestate.new", "")
            ):
                return float(event["at"])
        return None

    return find


def refused(status: int, times: int = 1) -> Evidence:
    """The N-th answer of this kind of the registry in front."""

    def find(record: Record) -> float | None:
        answers = [line["at"] for line in record.registry if line["status"] == status]
        return float(answers[times - 1]) if len(answers) >= times else None

    return find


def commands(record: Record, words: str) -> Iterator[Line]:
    """Commands that were begun inside containers (`docker exec`) and hold these words."""
    for event in record.docker:
        action, _, command = event["Action"].partition(": ")
        if action == "exec_create" and words in command:
            yield event


def command_ended(words: str) -> Evidence:
    """The last end of such a command."""

    def find(record: Record) -> float | None:
        ids = {event["Actor"]["Attributes"].get("execID") for event in commands(record, words)}
        ends = [
            event["at"]
            for event in record.docker
            if event["Action"].startswith("exec_die") and event["Actor"]["Attributes"].get("execID") in ids
        ]
        return float(ends[-1]) if ends else None

    return find


def command_began(words: str) -> Evidence:
    return lambda record: first(commands(record, words))


def play_started(record: Record) -> float | None:
    """For what is there to see before anything is done."""
    return first(event for event in record.play if event.get("type") == "play_start")


def done_by_hand(words: str) -> Evidence:
    return lambda record: first(line for line in record.hands if words in line["did"])
