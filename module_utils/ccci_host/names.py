"""Whether the names below the wildcard domain lead to this node, as the node's resolver sees them now.

A wildcard record that is being moved makes names resolve to the old and the new place by turns: that looks like an app
that fails now and then.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

LIMIT = 10.0  # seconds for all names together
RANDOM_NAMES = 2  # one may come out of a cache


@dataclass(frozen=True)
class Answer:
    """`addresses` of a name, or the resolver's `words` why there are none."""

    addresses: frozenset[str] = frozenset()
    words: str = ""

    def __str__(self) -> str:
        return ", ".join(sorted(self.addresses)) or self.words


@dataclass(frozen=True)
class Trouble:
    """What was expected of a name, and what is the case. `moving`: the wildcard itself is wrong, not just one name."""

    expected: str
    observed: str
    hint: str
    moving: bool


def troubles(domains: Sequence[str], node: str) -> list[Trouble]:
    """What is wrong with the domains of a run's apps and the wildcard above them. `node` is how the inventory reaches
    the node."""
    wildcard = domains[0].partition(".")[2]
    names = [f"ccci-{secrets.token_hex(4)}.{wildcard}" for _ in range(RANDOM_NAMES)]
    answers = resolved([*names, *domains, *([node] if node else [])], LIMIT)
    seen = frozenset[str]().union(*(answers[name].addresses for name in names))
    ours = {address for address in seen if is_ours(address)} | (answers[node].addresses if node else frozenset())
    own = {domain: answers[domain] for domain in domains}
    return judge(wildcard, {name: answers[name] for name in names}, own, ours)


def judge(
    wildcard: str, random: Mapping[str, Answer], own: Mapping[str, Answer], ours: Collection[str]
) -> list[Trouble]:
    """Pure. `random` names below the wildcard, the apps' `own` names, and the addresses that are the node's."""
    strange = {name: answer for name, answer in random.items() if not answer.addresses or answer.addresses - set(ours)}
    if strange:
        theirs = ", ".join(sorted(ours)) or "none of these addresses is its own"
        return [
            Trouble(
                f"every name below *.{wildcard} leads to the node ({theirs})",
                "; ".join(f"{name}: {answer}" for name, answer in strange.items()),
                "Wait until the wildcard's record leads to the node everywhere; if the node is reached through another "
                "address, name that one as ccci_ingress_address in the inventory",
                moving=True,
            )
        ]
    usual = next(iter(random.values()))
    return [
        Trouble(
            f"{domain} is free: it leads where every name below *.{wildcard} does ({usual})", f"{domain}: {one}",
            f"Remove the record of its own that {domain} has, or choose another wildcard domain", moving=False,
        )
        for domain, one in own.items()
        if not one.addresses or one.addresses - set(ours)
    ]  # fmt: skip


def resolved(names: Sequence[str], limit: float) -> dict[str, Answer]:
    """What the system's resolver says, for all at once; it knows no limit of its own, so each has a thread."""
    found: dict[str, Answer] = {}
    threads = [threading.Thread(target=_resolve, args=(name, found), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + limit
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    late = Answer(words=f"no answer within {limit:.0f} s")
    return {name: found.get(name, late) for name in names}


def _resolve(name: str, found: dict[str, Answer]) -> None:
    try:
        entries = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        found[name] = Answer(words=error.strerror or str(error))
    except UnicodeError:
        found[name] = Answer(words="no valid name")
    else:
        found[name] = Answer(frozenset(str(entry[4][0]) for entry in entries))


def is_ours(address: str) -> bool:
    """Whether an interface of this machine has the address: only then can a socket be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            one.bind((address, 0))
    except OSError:
        return False
    return True
