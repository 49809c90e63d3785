"""What a backup's tries come to: which outcome, whose fault, and which failure of the catalogue."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from ccci_host import backup, full_disk, hooks, restore, state
from ccci_host.abra_call import AbraTimeout, Done
from ccci_host.answer import Answer
from ccci_host.backup import BackupTrouble, NotSettled, backup_service, settle
from ccci_host.backup_report import Try, missing_by_words, report, survey_result, worth_another
from ccci_host.backup_survey import Entry, Survey, Wanted, survey
from ccci_host.docker import ExecResult, timestamp
from ccci_host.full_disk import Room
from ccci_host.snapshot import MIB, Disk

STACK = "a_ci_test"
DUMP = Wanted("/a_ci_test_db/_data/backup.sql", "named by a label, volume db of db", "db")
HELD = [Entry("/var/lib/docker/volumes/a_ci_test_db/_data/backup.sql", 1200)]
SNAPSHOT = {"id": "3279b2f2", "time": "2026-11-25T00:08:20Z"}
GOOD = Try(snapshot=SNAPSHOT, held=HELD, seconds=2)
LACKS = Try(snapshot=SNAPSHOT, held=[Entry("/var")], missing=[DUMP], seconds=3)
BEGAN = "2026-11-25T00:08:20Z"
NOT_THERE = "backup create failed: not there after all pre-hooks: /var/lib/docker/volumes/a_ci_test_db/_data/backup.sql"


def results(*tries: Try) -> dict[str, dict[str, Any]]:
    answer = Answer()
    report(tries, [DUMP], answer)
    return {one["id"]: one for one in answer.results}


def test_a_snapshot_that_holds_everything() -> None:
    found = results(GOOD)
    assert {name: one["outcome"] for name, one in found.items()} == {"backup.snapshot": "pass", "backup.paths": "pass"}
    assert found["backup.snapshot"]["observed"] == "snapshot 3279b2f2, 1 entries, 1200 bytes in files"
    assert found["backup.paths"]["evidence"] == "try 1, 2 s: snapshot 3279b2f2: it holds what it must"
    assert "failure_id" not in found["backup.paths"]


@pytest.mark.parametrize("noise", ["hook ", "the hook `", "the hook ` of service "])
def test_no_output_of_a_hook_keeps_the_report_busy(noise: str) -> None:
    began = time.process_time()
    found = results(Try(rc=1, words="x", output=noise * 12_000 + "\nthe hook `a` of service db ended with 1: no"))
    assert found["backup.snapshot"]["service"] == "db"
    assert time.process_time() - began < 3.0


@pytest.mark.parametrize(
    ("output", "outcome", "failure_id"),
    [
        ("backup create failed: the hook `pg_dump` of service db ended with 1: connection refused\nFATA failed",
         "fail", "hook-failed"),
        ("backup create failed: the hook `read x` of service db did not end within 240 s and was killed; it printed: y",
         "fail", "interactive-hang"),
        ("backup create failed: label x of service db: there is no volume y", "fail", None),
        ("ERROR: Failed to run pre hook in db, exit code 1", "fail", "hook-failed"),
        (NOT_THERE, "fail", "empty-backup"),
        ("FATA no backupbot discovered, is it deployed?", "error", None),
        ("backup create failed: restic backup ended with 1: Fatal: unable to open", "error", None),
    ],
)  # fmt: skip
def test_whose_fault_a_failed_backup_is(output: str, outcome: str, failure_id: str | None) -> None:
    found = results(Try(rc=1, words="the command failed", output=output, missing=missing_by_words(output, [DUMP])))
    assert (found["backup.snapshot"]["outcome"], found["backup.snapshot"].get("failure_id")) == (outcome, failure_id)
    assert output in found["backup.snapshot"]["evidence"]
    assert "try 1, 0 s: abra ended with 1: the command failed" in found["backup.snapshot"]["evidence"]
    assert "backup.paths" not in found


HOOK_FULL = "the hook `dump` of service db ended with 1: pg_dump: No space left on device"
RESTIC_FULL = "backup create failed: restic backup ended with 1: Fatal: no space left on device"
NODE_FULL = Room(Disk("/var/lib/docker", 0, 40_000 * MIB, 1_000))
OWN_FULL = Room(Disk("/var/lib/docker", 9_000 * MIB, 40_000 * MIB, 1_000), ("/data has 0 MiB of 16 MiB free in db",))
NONE_FULL = replace(OWN_FULL, full=())


@pytest.mark.parametrize(
    ("output", "room", "outcome", "told"),
    [
        (HOOK_FULL, NODE_FULL, "error", "the node's disk is full: /var/lib/docker has 0 MiB of 40000 MiB free"),
        (HOOK_FULL, OWN_FULL, "fail", "a size of its own, /data has 0 MiB of 16 MiB free in db"),
        (
            HOOK_FULL,
            NONE_FULL,
            "fail",
            "it says itself that no space is left; on the node /var/lib/docker has 9000 MiB",
        ),
        (RESTIC_FULL, NODE_FULL, "error", "the node's disk is full"),
        (RESTIC_FULL, OWN_FULL, "fail", "a size of its own, /data"),
        (RESTIC_FULL, NONE_FULL, "error", "it says itself"),
    ],
)
def test_the_node_is_blamed_for_a_full_disk_only_if_its_disk_is_full(
    output: str, room: Room, outcome: str, told: str
) -> None:
    answer = Answer()
    report([Try(rc=1, words="the command failed", output=output)], [DUMP], answer, room)
    (snapshot,) = answer.results
    assert (snapshot["outcome"], snapshot["failure_id"]) == (outcome, "disk-full")
    assert told in snapshot["observed"]
    assert snapshot.get("service") == ("db" if output == HOOK_FULL else None)


def test_after_a_hook_that_found_no_room_the_file_systems_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_disk, "look", lambda client, stack, said: NODE_FULL if "No space" in said else None)
    found, _ = backed_up(Scene(monkeypatch, (1, HOOK_FULL, [])))
    assert (found["backup.snapshot"]["outcome"], found["backup.snapshot"]["failure_id"]) == ("error", "disk-full")


@pytest.mark.parametrize("how", ["ended with 1: connection refused", "did not end within 240 s"])
def test_the_hook_and_its_service_are_named_not_abras_last_word(how: str) -> None:
    output = f"db: label `pg_dump`\nbackup create failed: the hook `pg_dump -x` of service db {how}\nFATA backup failed"
    snapshot = results(Try(rc=1, words="backup failed", output=output))["backup.snapshot"]
    assert (snapshot["observed"], snapshot["service"]) == (f"the hook `pg_dump -x` of service db {how}", "db")


def test_a_path_that_stays_away_while_containers_are_replaced_is_a_race() -> None:
    paths = results(replace(LACKS, replaced=True), LACKS, LACKS)["backup.paths"]
    assert (paths["outcome"], paths["failure_id"], paths["service"]) == ("fail", "backup-race", "db")
    assert "backup.sql (named by a label, volume db of db) is missing" in paths["observed"]
    assert [line.partition(",")[0] for line in paths["evidence"].splitlines()[-3:]] == ["try 1", "try 2", "try 3"]
    assert "containers were replaced meanwhile" in paths["evidence"]


def test_a_path_that_a_later_try_finds_was_missed_and_passes() -> None:
    paths = results(LACKS, GOOD)["backup.paths"]
    assert (paths["outcome"], paths["observed"], "failure_id" in paths) == ("pass", "it does, at try 2", False)
    assert paths["evidence"].splitlines() == [
        "try 1, 3 s: snapshot 3279b2f2: /a_ci_test_db/_data/backup.sql is missing",
        "try 2, 2 s: snapshot 3279b2f2: it holds what it must",
    ]


def test_a_path_that_stays_away_by_itself_is_no_race() -> None:
    paths = results(LACKS, LACKS, LACKS)["backup.paths"]
    assert (paths["outcome"], paths["failure_id"]) == ("fail", "empty-backup")


def test_an_empty_dump_is_named_and_its_service() -> None:
    paths = results(Try(snapshot=SNAPSHOT, held=HELD, problems=[(DUMP, "it is empty: 0 bytes")]))["backup.paths"]
    assert (paths["outcome"], paths["failure_id"], paths["service"]) == ("fail", "empty-backup", "db")
    assert paths["observed"].endswith("backup.sql (named by a label, volume db of db): it is empty: 0 bytes")


def test_what_is_only_odd_is_a_note() -> None:
    paths = results(Try(snapshot=SNAPSHOT, held=HELD, notes=["x.sql: it makes no table and holds no row"]))
    assert paths["backup.paths"]["outcome"] == "pass"
    assert paths["backup.paths"]["observed"] == "it does; note: x.sql: it makes no table and holds no row"


def test_a_snapshot_of_nothing_fails() -> None:
    assert results(Try(snapshot=SNAPSHOT))["backup.paths"]["observed"] == "the snapshot is empty"


@pytest.mark.parametrize(
    ("last", "again"),
    [
        (GOOD, False),
        (replace(GOOD, replaced=True), False),
        (LACKS, True),
        (replace(LACKS, missing=[replace(DUMP, hopeless="it is in no volume")]), False),
        (Try(rc=1, words="the hook failed"), False),
        (Try(rc=1, words="no running container", replaced=True), True),
        (Try(rc=1, output=NOT_THERE, missing=[DUMP]), True),
        (Try(held=HELD, problems=[(DUMP, "it is empty")]), False),
        (Try(held=HELD, problems=[(DUMP, "it is empty")], replaced=True), True),
    ],
)
def test_when_the_whole_backup_is_run_again(last: Try, again: bool) -> None:
    assert worth_another(last) is again


class Scene:
    """A node whose backups are prepared: each is abra's return code and what the snapshot then holds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *backups: tuple[int, str, list[Entry]]) -> None:
        self.backups, self.calls = list(backups), 0
        monkeypatch.setattr(backup, "settle", lambda *_: {"c1": "a"})
        monkeypatch.setattr(backup, "running", lambda *_: {"c1": "a"})
        monkeypatch.setattr(backup, "abra", self.abra)
        monkeypatch.setattr(backup, "list_snapshot", lambda *_: (self.snapshot(), self.held))
        monkeypatch.setattr(backup, "_content", lambda *_: b"CREATE TABLE a (b int);")
        monkeypatch.setattr(backup, "_size_of_volume", lambda *_: None)
        monkeypatch.setattr(state, "update", lambda scope, **keys: setattr(self, "left", keys))

    def snapshot(self) -> dict[str, Any]:
        return {"id": f"s{self.calls}", "time": BEGAN}

    def abra(self, scope: Any, argv: list[str], **options: Any) -> Done:
        assert argv[:3] == ["app", "backup", "create"]
        self.calls += 1
        rc, output, self.held = self.backups.pop(0)
        return Done(rc, output)

    def system_time(self) -> float:
        return timestamp(BEGAN)

    def services(self, stack: str) -> list[dict[str, Any]]:
        labels = {"backupbot.backup": "true", "backupbot.backup.volumes.db.path": "backup.sql",
                  "backupbot.backup.pre-hook": "/dump.sh"}  # fmt: skip
        return [a_service("db", labels)]


