"""Which piece of data a run watches."""

from __future__ import annotations

import pytest

from ccci.plan.markers import choose_marker
from ccci.plan.stack import Mount, Service, Stack

WEB = Service("app", "nginx:1.22", mounts=(Mount("content", "/usr/share/nginx/html"),))
DB = Service(
    "db",
    "127.0.0.1:5000/ccci/postgres:15",
    {"POSTGRES_USER": "notes", "POSTGRES_DB": "pages"},
    {},
    (Mount("data", "/d"),),
)
DUMPED = {"db": {"backupbot.backup": "true", "backupbot.backup.pre-hook": "/dump.sh"}}


def test_a_dumped_database_comes_before_every_file():
    marker = choose_marker(Stack((WEB, DB)), DUMPED)
    assert (marker.kind, dict(marker.fields)) == ("postgres", {"service": "db", "user": "notes", "database": "pages"})


def test_a_database_that_nothing_dumps_comes_after_a_volume_with_files():
    assert choose_marker(Stack((WEB, DB)), {}).kind == "file"
    assert choose_marker(Stack((DB,)), {}).kind == "postgres"


def test_mariadb_uses_its_own_names():
    service = Service("db", "mariadb:11", {"MARIADB_DATABASE": "shop", "MARIADB_USER": "shop"}, {}, (Mount("d", "/d"),))
    assert dict(choose_marker(Stack((service,)), {}).fields) == {"service": "db", "user": "shop", "database": "shop"}


def test_an_exporter_of_a_database_is_no_database():
    exporter = Service("metrics", "quay.io/prometheuscommunity/postgres-exporter:1", mounts=(Mount("m", "/m"),))
    assert choose_marker(Stack((exporter,)), {}).kind == "file"


@pytest.mark.parametrize(
    ("labels", "path"),
    [
        ({"backupbot.backup": "true"}, "/usr/share/nginx/html/.ccci-marker"),
        ({"backupbot.backup.volumes.content.path": "sub"}, "/usr/share/nginx/html/sub/.ccci-marker"),
        ({"backupbot.backup.volumes.content.path": "dump.sql"}, "/usr/share/nginx/html/.ccci-marker"),
        ({"backupbot.backup.path": "/usr/share/nginx/html/deep"}, "/usr/share/nginx/html/deep/.ccci-marker"),
    ],
)
def test_the_file_lies_where_a_backup_looks(labels, path):
    assert choose_marker(Stack((WEB,)), {"app": labels}).fields["path"] == path


def test_a_volume_that_backups_take_is_better_than_one_that_they_leave_out():
    service = Service("app", "x", mounts=(Mount("cache", "/c"), Mount("data", "/d"), Mount("ro", "/r", read_only=True)))
    labels = {"app": {"backupbot.backup": "true", "backupbot.backup.volumes.cache": "false"}}
    assert choose_marker(Stack((service,)), labels).fields["volume"] == "data"


def test_no_volume_no_marker():
    assert choose_marker(Stack((Service("app", "x"),)), {}).kind == "none"


def test_the_recipes_own_marker_wins_and_gets_the_databases_names():
    marker = choose_marker(Stack((WEB, DB)), {}, {"kind": "postgres", "service": "db", "user": "root"})
    assert dict(marker.fields) == {"service": "db", "user": "root", "database": "pages"}
