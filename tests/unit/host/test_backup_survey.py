"""What a backup will hold, and what a snapshot lacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ccci_host.backup_survey import (
    Entry,
    Wanted,
    dumps_beside,
    lacking,
    parse_listing,
    survey,
    wanted_by_marker,
    wanted_by_recipe,
)

STACK = "note-c12afe_ci_test"
ROOT = f"/var/lib/docker/volumes/{STACK}"
RECORDED = Path(__file__).parent / "recorded"


def service(
    name: str, labels: dict[str, str] | None = None, image: str = "nginx:1", replicas: int = 1, **volumes: str
) -> dict[str, Any]:
    """As GET /services gives it; `volumes` maps a volume's short name to its target."""
    mounts = [{"Type": "volume", "Source": f"{STACK}_{key}", "Target": target} for key, target in volumes.items()]
    mounts.append({"Type": "bind", "Source": "/etc/localtime", "Target": "/etc/localtime"})
    return {
        "Spec": {
            "Name": f"{STACK}_{name}",
            "Labels": labels or {},
            "Mode": {"Replicated": {"Replicas": replicas}},
            "TaskTemplate": {"ContainerSpec": {"Image": f"{image}@sha256:aa", "Mounts": mounts}},
        }
    }


DATABASE = service(
    "db",
    {"backupbot.backup.pre-hook": "/pg_backup.sh backup", "backupbot.backup.volumes.postgres.path": "backup.sql"},
    image="postgres:15",
    postgres="/var/lib/postgresql/data",
)


def test_a_web_application_with_a_dumped_database() -> None:
    found = survey([DATABASE, service("app", {"backupbot.backup": "true"}, files="/files")], STACK)
    assert found.switched_on == ("app",)
    assert found.lines == [
        "app: volume files: hot",
        "db: volume postgres: dump by hook, only backup.sql; `/pg_backup.sh backup` runs before",
    ]
    assert [item.path for item in found.wanted] == [f"/{STACK}_files/_data", f"/{STACK}_postgres/_data/backup.sql"]
    assert [item.dump_of for item in found.wanted] == ["", f"{STACK}_postgres"]
    assert found.warnings == []
    assert found.rows[1].to_json() == {
        "service": "db", "hook": "/pg_backup.sh backup", "warning": "",
        "volumes": [{"volume": "postgres", "how": "dump by hook", "paths": ["backup.sql"]}],
    }  # fmt: skip


@pytest.mark.parametrize("value", ["", "false", "False ", "0", "no"])
def test_a_switch_that_is_off(value: str) -> None:
    assert survey([service("app", {"backupbot.backup": value}, files="/files")], STACK).switched_on == ()


def test_a_label_on_one_service_leaves_out_the_volume_of_another() -> None:
    labels = {"backupbot.backup": "true", "backupbot.backup.volumes.cache": "false"}
    found = survey([service("app", labels, files="/files"), service("redis", cache="/data")], STACK)
    assert found.lines[1] == "redis: volume cache: left out"
    assert [item.path for item in found.wanted] == [f"/{STACK}_files/_data"]


APP = service("app", {"backupbot.backup": "true"}, files="/files")


@pytest.mark.parametrize(
    ("labels", "warning"),
    [
        ({}, "db is a database: its files are copied while it runs, and nothing dumps it"),
        ({"backupbot.backup.volumes.data.path": "base"},
         "db is a database: its files are copied while it runs, and nothing dumps it"),
        ({"backupbot.backup.volumes.data": "false"}, "db is a database: no backup holds its data"),
        ({"backupbot.backup.pre-hook": "/dump.sh"}, ""),
    ],
)  # fmt: skip
def test_a_database_that_nothing_dumps_is_warned_of(labels: dict[str, str], warning: str) -> None:
    found = survey([service("db", labels, image="mariadb:10", data="/var/lib/mysql"), APP], STACK)
    assert found.warnings == ([warning] if warning else [])
    assert (f"warning: {warning}" in found.lines) == bool(warning)


@pytest.mark.parametrize(
    ("hook", "warned"),
    [("mysqldump -h x >/files/a.sql", False), ("/dump.sh db", False), ("/backup.sh", True), ("/dump.sh dbx", True)],
)
def test_a_hook_of_another_service_may_dump_the_database(hook: str, warned: bool) -> None:
    app = service("app", {"backupbot.backup": "true", "backupbot.backup.pre-hook": hook}, files="/files")
    found = survey([service("db", image="mysql:8", data="/var/lib/mysql"), app], STACK)
    assert [text.endswith(f"unless `{hook}` of app does") for text in found.warnings] == ([True] if warned else [])


@pytest.mark.parametrize("image", ["prometheuscommunity/postgres-exporter:1", "nginx:1", "phpmyadmin/mysql-admin:5"])
def test_what_only_sounds_like_a_database_is_none(image: str) -> None:
    assert survey([service("x", image=image, data="/data"), APP], STACK).warnings == []


def test_without_the_switch_no_volume_is_backed_up() -> None:
    found = survey([service("db", image="postgres:15", data="/data")], STACK)
    assert found.rows[0].volumes == (("data", "not labelled", ()),)
    assert found.warnings == ["db is a database: no backup holds its data"]


def test_a_service_scaled_to_nothing_owes_nothing() -> None:
    assert survey([service("job", {"backupbot.backup": "true"}, replicas=0, files="/files")], STACK).wanted == ()


