"""Is the node fit: room, clock, swarm's view, and names. Each problem has its numbers and a fix."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from ccci_host import names, preflight
from ccci_host.names import Answer
from ccci_host.preflight import Need, Problem

GIB = 1024**3
ROOT = Path("/var/lib/docker")


def one(problems: Iterable[Problem]) -> Problem:
    found = list(problems)
    assert len(found) == 1, found
    assert found[0].hint
    return found[0]


def test_enough_room_is_no_problem() -> None:
    assert list(preflight.room(ROOT, 2 * GIB, 50_000, Need())) == []
    assert list(preflight.room(ROOT, 2 * GIB, None, Need())) == []


def test_too_little_disk() -> None:
    problem = one(preflight.room(ROOT, GIB, None, Need()))
    assert (problem.expected, problem.observed, problem.failure_id) == (
        "2.0 GiB free below /var/lib/docker", "1.0 GiB are free", "disk-full",
    )  # fmt: skip
    problem = one(preflight.room(ROOT, 3 * GIB, None, Need(disk=20 * GIB)))
    assert problem.expected == "20.0 GiB free below /var/lib/docker, as the recipe's settings ask"


def test_a_disk_without_inodes_is_full_too() -> None:
    problem = one(preflight.room(ROOT, 9 * GIB, 12, Need()))
    assert (problem.observed, problem.failure_id) == ("only 12 can (inodes)", "disk-full")


def test_both_at_once() -> None:
    assert len(list(preflight.room(ROOT, 0, 0, Need()))) == 2


def test_memory_that_the_recipe_declares_against_what_is_available() -> None:
    problems = list(preflight._room({"DockerRootDir": "/"}, Need(memory=2**50)))
    problem = one(entry for entry in problems if entry.failure_id == "oom-host")
    assert problem.expected == "1048576.0 GiB of memory, as the recipe's settings ask"
    assert problem.observed.endswith("iB are available")


@pytest.mark.parametrize("later", [-4.0, 0.0, 15.0])
def test_a_clock_that_is_right_as_far_as_one_can_tell(later: float) -> None:
    assert list(preflight.clock(1_800_000_000 + later, 1_800_000_000)) == []


@pytest.mark.parametrize(("later", "words"), [(-30.0, "30 s behind"), (7200.0, "7200 s ahead of")])
def test_a_clock_that_is_off_names_both_times(later: float, words: str) -> None:
    problem = one(preflight.clock(1_800_000_000 + later, 1_800_000_000))
    assert f"{words} the controller's 2027-01-15 08:00:00 UTC" in problem.observed
    assert problem.observed.startswith("the node's clock says 2027-01-15 ")


@pytest.mark.parametrize(
    ("state", "availability", "words"),
    [("down", "active", "its state is down: heartbeat failure"), ("ready", "drain", "its availability is drain"),
     ("ready", "pause", "its availability is pause")],
)  # fmt: skip
def test_a_node_that_takes_no_tasks(state: str, availability: str, words: str) -> None:
    node = {"ID": "n1", "Status": {"State": state, "Message": "heartbeat failure"},
            "Spec": {"Availability": availability}}  # fmt: skip
    problem = one(preflight.fitness(node))
    assert (problem.observed, problem.failure_id) == (words, "node-not-ready")
    good = {"ID": "n1", "Status": {"State": "ready"}, "Spec": {"Availability": "active"}}
    assert list(preflight.fitness(good)) == []


def answer(*addresses: str, words: str = "") -> Answer:
    return Answer(frozenset(addresses), words)


HERE, OLD = "192.0.2.1", "192.0.2.9"
RANDOM = {"ccci-1.ci.test": answer(HERE), "ccci-2.ci.test": answer(HERE)}


def troubles(random: dict[str, Answer], own: Answer, **deps: Answer) -> list[names.Trouble]:
    domains = {"cust-1.ci.test": own, **{f"{dep}.ci.test": one for dep, one in deps.items()}}
    return names.judge("ci.test", random, domains, {HERE, "2001:db8::1"})


def test_names_that_lead_to_the_node() -> None:
    assert troubles(RANDOM, answer(HERE)) == []
    assert troubles(RANDOM, answer(HERE, "2001:db8::1")) == []


@pytest.mark.parametrize("answers", [(HERE, OLD), (OLD, OLD)])
def test_a_wildcard_that_is_being_moved(answers: tuple[str, str]) -> None:
    random = {f"ccci-{number}.ci.test": answer(address) for number, address in enumerate(answers)}
    found = troubles(random, answer(HERE))[0]
    assert found.moving
    assert found.expected == f"every name below *.ci.test leads to the node ({HERE}, 2001:db8::1)"
    assert OLD in found.observed
    assert "ccci_ingress_address" in found.hint


def test_a_name_that_leads_to_two_places_is_being_moved() -> None:
    assert troubles({"ccci-1.ci.test": answer(HERE, OLD)}, answer(HERE))[0].moving


def test_a_wildcard_without_a_record() -> None:
    found = troubles({"ccci-1.ci.test": answer(words="Name or service not known")}, answer(HERE))[0]
    assert (found.observed, found.moving) == ("ccci-1.ci.test: Name or service not known", True)


@pytest.mark.parametrize("own", [answer(OLD), answer(words="no answer within 10 s")])
def test_a_name_of_the_app_that_is_not_free(own: Answer) -> None:
    found = troubles(RANDOM, own)[0]
    assert not found.moving
    assert found.observed == f"cust-1.ci.test: {own}"


def test_the_name_of_a_dep_that_is_not_free() -> None:
    (found,) = troubles(RANDOM, answer(HERE), **{"keyc-1": answer(OLD), "gite-1": answer(HERE)})
    assert (found.observed, found.moving) == (f"keyc-1.ci.test: {OLD}", False)


def test_the_systems_resolver_is_asked() -> None:
    found = names.resolved(["127.0.0.1", "no-such-name.invalid", "a" * 64 + ".test"], 10)
    assert found["127.0.0.1"] == answer("127.0.0.1")
    assert (found["no-such-name.invalid"].addresses, bool(found["no-such-name.invalid"].words)) == (frozenset(), True)
    assert found["a" * 64 + ".test"].words


def test_a_resolver_that_says_nothing_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(names.socket, "getaddrinfo", lambda *_, **__: over.wait(20) and [])
    began = time.monotonic()
    assert names.resolved(["a.test", "b.test"], 0.2)["b.test"] == answer(words="no answer within 0 s")
    over.set()
    assert time.monotonic() - began < 2


def test_an_address_is_ours_when_an_interface_has_it() -> None:
    assert names.is_ours("127.0.0.1")
    assert not names.is_ours("192.0.2.1")  # for documentation only
    assert names.is_ours("::1") == socket.has_dualstack_ipv6()