def a_service(name: str, labels: dict[str, str]) -> dict[str, Any]:
    mounts = [{"Type": "volume", "Source": f"{STACK}_{name}", "Target": "/data"}]
    container = {"Image": "postgres:15", "Mounts": mounts}
    return {"Spec": {"Name": f"{STACK}_{name}", "Labels": labels, "TaskTemplate": {"ContainerSpec": container}}}


def backed_up(scene: Any, limit: float = 100) -> tuple[dict[str, dict[str, Any]], Answer]:
    answer = Answer()
    backup.back_up(scene, {"stack": STACK, "domain": "a.ci.test"}, {"kind": "none"}, [], limit, answer)
    return {one["id"]: one for one in answer.results}, answer


@pytest.mark.parametrize(
    "first", [(0, "", [Entry("/var")]), (1, NOT_THERE, [])], ids=["snapshot without it", "refused"]
)
def test_a_backup_that_misses_a_path_is_run_again_as_a_whole(first: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, first, (0, "", HELD))
    found, answer = backed_up(scene)
    assert scene.calls == 2
    assert (found["backup.paths"]["outcome"], found["backup.paths"]["observed"]) == ("pass", "it does, at try 2")
    assert [one["missing"] for one in answer.facts["backup_tries"]] == [[DUMP.path], []]
    assert scene.left == {"snapshot": scene.snapshot(), "backup": {"whole": True}}