@pytest.mark.parametrize(("again", "running", "owes"), [("none", 0, False), ("none", 1, True), ("any", 0, True)])
def test_a_service_that_has_done_its_work_owes_nothing(again: str, running: int, owes: bool) -> None:
    job = {**service("job", {"backupbot.backup": "true"}, files="/files"), "ServiceStatus": {"RunningTasks": running}}
    job["Spec"]["TaskTemplate"]["RestartPolicy"] = {"Condition": again}
    assert bool(survey([job], STACK).wanted) is owes


def test_the_file_of_a_marker_may_be_inside_what_a_hook_packs() -> None:
    labels = {
        "backupbot.backup.volumes.files.path": "dump.tgz",
        "backupbot.backup.pre-hook": "tar -czf /files/dump.tgz",
    }
    marker = {"kind": "file", "service": "app", "path": "/files/.ccci-marker"}
    assert wanted_by_marker([service("app", labels, files="/files")], STACK, marker) == []
    left_out = {**labels, "backupbot.backup.volumes.files": "false"}
    assert wanted_by_marker([service("app", left_out, files="/files")], STACK, marker)[0].hopeless


def test_an_old_path_outside_of_every_volume_is_hopeless() -> None:
    labels = {"backupbot.backup": "true", "backupbot.backup.path": "/files/uploads,/etc/app.conf"}
    found = survey([service("app", labels, files="/files")], STACK)
    by_path = {item.path: item.hopeless for item in found.wanted}
    assert by_path[f"/{STACK}_files/_data/uploads"] == ""
    assert "in no volume of app" in by_path["/etc/app.conf"]


def test_the_file_of_a_marker_in_a_volume_that_is_left_out_is_hopeless() -> None:
    app = service("app", {"backupbot.backup.volumes.files": "false"}, files="/files")
    marker = {"kind": "file", "service": "app", "path": "/files/.ccci-marker"}
    assert wanted_by_marker([app], STACK, marker) == [
        Wanted(f"/{STACK}_files/_data/.ccci-marker", "the marker", "app",
               "the label backupbot.backup.volumes.files leaves the volume out")
    ]  # fmt: skip


def test_the_file_of_a_marker_beside_the_named_paths_is_hopeless() -> None:
    app = service("app", {"backupbot.backup.volumes.files.path": "uploads, themes"}, files="/files")
    inside = {"kind": "file", "service": "app", "path": "/files/uploads/.ccci-marker"}
    beside = {"kind": "file", "service": "app", "path": "/files/.ccci-marker"}
    assert wanted_by_marker([app], STACK, inside)[0].hopeless == ""
    assert "names only uploads, themes" in wanted_by_marker([app], STACK, beside)[0].hopeless


def test_a_row_is_wanted_through_the_dump_alone() -> None:
    assert wanted_by_marker([DATABASE], STACK, {"kind": "postgres", "service": "db"}) == []


def test_paths_of_the_recipe() -> None:
    paths = [item.path for item in wanted_by_recipe(["mysql/backup.sql.gz", "/secrets", "files"], STACK)]
    assert paths == [f"/{STACK}_mysql/_data/backup.sql.gz", "/secrets", f"/{STACK}_files/_data"]


def test_what_a_snapshot_lacks() -> None:
    held = [Entry(f"{ROOT}_files/_data"), Entry(f"{ROOT}_pg/_data/backup.sql", 0)]
    wanted = wanted_by_recipe(["files", "pg/backup.sql", "pg/backup"], STACK)
    assert [item.path for item in lacking(wanted, held)] == [f"/{STACK}_pg/_data/backup"]


def test_dumps_that_no_label_names_are_looked_for_beside_a_hook_alone() -> None:
    dumping = service("db", {"backupbot.backup.pre-hook": "/dump.sh"}, data="/data")
    held = [
        Entry(f"{ROOT}_data/_data/backup.sql", 10),
        Entry(f"{ROOT}_data/_data/dumps/a.sql.gz", 10),
        Entry(f"{ROOT}_data/_data/plugin/examples/schema.sql", 0),
        Entry(f"{ROOT}_data/_data/ibdata1", 10),
        Entry(f"{ROOT}_files/_data/schema.sql", 0),
        Entry(f"{ROOT}_data/_data/folder.sql"),
    ]
    found = survey([dumping, APP], STACK)
    assert dumps_beside(found, STACK, held, set()) == held[:2]
    assert dumps_beside(found, STACK, held, {held[0].path}) == [held[1]]


def test_a_listing_of_the_embedded_service() -> None:
    snapshot, entries = parse_listing((RECORDED / "backup-ls.restic-0.14.0.json").read_text())
    assert snapshot["id"] == "3279b2f2"
    assert Entry("/var/lib/docker/volumes/d-notes_postgres/_data/backup.sql", 1836) in entries
    assert Entry("/var/lib/docker/volumes/d-notes_files/_data") in entries


def test_a_listing_of_plain_paths() -> None:
    text = "INFO Found 2 files\n2024-11-02T10:00:00\t/var/lib/docker/volumes/a_b/_data/x y.sql\n/secrets\n"
    assert parse_listing(text) == ({}, [Entry("/var/lib/docker/volumes/a_b/_data/x y.sql"), Entry("/secrets")])


def test_a_listing_that_is_broken_json_is_an_error() -> None:
    with pytest.raises(json.JSONDecodeError):
        parse_listing('{"snapshot": ')
