"""Which of several reasons is named, and the suspects when none is certain."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from test_diagnose import NOW, death, service, snapshot, task

from ccci_host.converge import LONGEST_PAUSE, Memory, decide, describe, give_up, pause
from ccci_host.deaths import Death, speaks_of
from ccci_host.diagnose import diagnose
from ccci_host.known_words import Finding
from ccci_host.snapshot import MIB, Container, Disk, Healthcheck, Service, _needs
from ccci_host.traces import Trace

FULL = Disk("/var/lib/docker", 3 * MIB, 40_000 * MIB, 100_000)
ROOMY = Disk("/var/lib/docker", 9_000 * MIB, 40_000 * MIB, 100_000)


def judged(app: Service, *deaths: Death, disk: Disk | None = None, history: Any = None, traces: Any = None) -> Finding:
    seen = replace(snapshot(app), disk=disk)
    return diagnose(seen, deaths, history, traces)[0]


APP = service("app", task("starting", 1))


def test_which_disk_is_full() -> None:
    words = death(log="FATAL: could not write init file: No space left on device")
    node = judged(APP, words, disk=FULL)
    assert (node.failure_id, node.outcome, node.certain) == ("disk-full", "error", True)
    assert "3 MiB of 40000 MiB free" in node.sentence
    own = judged(replace(APP, small=("/data",)), words, disk=ROOMY)
    assert (own.failure_id, own.outcome, own.certain) == ("disk-full", "fail", False)
    assert "the full one may be /data (a mount with a size of its own); on the node" in own.sentence
    two = replace(APP, small=("/scratch", "/run"))
    assert "may be /scratch or /run (mounts with a size of their own)" in judged(two, words, disk=ROOMY).sentence
    # Its words alone prove nothing: neither whose fault it is, nor that it goes on like this.
    alone = judged(APP, words, disk=ROOMY)
    assert (alone.failure_id, alone.outcome, alone.certain) == ("disk-full", "fail", False)
    assert "says itself that no space is left; on the node /var/lib/docker has 9000 MiB" in alone.sentence
    for app in (APP, two):
        assert judged(app, replace(words, at=words.at - 9), words, disk=ROOMY).certain
        assert not judged(app, replace(words, excused=("db",)), disk=ROOMY).certain


@pytest.mark.parametrize(
    "log",
    [
        "Error: ENOSPC: System limit for number of file watchers reached, watch '/app/src'",
        "Error: ENOSPC: System limit for number of file watchers reached, watch '/a'\n  errno: -28,\n  code: 'ENOSPC',",
        "inotify_add_watch(/etc/app) failed: No space left on device",
    ],
)
def test_too_many_watched_files_fill_no_disk(log: str) -> None:
    app = replace(APP, small=("/run",))
    assert judged(app, death(9, log=log), death(1, log=log), disk=ROOMY).failure_id == "crash-loop"
    both = f"{log}\nwrite: no space left on device"
    assert judged(app, death(9, log=both), death(1, log=both), disk=ROOMY).failure_id == "disk-full"


def test_a_full_disk_explains_a_missing_image() -> None:
    refused = death(how="refused", exit_code=None, error="No such image: r/x:1", uptime=-1.0)
    assert judged(APP, refused, disk=FULL).failure_id == "disk-full"
    assert judged(APP, refused, disk=ROOMY).failure_id == "missing-image"


def test_a_database_that_lives_on_without_room_is_not_waited_for() -> None:
    container = Container("c", "running", "starting", NOW - 5, log="could not write init file: No space left on device")
    app = service("db", task("starting", 5, container=container))
    assert (judged(app, disk=FULL).failure_id, judged(app, disk=FULL).certain) == ("disk-full", True)
    assert not judged(app, disk=ROOMY).certain


def test_no_limit_of_its_own_means_that_the_node_ran_out_of_memory() -> None:
    first = judged(APP, death(how="oom", exit_code=137))
    assert (first.failure_id, first.outcome, first.certain) == ("oom-host", "error", False)
    assert judged(APP, death(9, how="oom", exit_code=137), death(how="oom", exit_code=137)).certain


def test_a_child_killed_long_before_is_not_why_it_ends_now() -> None:
    limited = replace(APP, memory_limit=64 * MIB)
    last = death(how="oom", exit_code=1, log="connect ECONNREFUSED db:3306")
    long_ago = {last.task: Trace("app", ooms=(NOW - 60,))}
    assert not judged(limited, last, traces=long_ago).certain
    assert judged(limited, last, traces={last.task: Trace("app", ooms=(NOW - 2,))}).certain


def test_the_words_of_a_half_made_database_need_a_kill_before_them() -> None:
    words = death(log='FATAL: role "app" does not exist')
    assert judged(APP, words).failure_id == "crash-loop"
    killed = death(60, service="db", how="unhealthy", exit_code=None, booting=True, uptime=12.0, task="first")
    app = replace(APP, needs=("db",))
    found = judged(app, words, history=[killed, words])
    assert (found.failure_id, found.certain) == ("db-killed-in-init", True)
    assert "the first cause: db was killed by its healthcheck 12 s after its start, while it was still booting" in (
        found.sentence
    )
    assert judged(APP, words, history=[killed, words]).failure_id == "crash-loop", "it does not need that database"


@pytest.mark.parametrize(
    ("log", "failure_id"),
    [
        ("open /letsencrypt/acme.json: no such file or directory", "acme-missing"),
        ("the index answered 429 Too Many Requests", "shared-quota"),
        ("InnoDB: Missing MLOG_CHECKPOINT", "db-killed-in-init"),
        ("Shutdown requested while starting up", "killed-while-booting"),
    ],
)
def test_last_words_refine_a_crash(log: str, failure_id: str) -> None:
    assert judged(APP, death(9, log=log), death(1, log=log)).failure_id == failure_id


@pytest.mark.parametrize(
    "line",
    [
        '10.0.1.2 - - [25/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 429 Too Many Requests',
        'INFO:     10.0.1.2:4711 - "POST /login?next=a HTTP/1.1" 429 Too Many Requests',
        "Completed 429 Too Many Requests in 3ms",
    ],
)
def test_what_a_program_answered_others_is_no_download_of_its_own(line: str) -> None:
    assert judged(APP, death(9, log=line), death(1, log=line)).failure_id == "crash-loop"
    own = f"{line}\nnpm ERR! 429 Too Many Requests - GET https://registry.example.org/left-pad"
    assert judged(APP, death(9, log=own), death(1, log=own)).failure_id == "shared-quota"


def test_a_refused_download_is_not_why_a_healthcheck_kills() -> None:
    log = "the index answered 429 Too Many Requests"
    assert judged(APP, death(how="unhealthy", log=log, said="curl: (22) 429")).failure_id == "health-kill"


def test_a_kill_from_outside_that_comes_once_is_no_verdict() -> None:
    once = death(how="killed", signal=9, exit_code=137)
    assert not judged(APP, once).certain
    assert judged(service("app", task("failed", 1), restart="none"), once).certain
    again = [replace(once, task=f"k{age}", at=NOW - age) for age in (20, 10, 1)]
    found = judged(APP, *again)
    assert (found.failure_id, found.outcome, found.certain) == ("killed-outside", "error", True)
    assert "signal 9 from outside" in found.sentence


def test_three_suspects_are_named_with_their_services_and_why() -> None:
    checked = Healthcheck(1, 1, 3, 600, "check")
    slow = Container("d", "running", "starting", NOW - 50, log="still indexing")
    db = service("db", task("starting", 50, container=slow), healthcheck=checked)
    app = service("app", task("starting", 3), needs=("db",))
    office = service("office", task("starting", 60))
    cron = service("cron", task("starting", 60))
    seen = snapshot(app, db, office, cron)
    deaths = [death(9, excused=("db",), log="connect ECONNREFUSED db:5432")]
    decision = decide(seen, deaths)
    assert decision.outcome == "waiting"
    found = give_up(seen, Memory(NOW - 300, tuple(deaths)), decision, 300)
    assert (found.failure_id, found.service, found.certain) == ("not-converged", "db", False)
    assert "not certain, the likeliest causes: 1. db 0/1, starting 50 s; its log ends with: still indexing; 2. app" in (
        found.sentence
    )
    assert "3. " in found.sentence
    assert "4. " not in found.sentence
    for told in ("suspect 1: db (not-converged)", "suspect 2: app (crash-loop)", "connect ECONNREFUSED", "cron 0/1"):
        assert told in found.evidence


def test_progress_says_what_a_service_may_be_waiting_for() -> None:
    seen = snapshot(service("app", task("ready", 2)), service("db", task("starting", 40)))
    deaths = [death(age, excused=("db",), log="first\nconnection refused") for age in (20, 11, 2)]
    assert describe(seen.services[0], seen, deaths) == (
        "app 0/1, ready 2 s, restarted 3 times (exit code 1, connection refused), may be waiting for db, starting 40 s"
    )


@pytest.mark.parametrize(
    ("spec", "needs"),
    [
        ({"Env": ["DB_HOST=db"]}, ("db",)),
        ({"Env": ["DATABASE_URL=postgres://app:x@db:5432/app"]}, ("db",)),
        ({"Env": ["REDIS=redis://cache/0", "DB_HOST=paper_db"]}, ("cache", "db")),
        ({"Args": ["sh", "-c", "wait-for db:5432 && serve"]}, ("db",)),
        ({"Env": ["BOOT=need db 3306"]}, ("db",)),
        ({"Env": ["POSTGRES_USER=db", "DB_NAME=db", "HOME=/srv/db/data", "TITLE=a db of ours"]}, ()),
    ],
)
def test_settings_say_which_services_are_needed(spec: dict[str, Any], needs: tuple[str, ...]) -> None:
    assert _needs(spec, "app", ["app", "cache", "db"], "paper") == needs


def test_no_setting_keeps_the_look_at_it_busy() -> None:
    began = time.process_time()
    assert _needs({"Env": ["A=" + "-" * 100_000], "Args": ["--db-host=db"]}, "app", ["app", "db"], "paper") == ("db",)
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize(
    ("words", "speaks"),
    [
        ("connect ECONNREFUSED db:3306", True),
        ("connect ECONNREFUSED 10.0.1.5:3306", True),
        ("connect ECONNREFUSED 10.0.1.50:3306", False),
        ("getaddrinfo EAI_AGAIN db", True),
        ("could not translate host name \"db\" to address", True),
        ("opened /var/lib/db/index", False),
        ("the mydb:3306 pool is empty", False),
    ],
)  # fmt: skip
def test_words_speak_of_a_service_where_a_host_stands(words: str, speaks: bool) -> None:
    assert speaks_of(words, service("db", addresses=("10.0.1.5",))) is speaks


def test_looks_become_rare_unless_something_is_due() -> None:
    starting = snapshot(service("app", task("starting", 5)))
    pauses = [pause(starting, Memory(NOW), quiet) for quiet in range(6)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.2
    assert pauses[-1] == pause(starting, Memory(NOW), 10_000) == LONGEST_PAUSE
    # Without a healthcheck time alone makes it count as up, so nobody sleeps over that moment.
    assert pause(snapshot(service("app", task("running", 1.2))), Memory(NOW), 9) == pytest.approx(0.31)
