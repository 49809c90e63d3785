"""The marker's words, its retries, and the store that needs no container."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ccci_host import full_disk, marker
from ccci_host.answer import Answer
from ccci_host.docker import ExecResult
from ccci_host.docker_errors import DockerError, NoContainer, NoService
from ccci_host.full_disk import Room
from ccci_host.marker_stores import Misplaced, MysqlStore, PostgresStore, Refused, SqliteStore, StoreError, open_store
from ccci_host.snapshot import MIB, Disk

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="the store confines itself with chroot, which only root may do")


class OneContainer:
    """The two answers of Docker that a store on the node's file system needs."""

    def __init__(self, volume: Path) -> None:
        self.mounts = [{"Type": "volume", "Source": str(volume), "Destination": "/data"},
                       {"Type": "bind", "Source": "/etc", "Destination": "/data/etc"}]  # fmt: skip

    def get(self, path: str, **query: Any) -> Any:
        return [{"Id": "c1", "Created": 1}] if path == "/containers/json" else {"Mounts": self.mounts}


@pytest.fixture
def scope(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "node").mkdir()
    return {"stack": "t_ci_test", "node_dir": str(tmp_path / "node")}


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    folder.mkdir()
    sqlite3.connect(folder / "app.db").execute("CREATE TABLE users (name TEXT)").connection.close()
    return folder


SQLITE = {"kind": "sqlite", "service": "app", "path": "/data/app.db"}


@as_root
def test_the_life_of_a_row(scope: dict[str, str], volume: Path) -> None:
    client: Any = OneContainer(volume)
    assert marker.check(client, scope, SQLITE)[2] == "no marker was written in this run"
    assert marker.seed(client, scope, SQLITE).ok
    assert marker.check(client, scope, SQLITE)[0]
    saved = (volume / "app.db").read_bytes()
    assert marker.mutate(client, scope, SQLITE).ok
    assert marker.check(client, scope, SQLITE)[2] == "a value written after the backup (2 times)"  # nothing restored
    (volume / "app.db").write_bytes(saved)
    assert marker.check(client, scope, SQLITE)[0]
    assert marker.write_ready(client, scope, SQLITE).ok
    assert not marker.check(client, scope, SQLITE)[0]


@as_root
def test_a_restore_that_merges_is_found_out(scope: dict[str, str], volume: Path) -> None:
    client: Any = OneContainer(volume)
    marker.seed(client, scope, SQLITE)
    store = open_store(client, "t_ci_test", SQLITE)
    seeded = store.read()
    assert seeded
    marker.mutate(client, scope, SQLITE)
    store.write([*seeded, *(store.read() or [])])
    verdict = marker.compare(client, scope, SQLITE)
    assert not verdict.ok
    assert "the seeded value" in verdict.observed
    assert "a value written after the backup (2 times)" in verdict.observed


@as_root
def test_a_table_or_a_database_that_is_gone_is_nothing(scope: dict[str, str], volume: Path) -> None:
    client: Any = OneContainer(volume)
    assert SqliteStore(client, "t", SQLITE).read() is None
    marker.seed(client, scope, SQLITE)
    (volume / "app.db").unlink()
    assert marker.check(client, scope, SQLITE)[2] == "nothing: it does not exist"
    assert not (volume / "app.db").exists()


