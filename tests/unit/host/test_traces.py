"""What events and counters tell about single tasks, and what becomes of it in a verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from little_swarm import BEGAN, STACK, LittleSwarm, Plan
from test_diagnose import NOW, service, snapshot, task

from ccci_host.converge import Memory, look
from ccci_host.deaths import of_task, recall, stopped_in_boot
from ccci_host.snapshot import Check, Container, Event, Healthcheck, Snapshot, read
from ccci_host.traces import KEPT, Trace, follow


def event(action: str, age: float = 5.0, task: str = "t", **more: Any) -> Event:
    fields: dict[str, Any] = {"service": "app", "signal": None, "exit_code": None}
    return Event(at=NOW - age, nano=int((NOW - age) * 1e9), action=action, task=task, **{**fields, **more})


def after(*events: Event) -> Snapshot:
    return replace(snapshot(service("app")), events=events)


def test_the_first_signal_that_ends_a_task_is_kept_and_a_reload_is_none() -> None:
    told = after(
        event("start", 20), event("kill", 12, signal=1), event("kill", 9, signal=15), event("kill", 3, signal=9),
        event("die", 2, exit_code=137),
    )  # fmt: skip
    trace = follow({}, told)["t"]
    assert (trace.signal, trace.exit_code, trace.was_killed) == (15, 137, True)
    assert trace.ended - trace.started == pytest.approx(18)
    assert not follow({}, after(event("kill", 90, signal=15), event("die", 2, exit_code=1)))["t"].was_killed


def test_an_event_and_the_counter_tell_of_the_same_kill_for_memory() -> None:
    running = Container("c", "running", "none", oom_kills=1)
    seen = replace(snapshot(service("app", task("running", 9, id="t", container=running))), events=(event("oom", 0.4),))
    traces = follow({}, seen)
    assert len(traces["t"].ooms) == 1
    # The counter alone is enough when the event was missed, and counts on.
    again = replace(running, oom_kills=3)
    later = replace(snapshot(service("app", task("running", 9, id="t", container=again))), at=NOW + 5)
    assert follow(traces, later)["t"].ooms == (NOW - 0.4, NOW + 5)
    assert follow(follow(traces, later), later)["t"].ooms == (NOW - 0.4, NOW + 5)


def test_only_the_latest_traces_travel_on_and_survive_json() -> None:
    traces = follow({}, after(*(event("start", 500 - n, task=f"t{n}") for n in range(KEPT + 40))))
    assert len(traces) == KEPT
    assert f"t{KEPT + 39}" in traces
    memory = Memory(NOW, traces=traces, heard=7)
    assert Memory.from_json(memory.to_json(), 0.0) == memory


def ended(code: int, **more: Any) -> Any:
    stopped = Container("c", "exited", "none", NOW - 20, NOW - 2, exit_code=code, log="bye")
    return task("failed", 20, id="t", exit_code=code, error=f"task: non-zero exit ({code})", container=stopped, **more)


def test_the_same_exit_code_has_many_reasons() -> None:
    app = service("app")
    crash = of_task(app, ended(137), NOW)
    killed = of_task(app, ended(137), NOW, Trace("app", signal=9, signalled=NOW - 3, ended=NOW - 2))
    starved = of_task(app, ended(137), NOW, Trace("app", ooms=(NOW - 3,)))
    sick = of_task(app, replace(ended(137), error="task: non-zero exit (137): dockerexec: unhealthy container"), NOW,
                   Trace("app", signal=15, signalled=NOW - 4, ended=NOW - 2))  # fmt: skip
    assert [one and one.how for one in (crash, killed, starved, sick)] == ["exit", "killed", "oom", "unhealthy"]


def test_a_child_that_was_killed_for_memory_can_leave_exit_code_0() -> None:
    done = replace(ended(0), state="complete", error="")
    init = service("init", done, restart="on-failure")
    assert of_task(init, done, NOW) is None
    found = of_task(init, done, NOW, Trace("init", ooms=(NOW - 3,)))
    assert found is not None
    assert (found.how, found.exit_code) == ("oom", 0)


def test_an_update_that_stops_a_boot_is_told_from_one_that_stops_a_good_task() -> None:
    checked = service("app", healthcheck=Healthcheck(1, 1, 3, 60, "check"))
    old = replace(ended(143, current=False), state="shutdown", message="shutdown")
    booting = replace(old, container=replace(old.container, checks=(Check(NOW - 4, 1, "refused"),)))
    healthy = replace(old, container=replace(old.container, checks=(Check(NOW - 4, 0, "ok"),)))
    assert of_task(checked, booting, NOW) is None, "swarm stopped it: that is no failure of its own"
    found = stopped_in_boot(checked, booting, None)
    assert found is not None
    assert (found.how, found.booting) == ("stopped", True)
    assert stopped_in_boot(checked, healthy, None) is None
    assert stopped_in_boot(checked, booting, Trace("app", healthy=True)) is None
    # Without a healthcheck only its own words, or its exit code, can say it.
    assert stopped_in_boot(service("app"), old, None) is None
    assert stopped_in_boot(service("app"), replace(old, exit_code=70), None) is not None


def test_a_task_that_came_and_went_between_two_looks_is_remembered() -> None:
    app = service("app", task("starting", 1))
    gone = Trace("app", started=NOW - 9, ended=NOW - 8, exit_code=3)
    found = recall((), snapshot(app), NOW - 60, {"gone": gone})
    assert [(one.task, one.exit_code, one.uptime) for one in found] == [("gone", 3, 1.0)]
    # One that was stopped, one of before the watch, and one that did its work, are no deaths.
    assert recall((), snapshot(app), NOW - 60, {"gone": replace(gone, signal=15)}) == []
    assert recall((), snapshot(app), NOW - 5, {"gone": gone}) == []
    init = service("init", restart="on-failure")
    assert recall((), snapshot(init), NOW - 60, {"gone": replace(gone, service="init", exit_code=0)}) == []


def test_an_event_that_comes_after_the_look_corrects_it() -> None:
    app = service("app", ended(137))
    first = recall((), snapshot(app), NOW - 60)
    assert first[0].how == "exit"
    assert recall(first, snapshot(app), NOW - 60, {"t": Trace("app", ooms=(NOW - 3,))})[0].how == "oom"


def test_without_a_single_event_the_verdict_is_the_same() -> None:
    """Events only wake the watcher up, and add to the evidence."""
    db = Plan("db", boot=20, port=3306)
    app = Plan("app", needs=("db",), words="connect ECONNREFUSED {host}:{port}")
    broken = Plan("app", needs=("gone",), words="no licence")
    for plans in ([app, db], [broken, Plan("gone", never=True)]):
        outcomes = []
        for heard in (True, False):
            memory, outcome = Memory(BEGAN), ""
            for frame in LittleSwarm(plans).frames(60):
                memory, decision = look(read(frame if heard else {**frame, "events": []}, STACK), memory)
                outcome = decision.outcome
                if outcome != "waiting" and plans[0] is broken:
                    break
            outcomes.append((outcome, len(memory.deaths)))
        assert outcomes[0] == outcomes[1]