def test_a_backup_is_run_three_times_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, *[(0, "", [Entry("/var")])] * 9)
    found, _ = backed_up(scene)
    assert scene.calls == 3
    assert (found["backup.paths"]["outcome"], found["backup.paths"]["failure_id"]) == ("fail", "empty-backup")
    assert scene.left["backup"] == {"whole": False}


def test_a_backup_is_not_run_again_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, *[(0, "", [Entry("/var")])] * 9)
    found, _ = backed_up(scene, limit=-1)
    assert scene.calls == 1
    assert found["backup.paths"]["evidence"].endswith("is missing; no time is left for another try")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((0, '[{"short_id": "old", "time": "2026-11-24T00:08:20Z"}]'), "the newest snapshot is old of 2026-11-24"),
        ((0, "[]"), f"no snapshot has the tag {STACK}"),
        ((0, "[1]"), "Nobody can say whether the newest snapshot is this backup's"),
        ((0, "words"), "Nobody can say"),
        ((1, "no password"), "Nobody can say .* returned 1: no password"),
        ((0, '[{"short_id": "new", "time": "2026-11-25T00:08:21.5Z"}, {"id": "a", "time": "2026-11-24T00:08:20Z"}]'),
         None),
    ],
)  # fmt: skip
def test_a_listing_of_paths_alone_passes_only_with_a_snapshot_made_since(
    answer: tuple[int, str], said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene: Any = Scene(monkeypatch, (0, "", HELD))
    monkeypatch.setattr(backup, "list_snapshot", lambda *_: ({}, HELD))
    monkeypatch.setattr(backup, "backup_service", lambda client: "bot")
    scene.exec = lambda container, argv, **_: ExecResult(answer[0], answer[1].encode(), b"")
    if said:
        with pytest.raises(BackupTrouble, match=said):
            backed_up(scene)
    else:
        assert backed_up(scene)[0]["backup.snapshot"]["observed"].startswith("snapshot new, ")


def test_a_backup_that_does_not_end_names_the_hook_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_: Any, **__: Any) -> Done:
        raise AbraTimeout("`abra app backup create` did not end within 100 s; last said: nothing")

    scene = Scene(monkeypatch)
    monkeypatch.setattr(backup, "abra", hangs)
    monkeypatch.setattr(hooks, "hanging", lambda client, stack, known: known)
    snapshot = backed_up(scene)[0]["backup.snapshot"]
    assert (snapshot["outcome"], snapshot["failure_id"], snapshot["service"]) == ("fail", "interactive-hang", "db")
    assert snapshot["observed"] == "the hook `/dump.sh` of service db did not end within 100 s (timeouts.backup)"
    assert "`abra app backup create` did not end" in snapshot["evidence"]
    monkeypatch.setattr(hooks, "hanging", lambda client, stack, known: [])
    assert backed_up(scene)[0]["backup.snapshot"]["outcome"] == "error", "no hook hangs: the backup service does"


