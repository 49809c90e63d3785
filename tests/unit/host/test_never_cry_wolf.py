"""Stacks that come up in the end, in many ways and after many deaths: not one of them may be called broken.

And the other way round: the same stacks with a fault in them are not waited for until the limit.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from little_swarm import BEGAN, STACK, LittleSwarm, Plan

from ccci_host.converge import Decision, Memory, look
from ccci_host.snapshot import read

# What programs write when a host that they need does not answer yet. The first ones do not name it.
UNNAMED = ("", "the database is not ready", "SQLSTATE[HY000] [2002] Connection refused", "connect ETIMEDOUT, giving up")
NAMED = (
    "Error: connect ECONNREFUSED {host}:{port}",
    "Error: connect ECONNREFUSED {address}:{port}",
    'connection to server at "{host}" ({address}), port {port} failed: Connection refused',
    "failed to resolve host '{host}'",
    "dial tcp: lookup {host} on 127.0.0.11:53: no such host",
    "waiting for {host}:{port} ... giving up",
)


def watched(swarm: LittleSwarm, seconds: float) -> Iterator[tuple[Memory, Decision]]:
    memory = Memory(BEGAN)
    for frame in swarm.frames(seconds):
        memory, decision = look(read(frame, STACK), memory)
        yield memory, decision


def good_stack(seed: int) -> list[Plan]:
    """A database that takes its time, an app that gives up until that serves, and perhaps services beside them."""
    chance = random.Random(seed)
    checked = chance.random() < 0.5
    db = Plan(
        "db", boot=chance.choice([3, 10, 40, 90]), checked=checked, port=5432, exposes=chance.random() < 0.7,
        dies=chance.choice([0, 0, 0, 1]), delay=chance.choice([1, 5]),
    )  # fmt: skip
    # Words that do not name the host are enough where its health shows; else its settings have to name it.
    words = chance.choice(UNNAMED + NAMED if checked or db.exposes else NAMED[:3])
    says_host = words in NAMED[:3] or (checked and words not in UNNAMED)
    env = () if says_host and chance.random() < 0.5 else ("DB_HOST=db", "DB_USER=app", "DB_PORT=5432")
    app = Plan(
        "app", boot=chance.choice([1, 5, 20]), checked=chance.random() < 0.5, port=8000, needs=("db",),
        patience=chance.choice([0.5, 2, 10, 30]), words=words, env=env, delay=chance.choice([1, 5]),
        code=chance.choice([1, 1, 255]),
    )  # fmt: skip
    side = Plan("side", boot=chance.choice([1, 60]), checked=True, dies=chance.choice([0, 1]))
    cache = Plan("cache", port=6379, exposes=True)
    return [db, app, *chance.sample([side, cache], chance.randint(0, 2))]


@pytest.mark.parametrize("seed", range(60))
def test_a_stack_that_comes_up_in_the_end_is_waited_for(seed: int) -> None:
    swarm = LittleSwarm(good_stack(seed))
    deaths = 0
    for memory, decision in watched(swarm, 300):
        deaths = len(memory.deaths)
        assert decision.outcome in ("waiting", "pass"), (decision.findings[0], swarm.plans)
        if decision.outcome == "pass" and swarm.settled():
            return
    raise AssertionError(f"it never passed, after {deaths} deaths: {decision.progress}")


def test_these_stacks_do_die_a_lot_on_their_way() -> None:
    """Else the test above shows nothing."""
    deaths = []
    for seed in range(20):
        *_, (memory, _) = watched(LittleSwarm(good_stack(seed)), 120)
        deaths.append(len(memory.deaths))
    assert sum(1 for count in deaths if count >= 4) >= 5, deaths


def test_a_database_may_need_six_minutes() -> None:
    db = Plan("db", boot=360, port=3306)
    app = Plan("app", needs=("db",), words="connect ECONNREFUSED {host}:{port}", checked=True)
    outcomes = [(decision.outcome, len(memory.deaths)) for memory, decision in watched(LittleSwarm([app, db]), 400)]
    assert {outcome for outcome, _ in outcomes} == {"waiting", "pass"}
    assert outcomes[-1][1] > 30


@pytest.mark.parametrize("seed", range(30))
def test_an_app_that_never_gets_anywhere_is_red_soon_after_its_second_end(seed: int) -> None:
    chance = random.Random(seed)
    db, app, *others = good_stack(seed)
    app = replace(
        app,
        needs=("gone",),
        patience=chance.choice([0.5, 2, 4]),
        words="the licence key is wrong",
        env=(),
        checked=True,
    )
    gone = Plan("gone", never=True)
    swarm = LittleSwarm([replace(db, boot=2, dies=0), app, *(replace(one, boot=1) for one in others), gone])
    second = None
    for memory, decision in watched(swarm, 300):
        ends = [death for death in memory.deaths if death.service == "app"]
        if len(ends) == 2 and second is None:
            second = swarm.now
        if decision.outcome != "waiting":
            break
    assert decision.outcome == "fail", decision
    assert (decision.findings[0].failure_id, decision.findings[0].service) == ("crash-loop", "app")
    assert second is not None
    assert swarm.now - second <= 20


def test_who_waits_for_a_database_that_crashes_is_not_who_is_named() -> None:
    db = Plan("db", needs=("gone",), words="the data directory is broken", delay=2)
    app = Plan("app", needs=("db",), words=NAMED[0], delay=1)
    for _, decision in watched(LittleSwarm([app, db, Plan("gone", never=True)]), 120):
        if decision.outcome != "waiting":
            break
    assert (decision.findings[0].failure_id, decision.findings[0].service) == ("crash-loop", "db")
