"""Decisions on what is hard to record: built from the snapshot's own classes."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from ccci_host.converge import Memory, converged, decide, look
from ccci_host.deaths import STABLE_AFTER, Death, recall, up, without_old_logs
from ccci_host.diagnose import NOTHING_NEW, OTHER_IDS, diagnose, identical, needed
from ccci_host.known_words import Finding
from ccci_host.snapshot import MIB, Container, Service, Snapshot, Task, read

NOW = 1_000_000.0


def task(state: str = "running", age: float = 100.0, **more: Any) -> Task:
    desired = "running" if state in ("pending", "starting", "running", "preparing", "ready") else "shutdown"
    fields: dict[str, Any] = {
        "id": f"t{state}{age}", "slot": "1", "state": state, "desired": desired, "message": "started", "error": "",
        "exit_code": None, "created": NOW - age, "changed": NOW - age, "current": True, "container": None,
    }  # fmt: skip
    return Task(**{**fields, **more})


def service(name: str = "app", *tasks: Task, **more: Any) -> Service:
    fields: dict[str, Any] = {
        "id": name, "name": name, "mode": "replicated", "wanted": 1, "image": "i", "healthcheck": None,
        "restart": "any", "max_attempts": 0, "restart_delay": 5.0, "update_state": "", "update_message": "",
        "update_started": 0.0, "created": NOW - 1000, "tasks": tasks,
    }  # fmt: skip
    return Service(**{**fields, **more})


def death(age: float = 1.0, **more: Any) -> Death:
    fields: dict[str, Any] = {
        "service": "app", "task": f"d{age}", "at": NOW - age, "how": "exit", "exit_code": 1, "error": "",
        "started": NOW - age - 1, "uptime": 1.0, "booting": False, "said": "",
        "said_exit_code": None, "log": "it broke",
    }  # fmt: skip
    return Death(**{**fields, **more})


def snapshot(*services: Service, not_ready: tuple[str, ...] = ()) -> Snapshot:
    return Snapshot(NOW, services, 1, not_ready)


def certain(*deaths: Death, of: Service | None = None) -> list[Finding]:
    findings = diagnose(snapshot(of or service("app", task("starting", 1))), deaths)
    return [finding for finding in findings if finding.certain]


def test_one_exit_proves_nothing_and_the_same_words_twice_do() -> None:
    assert certain(death(1)) == []
    assert certain(death(10, log="[17] no file"), death(1, log="[18] no file"))[0].failure_id == "crash-loop"
    assert certain(death(10, log="no file a"), death(1, log="no key b")) == []


def test_nothing_is_certain_of_a_death_whose_words_nobody_could_read_yet() -> None:
    known = [death(20, log=""), death(10, log="")]
    assert certain(*known, death(1, log=None)) == []
    assert certain(*known, death(4, log=None))[0].failure_id == "crash-loop"
    assert certain(*known, death(1, log=""))[0].failure_id == "crash-loop"


def test_silence_needs_three_and_words_of_waiting_four() -> None:
    silent = [death(age, log="") for age in (40, 30, 20, 10)]
    assert needed(silent[:1]) == 3
    waiting = [death(age, log="connect ECONNREFUSED 10.0.0.2:5432") for age in (16, 11, 6, 1)]
    assert certain(*waiting[:3]) == []
    assert certain(*waiting)[0].failure_id == "crash-loop"


def test_other_words_each_time_may_be_progress() -> None:
    steps = [
        death(age, log=f"step {word} failed") for age, word in ((19, "alpha"), (13, "beta"), (7, "gamma"), (1, "x"))
    ]
    assert certain(*steps[:3]) == []
    assert certain(*steps)[0].failure_id == "crash-loop"


@pytest.mark.parametrize(
    "line", ["imported {} of 400 rows, going on in the next try", "2026-11-25T10:00:{}Z migrated {}/40", "{}% done"]
)
def test_a_number_that_rises_with_each_try_is_progress(line: str) -> None:
    steps = [death(40 - count, log=f"starting\n{line.format(count, count)}\n") for count in (10, 20, 30, 39)]
    assert certain(*steps[:3]) == []
    assert certain(*steps)[0].failure_id == "crash-loop"
    assert certain(*steps[:2], replace(steps[1], task="same", at=NOW - 2))[0].failure_id == "crash-loop"


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-25T10:00:{0}.1{0}Z no licence", "10:{0}:01,5 FATAL no licence", "[{0}] no licence",
        "app[{0}]: no licence", "17000000{0}.5 no licence", "pid={0} no licence", "10.0.0.{0}:54{0} no licence",
        "no licence after {0}ms", "no licence: 3 of 4 (1{0}#2{0})",
    ],
)  # fmt: skip
def test_times_and_process_ids_are_no_progress(line: str) -> None:
    assert certain(death(10, log=line.format(11)), death(1, log=line.format(22)))[0].failure_id == "crash-loop"


def test_slow_tries_are_judged_when_nothing_new_comes() -> None:
    slow = [death(age, log="connect ECONNREFUSED 10.0.0.2:5432", uptime=30.0) for age in (90, 50, NOTHING_NEW + 1)]
    again = task("running", NOTHING_NEW - 4, container=Container("c", "running", "starting", NOW - NOTHING_NEW + 4))
    assert certain(*slow, of=service("app", again))[0].failure_id == "crash-loop"
    assert certain(*slow[:2], of=service("app", again)) == []
    # The one that runs now lives longer than those that failed: it may be the one that stays.
    further = replace(again, changed=NOW - 40)
    assert certain(*slow, of=service("app", further)) == []


def test_another_exit_code_or_a_longer_life_starts_the_count_anew() -> None:
    assert len(identical([death(30), death(20, exit_code=2), death(10)])) == 1
    # A try that lived far longer than the one before got further: it proves nothing yet.
    assert len(identical([death(300, uptime=5.0), death(200, uptime=60.0)])) == 1
    assert len(identical([death(300, uptime=60.0), death(200, uptime=5.0)])) == 2


def test_memory_and_full_disks_are_told_apart_from_crashes() -> None:
    limited = service("app", task("starting", 1), memory_limit=64 * MIB)
    oom = certain(death(how="oom", exit_code=137), of=limited)[0]
    assert (oom.failure_id, oom.outcome) == ("oom", "fail")
    assert "64 MiB" in oom.sentence
    full = certain(death(9, log="x: No space left on device"), death(1, log="x: No space left on device"))
    assert (full[0].failure_id, full[0].outcome) == ("disk-full", "fail")
    assert "the node's disk could not be asked" in full[0].sentence


@pytest.mark.parametrize(
    ("error", "failure_id", "outcome"),
    [
        ("No such image: r/x:1", "missing-image", "fail"),
        ("toomanyrequests: You have reached your pull rate limit", "rate-limit", "error"),
        ("failed to register layer: no space left on device", "disk-full", "error"),
        ("bind source path does not exist: /etc/timezone", "missing-bind-source", "error"),
        ("bind source path does not exist: /srv/x", "missing-bind-source", "fail"),
        ("driver failed: Bind for 0.0.0.0:80 failed: port is already allocated", "port-taken", "error"),
        ("network proxy2 not found", "missing-reference", "fail"),
        ('exec: "serve": executable file not found in $PATH', "start-failed", "fail"),
    ],
)
def test_refused_tasks_say_why(error: str, failure_id: str, outcome: str) -> None:
    refused = [death(age, how="refused", error=error, exit_code=None, uptime=-1.0) for age in (6, 1)]
    # A task that is on its way out may still hold a port or a network.
    assert len(certain(refused[0])) == (0 if failure_id == "port-taken" or "network" in error else 1)
    found = certain(*refused)
    assert (found[0].failure_id, found[0].outcome) == (failure_id, outcome)


@pytest.mark.parametrize("log", ["acme.json" * 330, "acme.json " * 300, "wait acme.jso" * 230])
def test_no_log_keeps_the_diagnosis_busy(log: str) -> None:
    began = time.process_time()
    for age in (1, 2):
        certain(death(age, log=log))
    assert time.process_time() - began < 2.0


def test_of_a_command_of_any_length_the_beginning_of_the_error_is_read() -> None:
    told = {"State": "rejected", "Err": f'exec: "{"exec: " * 20_000}": not found', "Message": ""}
    raw = {"ID": "t", "ServiceID": "s", "Status": told, "DesiredState": "shutdown", "Spec": {}}
    seen = read(
        {"at": NOW, "services": [{"ID": "s", "Spec": {"Name": "x_app", "Mode": {"Replicated": {"Replicas": 1}},
         "TaskTemplate": {"ContainerSpec": {"Image": "i"}}}}], "tasks": [raw], "containers": [], "nodes": [],
         "inspected": {}, "logs": {}}, "x",
    )  # fmt: skip
    assert len(seen.services[0].tasks[0].error) == 2000


def test_an_unknown_refusal_is_certain_only_when_it_comes_again() -> None:
    odd = [death(age, how="refused", error="something odd", exit_code=None) for age in (9, 1)]
    assert certain(odd[0]) == []
    assert certain(*odd)[0].failure_id == "start-failed"


def test_a_task_without_a_place() -> None:
    error = "no suitable node (scheduling constraints not satisfied on 1 node)"
    assert certain(of=service("app", task("pending", 1, error=error))) == []
    assert certain(of=service("app", task("pending", 9, error=error)))[0].failure_id == "unschedulable"
    # A task that still stops may be what holds the place.
    stopping = task("running", 50, desired="shutdown", current=False)
    assert certain(of=service("app", stopping, task("pending", 9, error=error))) == []


def test_a_node_that_is_down_is_not_the_recipes_fault() -> None:
    pending = task("pending", 9, error="no suitable node (1 node not available for new tasks)")
    decision = decide(snapshot(service("app", pending), not_ready=("node: drain",)), ())
    assert (decision.outcome, decision.findings[0].failure_id) == ("error", "node-not-ready")


def test_a_stack_without_services_is_an_error() -> None:
    assert decide(snapshot(), ()).outcome == "error"


def unhealthy(age: float = 5.0) -> Task:
    return task("starting", age, message="starting", container=Container("c", "running", "unhealthy", NOW - age))


def test_an_unhealthy_task_waits_for_a_service_that_is_still_starting() -> None:
    slow = service("db", task("starting", 20))
    sick = service("app", unhealthy(), needs=("db",))
    deaths = recall((), snapshot(sick, slow), NOW - 60)
    assert deaths[0].excused == ("db",)
    assert decide(snapshot(sick, slow), deaths).outcome == "waiting"
    ready = service("db", task("running", 50, container=Container("d", "running", "healthy")))
    deaths = recall((), snapshot(sick, ready), NOW - 60)
    assert decide(snapshot(sick, ready), deaths).outcome == "fail"


def test_an_unhealthy_task_does_not_wait_for_a_service_that_it_does_not_need() -> None:
    slow = service("office", task("starting", 20))
    says = replace(unhealthy(), container=Container("c", "running", "unhealthy", NOW - 5, log="loading the plug-ins"))
    deaths = recall((), snapshot(service("app", says), slow), NOW - 60)
    assert decide(snapshot(service("app", says), slow), deaths).outcome == "fail"
    # Without a word nobody knows what it waits for: the second one decides.
    silent = snapshot(service("app", unhealthy()), slow)
    deaths = recall((), silent, NOW - 60)
    assert decide(silent, deaths).outcome == "waiting"
    assert decide(silent, [replace(deaths[0], task="before", at=NOW - 30), *deaths]).outcome == "fail"


def test_a_try_that_began_before_its_database_was_up_is_excused() -> None:
    just_up = service("db", task("running", 2, container=Container("d", "running", "healthy")))
    app = service("app", unhealthy(5), needs=("db",))
    assert recall((), snapshot(app, just_up), NOW - 60)[0].excused == ("db",)


def test_two_services_that_both_fail_do_not_wait_for_each_other() -> None:
    both = snapshot(service("app", task("ready", 1)), service("db", task("ready", 1)))
    deaths = [death(age, service=name, task=f"{name}{age}") for name in ("app", "db") for age in (20, 10)]
    again = service("db", task("failed", 1, exit_code=1, container=Container("x", "exited", "none", NOW - 2, NOW - 1)))
    found = recall(deaths, snapshot(both.services[0], again), NOW - 60)
    assert found[-1].service == "db"
    assert found[-1].excused == ()


def test_a_paused_update_whose_next_try_came_up_is_no_failure() -> None:
    healthy = task("running", 5, container=Container("c", "running", "healthy"))
    paused = service("app", healthy, update_state="paused", update_started=NOW - 60)
    assert decide(snapshot(paused), [death(20)]).outcome == "pass"
    # Its only task is of the new version already: swarm goes on starting that one, so one end alone proves nothing.
    down = replace(paused, tasks=(task("starting", 1),))
    assert decide(snapshot(down), [death(20)]).outcome == "waiting"
    assert decide(snapshot(down), [death(20), death(5)]).outcome == "fail"
    assert decide(snapshot(down), [death(20, excused=("db",))]).outcome == "waiting"
    # With an old task left the update does not go on by itself.
    half = replace(paused, wanted=2, tasks=(task("running", 50, current=False), task("starting", 1)))
    assert decide(snapshot(half), [death(20)]).outcome == "fail"


def test_a_death_that_swarm_tells_late_is_not_one_from_before_the_service_was_up() -> None:
    runs = task("running", 10, id="new", container=Container("c", "running", "none", NOW - 9))
    update = {"update_state": "updating", "update_started": NOW - 11}
    memory, decision = look(snapshot(service("db", runs, **update)), Memory(NOW - 12))
    assert "db" in memory.good
    # The container had ended before that look, and nothing told so yet.
    ended = Container("c", "exited", "none", NOW - 9, NOW - 0.5, log="InnoDB: Missing MLOG_CHECKPOINT")
    failed = task("failed", 10, id="new", exit_code=1, error="task: non-zero exit (1)", container=ended)
    paused = {**update, "update_state": "paused", "update_message": "update paused due to failure"}
    later = replace(snapshot(service("db", failed, **paused)), at=NOW + 0.5)
    memory, decision = look(later, memory)
    assert decision.outcome == "fail"
    assert "Missing MLOG_CHECKPOINT" in decision.findings[0].evidence


def test_an_older_task_that_still_runs_is_waited_for() -> None:
    new = task("running", 5, container=Container("c", "running", "healthy"))
    old = task("running", 500, desired="shutdown", current=False)
    assert up(service("app", old, new), NOW, ())
    assert not converged(service("app", old, new), NOW, ())
    assert converged(service("app", replace(old, state="shutdown"), new), NOW, ())


def test_without_a_healthcheck_it_must_outlive_the_tries_that_failed() -> None:
    young = service("app", task("running", STABLE_AFTER + 0.1))
    assert up(young, NOW, ())
    assert not up(young, NOW, [death(30, uptime=10.0)])
    assert up(service("app", task("running", 13)), NOW, [death(30, uptime=10.0)])
    # Else each try would be good for a moment, and one that is killed again and again would never be seen.
    assert not up(young, NOW, [death(30, how="killed", signal=9, uptime=10.0)])


def test_deaths_of_before_a_service_was_up_prove_nothing_later() -> None:
    memory = Memory(NOW - 100, tuple(death(age) for age in (90, 80, 70)), {"app": NOW - 50})
    _, decision = look(snapshot(service("app", task("starting", 1))), memory)
    assert decision.outcome == "waiting"
    _, decision = look(snapshot(service("app", task("starting", 1))), replace(memory, good={}))
    assert decision.outcome == "fail"


def test_global_services_and_one_shots() -> None:
    nowhere = service("agent", mode="global", wanted=None)
    assert decide(snapshot(nowhere), ()).findings[0].failure_id == "unschedulable"
    assert up(service("job", wanted=0), NOW, ())
    done = task("complete", 5, exit_code=0)
    assert up(service("init", done, restart="on-failure"), NOW, ())
    assert not up(service("init", done), NOW, ())
    # A job is up when it is done; what is not started again may be done, or run for ever.
    assert up(service("once", done, mode="job"), NOW, ())
    assert not up(service("once", task("running", 60), mode="job"), NOW, ())
    assert up(service("init", task("running", 60), restart="none"), NOW, ())
    ended = replace(done, container=Container("c", "exited", "none", NOW - 6, NOW - 5))
    assert recall((), snapshot(service("init", ended)), NOW - 60)[0].exit_code == 0


def test_only_the_latest_deaths_keep_their_words() -> None:
    kept = without_old_logs([death(float(age)) for age in range(20, 0, -1)])
    assert [one.log for one in kept] == [""] * 16 + ["it broke"] * 4


def test_every_id_that_the_catalogue_lacks_is_explained() -> None:
    assert {"update-failed", "not-converged"} <= set(OTHER_IDS)


def test_an_empty_frame_reads_as_an_empty_stack() -> None:
    frame = {"at": NOW, "services": [], "tasks": [], "containers": [], "nodes": [], "inspected": {}, "logs": {}}
    assert read(frame, "x").services == ()
