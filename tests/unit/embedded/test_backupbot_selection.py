"""Which paths the embedded backup service takes, by labels alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "embedded" / "backupbot"))

from engine import Service  # type: ignore[import-not-found]
from selection import SelectionError, enabled, paths  # type: ignore[import-not-found]

ROOT = "/var/lib/docker/volumes/a_ci_test"


def service(name: str = "app", volumes: tuple[str, ...] = ("files",), **labels: str) -> Service:
    own = {f"backupbot.backup{key}": value for key, value in labels.items()}
    return Service("a_ci_test", name, own, tuple(f"a_ci_test_{volume}" for volume in volumes))


def labelled(labels: dict[str, str], *volumes: str) -> Service:
    return Service("a_ci_test", "app", labels, tuple(f"a_ci_test_{volume}" for volume in volumes))


@pytest.mark.parametrize(("value", "on"), [("true", True), ("True", True), ("1", True), ("false", False), ("", False)])
def test_the_switch(value: str, on: bool) -> None:
    assert enabled([labelled({"backupbot.backup": value})]) is on


def test_every_volume_of_the_stack_by_default() -> None:
    both = [labelled({"backupbot.backup": "true"}, "files"), service("db", ("data", "files"))]
    assert paths(both) == [f"{ROOT}_data/_data", f"{ROOT}_files/_data"]


def test_volumes_of_others_are_not_ours() -> None:
    assert paths([Service("a_ci_test", "app", {}, ("a_ci_test_files", "certificates"))]) == [f"{ROOT}_files/_data"]


def test_a_service_that_is_just_being_replaced_is_missed() -> None:
    gone = Service("a_ci_test", "db", {}, ("a_ci_test_data", "a_ci_test_files"), running=False)
    label = {"backupbot.backup": "true", "backupbot.backup.volumes.data.path": "backup.sql"}
    assert paths([labelled(label, "files"), gone]) == [f"{ROOT}_files/_data"]


def test_left_out_and_in_part() -> None:
    labels = {"backupbot.backup.volumes.cache": "false", "backupbot.backup.volumes.db.path": "backup.sql, conf/"}
    assert paths([labelled(labels, "cache", "db")]) == [f"{ROOT}_db/_data/backup.sql", f"{ROOT}_db/_data/conf"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../other/_data", "a/../../b"])
def test_a_path_out_of_the_volume_is_refused(path: str) -> None:
    with pytest.raises(SelectionError, match="not a path inside the volume"):
        paths([labelled({"backupbot.backup.volumes.db.path": path}, "db")])


def test_a_label_for_a_volume_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(SelectionError, match="there is no volume date; there is: data, files"):
        paths([labelled({"backupbot.backup.volumes.date": "false"}, "data", "files")])