def test_the_survey_says_what_is_missing_and_warns() -> None:
    answer = Answer()
    warned = survey([a_service("db", {}), a_service("app", {"backupbot.backup": "true"})], STACK)
    assert survey_result(warned, answer)
    assert answer.results[0]["outcome"] == "pass"
    assert "warning: db is a database: its files are copied while it runs" in answer.results[0]["observed"]
    assert [row["service"] for row in answer.facts["backup_survey"]] == ["app", "db"]
    assert not survey_result(Survey((), warned.rows, ()), answer)
    assert (answer.results[1]["failure_id"], answer.results[1]["outcome"]) == ("empty-backup", "fail")


class Running:
    """Two containers; in that of `db` a hook and a healthcheck run."""

    def containers(self, stack: str, all: bool) -> list[dict[str, Any]]:
        label = "com.docker.swarm.service.name"
        return [{"Id": name, "Labels": {label: f"{stack}_{name}"}} for name in ("app", "db")]

    def get(self, path: str) -> dict[str, Any]:
        words = {"hook": ["-c", "set -o pipefail;/dump.sh all"], "check": ["-c", "pg_isready"], "done": ["-c", "/tidy"]}
        if path.startswith("/containers/"):
            return {"ExecIDs": list(words) if "/db/" in path else None}
        id = path.split("/")[2]
        return {"Running": id != "done", "ProcessConfig": {"entrypoint": "sh", "arguments": words[id]}}