@as_root
def test_a_link_out_of_the_volume_leads_nowhere(volume: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.db"
    sqlite3.connect(outside).execute("CREATE TABLE users (name TEXT)").connection.close()
    before = outside.read_bytes()
    (volume / "link.db").symlink_to(outside)
    client: Any = OneContainer(volume)
    store = SqliteStore(client, "t", {**SQLITE, "path": "/data/link.db"})
    with pytest.raises(Misplaced, match="no database"):
        store.write(["aa"])
    assert outside.read_bytes() == before


@as_root
def test_a_file_that_is_no_database_is_an_error_with_its_words(volume: Path) -> None:
    (volume / "app.db").write_text("not a database, but long enough to look like something" * 20)
    client: Any = OneContainer(volume)
    with pytest.raises(StoreError, match="file is not a database"):
        SqliteStore(client, "t", SQLITE).read()


def test_a_path_outside_of_every_volume_names_the_volumes(volume: Path) -> None:
    client: Any = OneContainer(volume)
    with pytest.raises(Misplaced, match=r"/srv/x is in no volume of service app; its volumes are mounted at: /data"):
        SqliteStore(client, "t", {**SQLITE, "path": "/srv/x"}).read()


def test_an_unknown_kind_names_the_known_ones() -> None:
    client: Any = None
    with pytest.raises(Misplaced, match=r"'api'.*file, postgres, mysql, sqlite"):
        open_store(client, "t", {"kind": "api"})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "nothing: it does not exist"),
        ([], "nothing: it is empty"),
        (["a"], "the seeded value"),
        (["a", "a"], "the seeded value (2 times)"),
        (["a", "x"], "the seeded value and a value that this run did not write"),
    ],
)
def test_words_hold_no_values(found: list[str] | None, words: str) -> None:
    assert marker.describe(found, {"a": "the seeded value"}) == words


def test_retries_keep_each_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marker, "PAUSE", 0.01)
    answers: list[Exception | str] = [
        StoreError("starting up"),
        NoContainer("no task"),
        DockerError(409, "paused"),
        "done",
    ]

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    tried = marker.Tried(5)
    assert tried.run(ask) == "done"
    assert [text.partition(": ")[2] for text in tried.words] == ["starting up", "no task", "paused"]


def test_what_docker_refuses_is_not_tried_again() -> None:
    def ask() -> None:
        raise DockerError(403, "read-only volume")

    tried = marker.Tried(5)
    with pytest.raises(DockerError):
        tried.run(ask)
    assert not tried.words


@pytest.mark.parametrize("status", [404, 409, 500, 0])
def test_a_container_that_was_replaced_and_a_broken_daemon_are_asked_again(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(marker, "PAUSE", 0.01)
    answers: list[Exception] = [DockerError(status, "No such container: c1")]

    def ask() -> str:
        if answers:
            raise answers.pop()
        return "done"

    assert marker.Tried(5).run(ask) == "done"


class Broken:
    """A store whose writes fail in given ways first."""

    where = "table ccci_marker of database app in service db"

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.values = list(errors), [""]

    def write(self, values: list[str]) -> None:
        if self.errors:
            raise self.errors.pop(0) if len(self.errors) > 1 else self.errors[0]
        self.values = values

    def read(self) -> list[str]:
        return self.values


LOST = StoreError("the database's client ended with 2: connection to server failed")
FULL = StoreError("the database's client ended with 1: ERROR: 53100: No space left on device")


@pytest.mark.parametrize(
    ("errors", "name", "tries"),
    [
        ([LOST, NoContainer("no running container"), LOST], "health-before-write", 3),
        ([Refused("ERROR: 42501: permission denied")], None, 0),
        ([LOST, Refused("ERROR: 42501: permission denied")], None, 1),
        ([NoService("The stack t has no service 'db'; it has: app, postgres")], "wrong-service", 0),
    ],
)
def test_a_write_that_never_gets_ready_has_a_name(
    monkeypatch: pytest.MonkeyPatch, errors: list[Exception], name: str | None, tries: int
) -> None:
    monkeypatch.setattr(marker, "PAUSE", 0.05)
    monkeypatch.setattr(marker, "open_store", lambda *_: Broken(*errors))
    client: Any = None
    verdict = marker.write_ready(client, {"stack": "t"}, {}, limit=0.2)
    assert (verdict.ok, verdict.failure_id) == (False, name)
    assert len(verdict.tries) == tries, verdict.tries
    answer = Answer()
    marker.report(answer, "restore.write_ready", verdict, unlike="fail")
    assert (answer.results[0]["outcome"], answer.results[0].get("failure_id")) == ("fail", name)


@pytest.mark.parametrize(("free", "outcome", "told"), [(0, "error", "disk is full: /d"), (9000, "fail", "says itself")])
@pytest.mark.parametrize("step", [marker.seed, marker.write_ready])
def test_a_write_without_room_is_the_nodes_fault_only_if_its_disk_is_full(
    monkeypatch: pytest.MonkeyPatch, step: Any, free: int, outcome: str, told: str
) -> None:
    monkeypatch.setattr(marker, "RETRY_FOR", 0.0)
    monkeypatch.setattr(marker, "open_store", lambda *_: Broken(FULL))
    room = Room(Disk("/d", free * MIB, 40_000 * MIB, 1_000))
    monkeypatch.setattr(full_disk, "look", lambda client, stack, said: room if "No space" in said else None)
    client: Any = None
    limit = {"limit": 0.0} if step is marker.write_ready else {}
    verdict, answer = step(client, {"stack": "t"}, {}, **limit), Answer()
    for unlike in ("fail", "error"):
        marker.report(answer, "restore.write_ready", verdict, unlike=unlike)
    assert [(one["outcome"], one["failure_id"]) for one in answer.results] == [(outcome, "disk-full")] * 2
    assert told in answer.results[0]["observed"]


def test_a_write_that_works_again_tells_each_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marker, "PAUSE", 0.01)
    store = Broken(LOST, LOST)
    monkeypatch.setattr(marker, "open_store", lambda *_: store)

    def heal(values: list[str]) -> None:
        if store.errors:
            raise store.errors.pop()
        store.values = values

    store.write = heal  # type: ignore[method-assign]
    client: Any = None
    verdict = marker.write_ready(client, {"stack": "t"}, {}, limit=5)
    assert (verdict.ok, verdict.observed, verdict.failure_id) == (True, "written and read back at try 3", None)
    assert verdict.evidence is not None
    assert "2 times: the database's client ended with 2" in verdict.evidence


