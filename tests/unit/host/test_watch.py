"""The watch against an engine on paper: it answers within its slice, wakes up on events, and does without them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from little_swarm import STACK, LittleSwarm, Plan

from ccci_host import kernel, watch
from ccci_host.answer import Answer
from ccci_host.docker import DockerError, LimitReached
from ccci_host.docker_events import Events

SLICE = 1.0


class Engine:
    """Answers as `Client` does, from a little swarm that goes on only when a test says so."""

    def __init__(self, *plans: Plan) -> None:
        self.swarm = LittleSwarm(plans, now=time.time())
        self.asked: list[str] = []
        self.since: list[str] = []
        self.news = threading.Event()
        self.broken = False

    def go_on(self, seconds: float) -> None:
        for _ in self.swarm.frames(seconds, 0.5):
            pass
        self.swarm.now = time.time()

    @property
    def frame(self) -> dict[str, Any]:
        return self.swarm.frame()

    def services(self, stack: str) -> Any:
        self.asked.append("services")
        return self.frame["services"]

    def tasks(self, stack: str) -> Any:
        return self.frame["tasks"]

    def containers(self, stack: str) -> Any:
        return self.frame["containers"]

    def info(self) -> dict[str, Any]:
        return {"DockerRootDir": "/"}

    def logs(self, kind: str, id: str, tail: int) -> str:
        self.asked.append(f"log {id}")
        return str(self.frame["logs"].get(id, ""))

    def get(self, path: str, **query: Any) -> Any:
        if path == "/nodes":
            return self.frame["nodes"]
        self.asked.append(path)
        found = self.frame["inspected"].get(path.split("/")[2])
        if found is None:
            raise DockerError(404, "no such container")
        return found

    def stream(self, method: str, path: str, query: dict[str, Any], timeout: float) -> Iterator[dict[str, Any]]:
        self.since.append(query["since"])
        if self.broken:
            raise DockerError(0, "broke off")
        if self.news.wait(float(query["until"]) - time.time()):
            self.news.clear()
            labels = {"com.docker.swarm.service.name": f"{STACK}_app", "com.docker.swarm.task.id": "t"}
            nano = time.time_ns()
            yield {"Type": "container", "Action": "start", "timeNano": nano, "Actor": {"Attributes": labels}}
        raise LimitReached("over")


def looked(engine: Engine) -> int:
    return engine.asked.count("services")


def test_a_slice_answers_in_its_time_and_asks_little_when_nothing_happens() -> None:
    engine = Engine(Plan("app", boot=1000, checked=True))
    engine.go_on(2)
    began = time.monotonic()
    seen = watch.watch(engine, STACK, {}, SLICE)  # type: ignore[arg-type]
    assert SLICE <= time.monotonic() - began < SLICE + 0.5
    assert not seen.over
    first = looked(engine)
    cursor = json.loads(json.dumps(seen.memory.to_json()))
    began = time.monotonic()
    watch.watch(engine, STACK, cursor, SLICE)  # type: ignore[arg-type]
    assert time.monotonic() - began < SLICE + 0.5
    assert looked(engine) - first <= 3


def test_an_event_brings_the_next_look_at_once() -> None:
    engine = Engine(Plan("app", boot=5, checked=True))
    engine.go_on(2)
    cursor = json.loads(json.dumps(watch.watch(engine, STACK, {}, 0.0).memory.to_json()))  # type: ignore[arg-type]

    def happen() -> None:
        time.sleep(0.3)
        engine.go_on(6)
        engine.news.set()

    thread = threading.Thread(target=happen)
    thread.start()
    began = time.monotonic()
    seen = watch.watch(engine, STACK, cursor, 5.0)  # type: ignore[arg-type]
    assert seen.decision.outcome == "pass"
    assert time.monotonic() - began < 0.9, "without the event the look would have come after a second"
    thread.join()
    assert seen.memory.heard > 0


@pytest.mark.parametrize("broken", [False, True])
def test_without_events_the_look_comes_every_second(broken: bool) -> None:
    engine = Engine(Plan("app", boot=5, checked=True))
    engine.broken = broken
    engine.go_on(2)
    timer = threading.Timer(0.3, engine.go_on, (6,))
    timer.start()
    began = time.monotonic()
    assert watch.watch(engine, STACK, {"since": time.time()}, 5.0).decision.outcome == "pass"  # type: ignore[arg-type]
    assert time.monotonic() - began < 2
    timer.join()


def test_the_next_slice_goes_on_behind_the_last_event() -> None:
    engine = Engine(Plan("app", boot=1000, checked=True))
    engine.news.set()
    seen = watch.watch(engine, STACK, {}, 0.3)  # type: ignore[arg-type]
    watch.watch(engine, STACK, seen.memory.to_json(), 0.1)  # type: ignore[arg-type]
    heard = seen.memory.heard + 1
    assert engine.since[1] == f"{heard // 10**9}.{heard % 10**9:09d}"
    assert time.time() - float(engine.since[0]) == pytest.approx(watch.BEFORE, abs=5)


def test_what_does_not_change_is_asked_once_in_a_slice() -> None:
    engine = Engine(Plan("app", needs=("db",), words="refused by {host}"), Plan("db", boot=1000, checked=True))
    engine.go_on(4)
    dead = [container["Id"] for container in engine.frame["containers"] if container["State"] == "exited"]
    assert dead
    eye = watch.Eye(engine, STACK)  # type: ignore[arg-type]
    for _ in range(3):
        frame = eye.frame()
        assert set(dead) <= set(frame["inspected"])
    assert engine.asked.count(f"/containers/{dead[0]}/json") == 1
    assert engine.asked.count(f"log {dead[0]}") == 1
    assert frame["disk"]["path"] == "/"
    known = [one["Labels"]["com.docker.swarm.task.id"] for one in frame["containers"] if one["Id"] in dead]
    assert not set(dead) & set(eye.frame(known)["inspected"])


def test_words_that_could_not_be_read_at_first_are_read_later() -> None:
    engine = Engine(Plan("app", needs=("db",), words="No space left on device"), Plan("db", boot=1000, checked=True))
    engine.go_on(4)
    real = engine.containers
    # Docker's list is a moment older than swarm's news that the task has failed.
    engine.containers = lambda stack: [{**one, "State": "running"} for one in real(stack)]  # type: ignore[method-assign]
    memory = watch.watch(engine, STACK, {}, 0.0).memory  # type: ignore[arg-type]
    assert [death.log for death in memory.deaths] == [None]
    engine.containers = real  # type: ignore[method-assign]
    memory = watch.watch(engine, STACK, json.loads(json.dumps(memory.to_json())), 0.0).memory  # type: ignore[arg-type]
    assert [death.log for death in memory.deaths] == ["No space left on device"]


def test_what_was_about_to_start_when_it_was_listed_was_not_refused() -> None:
    engine = Engine(Plan("app", needs=("db",), words="no licence"), Plan("db", boot=1000, checked=True))
    engine.go_on(4)
    real = engine.containers
    # Docker's list is older than swarm's news: by then the container had been made, and had not been started.
    engine.containers = lambda stack: [  # type: ignore[method-assign]
        {**one, "State": "created", "Status": "Created"} if one["State"] == "exited" else one for one in real(stack)
    ]
    memory = watch.watch(engine, STACK, {}, 0.0).memory  # type: ignore[arg-type]
    assert [(death.how, death.exit_code, death.log) for death in memory.deaths] == [("exit", 1, None)]
    engine.containers = real  # type: ignore[method-assign]
    memory = watch.watch(engine, STACK, json.loads(json.dumps(memory.to_json())), 0.0).memory  # type: ignore[arg-type]
    assert [(death.how, death.exit_code, death.log) for death in memory.deaths] == [("exit", 1, "no licence")]
    assert memory.deaths[0].uptime >= 0


def test_the_last_words_are_read_although_the_first_ones_were() -> None:
    engine = Engine(Plan("app", boot=1000, checked=True))
    engine.go_on(2)
    last = engine.swarm.tries["app"][-1]
    engine.logs = lambda kind, id, tail: "booting" if last.alive else "booting\nno licence"  # type: ignore[method-assign]
    eye = watch.Eye(engine, STACK)  # type: ignore[arg-type]
    assert list(eye.frame(curious=True)["logs"].values()) == ["booting"]
    engine.swarm._end(engine.swarm.plans[0], last, 1, "")
    assert list(eye.frame()["logs"].values()) == ["booting\nno licence"]


def test_ports_are_looked_at_only_when_somebody_died(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(Plan("app", checked=True))
    engine.go_on(3)
    real = engine.get

    def with_pid(path: str, **query: Any) -> Any:
        found = real(path, **query)
        return {**found, "State": {**found["State"], "Pid": 7}} if path.startswith("/containers") else found

    engine.get = with_pid  # type: ignore[method-assign]
    asked = []
    monkeypatch.setattr(kernel, "listening", lambda id, pid: asked.append(pid))
    monkeypatch.setattr(kernel, "oom_file", lambda id, pid, mounts: None)
    eye = watch.Eye(engine, STACK)  # type: ignore[arg-type]
    eye.frame(curious=True)
    assert asked == []
    eye.frame(["somebody"])
    assert asked == [7]


def test_events_of_others_wake_nobody() -> None:
    def event(kind: str, **attributes: str) -> dict[str, Any]:
        return {"Type": kind, "Actor": {"Attributes": attributes}}

    named = {"com.docker.swarm.service.name": "paper_app"}
    assert watch.concerns(event("container", **named), STACK)
    assert watch.concerns(event("service", name="paper_app"), STACK)
    assert watch.concerns(event("node", name="node"), STACK)
    assert not watch.concerns(event("container", name="something"), STACK)
    assert not watch.concerns(event("service", name="paper2_app"), STACK)


def test_waiting_for_events_ends_in_time() -> None:
    engine = Engine()
    events = Events(engine, 0, 1.0)  # type: ignore[arg-type]
    began = time.monotonic()
    assert events.wait(0.2) == []
    assert 0.2 <= time.monotonic() - began < 0.4
    engine.news.set()
    assert [event["Action"] for event in events.wait(1.0)] == ["start"]
    assert events.rest() == []


def test_at_the_limit_the_answer_says_what_was_missing() -> None:
    engine = Engine(Plan("app", boot=1000, checked=True))
    engine.go_on(2)
    answer = Answer("install")
    watch.report(answer, watch.watch(engine, STACK, {}, 0.1), 300, assert_restarts=True)  # type: ignore[arg-type]
    assert [(one["id"], one["outcome"], one["failure_id"]) for one in answer.results] == [
        ("install.converged", "fail", "not-converged")
    ]
    assert "not converged after 300 s: app" in answer.results[0]["observed"]