def test_the_hooks_that_still_run_are_found_among_the_containers_commands() -> None:
    known = [hooks.Hook("db", "pre", "/dump.sh all"), hooks.Hook("db", "post", "/tidy"),
             hooks.Hook("app", "pre", "/dump.sh all")]  # fmt: skip
    client: Any = Running()
    assert hooks.hanging(client, STACK, known) == [known[0]]


@pytest.mark.parametrize(
    ("rc", "output", "judged", "outcome", "failure_id"),
    [
        (0, "restore finished", "db", "pass", None),
        (1, "the hook `/r.sh` of service db ended with 1", "db", "pass", None),
        (1, "the hook `/r.sh` of service db ended with 1", "", "fail", "restore-failed"),
        (1, "something nobody has seen", "db", "pass", None),
        (1, "something nobody has seen", "", "fail", None),
        (1, "the hook `/r.sh` of service db did not end within 240 s and was killed", "db", "fail", "interactive-hang"),
        (1, "restic restore ended with 1: repository is locked", "db", "error", None),
    ],
)
def test_a_restore_is_judged_by_its_marker_not_by_its_code(
    rc: int, output: str, judged: str, outcome: str, failure_id: str | None
) -> None:
    answer = Answer()
    restore.report(rc, "words" if rc else "", output, judged, answer)
    assert (answer.results[0]["outcome"], answer.results[0].get("failure_id")) == (outcome, failure_id)
    assert answer.results[0]["observed"].startswith(f"return code {rc}")


BROKE_OFF = (
    "restore failed: the hook `gunzip -c d\n | import` of service worker ended with 3: no such table\nFATA failed"
)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (BROKE_OFF, "of service worker ended with 3: no such table"),
        (f"the hook `/r.sh` of service app ended with 1: x\n{BROKE_OFF}", "of service worker ended with 3"),
        ("service worker has no running container for the hook `/r.sh`", "has no running container"),
    ],
)
def test_a_hook_that_failed_beside_the_markers_service_lost_what_nobody_else_looks_at(output: str, said: str) -> None:
    answer = Answer()
    restore.report(1, "exit status 1", output, restore.judged_service({"kind": "file"}), answer)
    (run,) = answer.results
    assert (run["outcome"], run["failure_id"], run["service"]) == ("fail", "restore-failed", "worker")
    assert run["observed"].startswith("return code 1: exit status 1; ")
    assert said in run["observed"]


def test_no_output_of_a_hook_keeps_the_restore_busy() -> None:
    noise = "of service service the hook ` has no running "
    began = time.process_time()
    assert restore.broken(noise * 20_000 + BROKE_OFF).keys() == {"worker"}
    assert time.process_time() - began < 3.0


@pytest.mark.parametrize(
    ("output", "room", "outcome", "failure_id", "told"),
    [
        (HOOK_FULL, NODE_FULL, "error", "disk-full", "the node's disk is full"),
        (HOOK_FULL, OWN_FULL, "fail", "disk-full", "a size of its own, /data"),
        (HOOK_FULL, NONE_FULL, "pass", None, "it says itself that no space is left"),  # the marker tells
        (RESTIC_FULL, OWN_FULL, "fail", "disk-full", "a size of its own, /data"),
        (RESTIC_FULL, NONE_FULL, "error", None, "it says itself"),
    ],
)
def test_a_restore_without_room_is_judged_by_what_is_full(
    output: str, room: Room, outcome: str, failure_id: str | None, told: str
) -> None:
    answer = Answer()
    restore.report(1, "words", output, "db", answer, room)
    (run,) = answer.results
    assert (run["outcome"], run.get("failure_id")) == (outcome, failure_id)
    assert told in run["observed"]