@pytest.mark.parametrize(
    ("store", "words", "refused"),
    [
        (PostgresStore, "ERROR:  42501: permission denied for schema public\nLOCATION:  aclcheck_error", True),
        (PostgresStore, "psql: error: connection to server failed: FATAL:  the database system is starting up", False),
        (PostgresStore, 'psql: error: FATAL:  database "app" does not exist', False),
        (MysqlStore, "ERROR 1142 (42000) at line 1: DROP command denied to user 'app'", True),
        (MysqlStore, "ERROR 2002 (HY000): Can't connect to local server through socket", False),
        (MysqlStore, "ERROR 1045 (28000): Access denied for user 'app'@'localhost'", False),
    ],
)
def test_what_a_database_refuses_and_what_it_is_not_ready_for(
    store: type[PostgresStore | MysqlStore], words: str, refused: bool
) -> None:
    class Client:
        def get(self, path: str, **query: Any) -> Any:
            return [{"Id": "c1", "Created": 1}]

        def exec(self, *_: Any, **__: Any) -> ExecResult:
            return ExecResult(1, b"", words.encode())

    client: Any = Client()
    with pytest.raises(StoreError) as error:
        store(client, "t", {"service": "db", "database": "app", "user": "app"}).write(["aa"])
    assert isinstance(error.value, Refused) is refused


def test_retries_end() -> None:
    def ask() -> None:
        raise StoreError("starting up")

    tried = marker.Tried(0.5)
    with pytest.raises(StoreError):
        tried.run(ask)
    assert tried.words == ("after 0.0 s: starting up",)


def test_equal_failures_are_one_line() -> None:
    tried = marker.Tried(5, [(0.0, "no task"), (1.0, "starting up"), (2.04, "starting up"), (3.0, "no task")])
    assert tried.words == (
        "after 0.0 s: no task",
        "after 1.0 s to 2.0 s, 2 times: starting up",
        "after 3.0 s: no task",
    )
