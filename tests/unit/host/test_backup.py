"""What a backup's tries come to: which outcome, whose fault, and which failure of the catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from ccci_host.answer import Answer
from ccci_host.backup import BackupTrouble, NotSettled, Outcome, backup_service, report, settle
from ccci_host.backup_survey import Entry, Wanted

DUMP = Wanted("/a_ci_test_db/_data/backup.sql", "named by a label, volume db of db", "db")
HELD = [Entry("/var/lib/docker/volumes/a_ci_test_db/_data/backup.sql", 1200)]
SNAPSHOT = {"id": "3279b2f2", "time": "2026-11-25T00:08:20Z"}


def results(outcome: Outcome) -> dict[str, dict[str, Any]]:
    answer = Answer()
    report(outcome, [DUMP], answer)
    return {one["id"]: one for one in answer.results}


def test_a_snapshot_that_holds_everything() -> None:
    found = results(Outcome(snapshot=SNAPSHOT, held=HELD))
    assert {name: one["outcome"] for name, one in found.items()} == {"backup.snapshot": "pass", "backup.paths": "pass"}
    assert found["backup.snapshot"]["observed"] == "snapshot 3279b2f2, 1 entries, 1200 bytes in files"
    assert "failure_id" not in found["backup.paths"]


@pytest.mark.parametrize(
    ("output", "outcome"),
    [
        (
            "backup create failed: the hook `pg_dump` of service db ended with 1: connection refused\nFATA failed",
            "fail",
        ),
        ("backup create failed: no service of a_ci_test has the label", "fail"),
        ("FATA no backupbot discovered, is it deployed?", "error"),
        ("backup create failed: restic backup ended with 1: Fatal: unable to open", "error"),
        ("pg_dump: could not write: No space left on device", "error"),
    ],
)
def test_whose_fault_a_failed_backup_is(output: str, outcome: str) -> None:
    found = results(Outcome(rc=1, words="the command failed", output=output))
    assert found["backup.snapshot"]["outcome"] == outcome
    assert output in found["backup.snapshot"]["evidence"]
    assert "backup.paths" not in found


def test_a_path_that_stays_away_while_containers_are_replaced_is_a_race() -> None:
    tries = ["try 1: not in the snapshot: x; containers were replaced meanwhile"]
    lost = Outcome(snapshot=SNAPSHOT, held=[Entry("/var")], missing=[DUMP], replaced=True, tries=tries)
    paths = results(lost)["backup.paths"]
    assert (paths["outcome"], paths["failure_id"], paths["service"]) == ("fail", "backup-race", "db")
    assert "backup.sql (named by a label, volume db of db) is missing" in paths["observed"]
    found_later = results(Outcome(snapshot=SNAPSHOT, held=HELD, replaced=True, tries=tries))["backup.paths"]
    assert (found_later["outcome"], found_later["failure_id"]) == ("pass", "backup-race")


def test_a_path_that_stays_away_by_itself_is_no_race() -> None:
    paths = results(Outcome(snapshot=SNAPSHOT, held=[Entry("/var")], missing=[DUMP], tries=["try 1", "try 2"]))[
        "backup.paths"
    ]
    assert (paths["outcome"], paths["failure_id"]) == ("fail", "empty-backup")


def test_an_empty_dump_is_named() -> None:
    paths = results(Outcome(snapshot=SNAPSHOT, held=HELD, empty=["backup.sql is empty: 0 bytes"]))["backup.paths"]
    assert (paths["outcome"], paths["observed"]) == ("fail", "backup.sql is empty: 0 bytes")


def test_a_snapshot_of_nothing_fails() -> None:
    assert results(Outcome(snapshot=SNAPSHOT))["backup.paths"]["observed"] == "the snapshot is empty"


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