def test_a_restore_that_does_not_end_names_the_hook_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_: Any, **__: Any) -> Done:
        raise AbraTimeout("`abra app restore` did not end within 9 s; last said: nothing")

    class Node:
        def services(self, stack: str) -> list[dict[str, Any]]:
            return [a_service("db", {"backupbot.restore.post-hook": "/r.sh", "backupbot.backup.pre-hook": "/d.sh"})]

    monkeypatch.setattr(restore, "abra", hangs)
    monkeypatch.setattr(hooks, "hanging", lambda client, stack, known: known)
    node, answer = Node(), Answer()
    restore.restore(node, {"stack": STACK, "domain": "a.ci.test"}, {"kind": "none"}, 9, answer)  # type: ignore[arg-type]
    (run,) = answer.results
    assert (run["id"], run["outcome"], run["failure_id"]) == ("restore.run", "fail", "interactive-hang")
    assert run["observed"] == "the hook `/r.sh` of service db did not end within 9 s (timeouts.backup)"


@pytest.mark.parametrize(
    ("left", "kind", "failure_id"),
    [
        ({"restore": {"rc": 0, "hooks": 1}, "backup": {"whole": True}}, "postgres", "silent-restore"),
        ({"restore": {"rc": 0, "hooks": 0}, "backup": {"whole": True}}, "file", "silent-restore"),
        ({"restore": {"rc": 0, "hooks": 0}, "backup": {"whole": True}}, "postgres", "empty-backup"),
        ({"restore": {"rc": 0, "hooks": 1}, "backup": {"whole": False}}, "mysql", "empty-backup"),
        ({"restore": {"rc": 1, "hooks": 1}, "backup": {"whole": True}}, "postgres", "restore-failed"),
        ({}, "file", None),
    ],
)
def test_why_a_marker_is_not_back(left: dict[str, Any], kind: str, failure_id: str | None) -> None:
    assert restore.lost_why(left, {"kind": kind}) == failure_id
    assert failure_id is None or restore.HINTS[failure_id]


class Engine:
    """Docker's answers about one service, one after the other; the last one stays."""

    def __init__(self, *moments: tuple[str, str, str]) -> None:
        self.moments = list(moments)  # (task's state, container's id, container's status)

    def services(self, stack: str) -> list[dict[str, Any]]:
        return [{"ID": "s1", "Spec": {"Name": f"{stack}_db"}}]

    def tasks(self, stack: str) -> list[dict[str, Any]]:
        return [{"ServiceID": "s1", "DesiredState": "running", "Status": {"State": self.moments[0][0]}}]

    def containers(self, stack: str, all: bool) -> list[dict[str, Any]]:
        # Looked at twice a round, the second time last.
        _, id, status = self.moments[0]
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls % 2 == 0 and len(self.moments) > 1:
            self.moments.pop(0)
        return [{"Id": id, "Names": [f"/{stack}_db.1"], "Status": status}] if id else []

    def get(self, path: str, **query: Any) -> list[Any]:
        return []


def test_a_stack_settles_when_two_looks_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccci_host.backup.LOOK_EVERY", 0.0)
    engine: Any = Engine(
        ("running", "old", "Up 9 minutes (unhealthy)"),
        ("preparing", "", ""),
        ("running", "new", "Up 1 second (health: starting)"),
        ("running", "new", "Up 4 seconds (healthy)"),
    )
    assert settle(engine, "a", float("inf")) == {"new": "a_db.1"}
    assert len(engine.moments) == 1


def test_a_stack_that_does_not_settle_is_told_in_words() -> None:
    engine: Any = Engine(("starting", "", ""))
    with pytest.raises(NotSettled, match="the stack did not settle: db is starting"):
        settle(engine, "a", 0.0)


def test_without_a_backup_service_the_next_step_is_named() -> None:
    engine: Any = Engine(("running", "c", ""))
    with pytest.raises(BackupTrouble, match=r"coop-cloud\.backupbot\.enabled=true; run `ccci bootstrap`"):
        backup_service(engine)
