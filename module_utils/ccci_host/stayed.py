"""Did every service stay up after it had converged? The last look at a run's stacks, before they are taken away.

A service without a healthcheck that ends half a minute after its start has converged long before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import state, watch
from .answer import Answer
from .deaths import Death, by_itself, recall, up
from .diagnose import diagnose_ended, evidence_of, gives_up
from .docker import Client
from .docker_errors import DockerError, is_outage
from .known_words import Finding
from .snapshot import Service, Snapshot, read

ID = "teardown.stayed_up"
EXPECTED = "every service stays up after it has converged"
KEY = "converged"  # of state.json: {stack: epoch seconds}
# So many deaths are a crash loop of a service that is not up, and so many of any.
ENOUGH, LOOP = 2, 3


@dataclass(frozen=True)
class Look:
    """A stack at the end, `since` when it had converged; `prefix` goes before its services' names, "" for the recipe's
    own."""

    snapshot: Snapshot
    since: float
    prefix: str = ""


def remember(scope: Mapping[str, Any], at: float) -> None:
    """The scope's stack has converged (again) at this moment."""
    state.update(scope, **{KEY: {**(state.load(scope).get(KEY) or {}), str(scope["stack"]): at}})


def judge(
    client: Client, scope: Mapping[str, Any], prefixes: Mapping[str, str], there: Collection[str], answer: Answer
) -> None:
    """The result teardown.stayed_up. `prefixes` {stack of the run: what goes before its services' names}; `there` are
    the stacks that have services. Raises for a Docker that is away."""
    try:
        converged = {str(stack): float(at) for stack, at in (state.load(scope).get(KEY) or {}).items()}
    except (OSError, ValueError) as error:
        answer.result(ID, "error", expected=EXPECTED, observed=f"when it had converged cannot be read: {error}")
        return
    looks = []
    try:
        for stack, prefix in prefixes.items():
            if stack in converged and stack in there:
                looks.append(Look(read(watch.frame(client, stack), stack), converged[stack], prefix))
    except DockerError as error:
        if is_outage(error):
            raise
        answer.result(ID, "error", expected=EXPECTED, observed=f"the services could not be looked at: {error}")
        return
    unseen = [
        f"{stack} ({'nothing of it is there' if stack in converged else 'it had not converged'})"
        for stack in prefixes
        if stack not in converged or stack not in there
    ]
    report(looks, unseen, answer)


def report(looks: Sequence[Look], unseen: Sequence[str], answer: Answer) -> None:
    """What the looks come to; `unseen` are the stacks of which there is none, and why. Pure.

    What ended for ever is told of any stack. Without that, stacks that were not seen make it a skip.
    """
    found = [finding for look in looks for finding in broken(look)]
    found.sort(key=lambda finding: finding.outcome != "error")  # a broken dep says nothing about the recipe
    if found:
        first, others = found[0], [f"also: {one.sentence}" for one in found[1:]]
        answer.result(
            ID, first.outcome, expected=EXPECTED, observed=first.sentence, failure_id=first.failure_id,
            evidence="\n".join([*others, first.evidence]), service=first.service, hint=first.hint or None,
        )  # fmt: skip
        return
    seen = [death for look in looks for death in later(look)]
    told = "; ".join(words for look in looks for words in ended(look)) or "every service stayed up"
    evidence = evidence_of(seen) if seen else None
    if unseen:
        answer.result(ID, "skip", expected=EXPECTED, evidence=f"not looked at: {', '.join(unseen)}; else {told}")
        return
    answer.result(ID, "pass", expected=EXPECTED, observed=told, evidence=evidence)


def later(look: Look) -> list[Death]:
    """The deaths since the stack had converged, but those that swarm was told to bring about. Pure."""
    deaths = recall([], look.snapshot, look.since)
    return [death for death in deaths if death.how != "stopped" and death.at > look.since]


def broken(look: Look) -> list[Finding]:
    """The services that did not stay up, in the words of a wait for them; of a dep each is an error. Pure."""
    deaths, found = later(look), []
    for service in look.snapshot.services:
        mine = by_itself(deaths, service.name)
        if not is_broken(service, look.snapshot.at, mine):
            continue
        one = diagnose_ended(service, look.snapshot, mine)
        one = replace(one, service=f"{look.prefix}{one.service}")
        if look.prefix:
            one = replace(one, outcome="error", sentence=f"{look.prefix}{one.sentence}")
        found.append(one)
    return found


def is_broken(service: Service, now: float, deaths: Sequence[Death]) -> bool:
    """`deaths` are the service's own. One that ended once may have had its reason; swarm has started it again."""
    if len(deaths) >= LOOP:
        return True
    again_and_again = len(deaths) >= ENOUGH or (bool(deaths) and gives_up(service, deaths))
    return again_and_again and not up(service, now, deaths)


def ended(look: Look) -> list[str]:
    """`worker ended once after it had converged (exit code 3)`, for each service that did. Pure."""
    deaths, told = later(look), []
    for service, count in sorted(Counter(death.service for death in deaths).items()):
        codes = sorted({_code(death) for death in deaths if death.service == service})
        times = "once" if count == 1 else f"{count} times"
        told.append(f"{look.prefix}{service} ended {times} after it had converged ({', '.join(codes)})")
    return told


def _code(death: Death) -> str:
    return f"exit code {death.exit_code}" if death.exit_code is not None else death.how
