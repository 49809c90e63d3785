"""What a cleaning asks of the backup service, and which of its programs it ends. The service itself is in
test_backupbot_service.py."""

from __future__ import annotations

from typing import Any

import pytest

from ccci_host import backup_snapshots, processes, teardown
from ccci_host.docker_exec import ExecResult

STACK = "demo_ci_test"
# pid: (parent, SERVICE, command line)
TABLE = {
    1: (0, "", ["backup.py", "serve"]),
    10: (1, STACK, ["backup.py", "create"]),
    11: (10, STACK, ["restic", "backup", "--tag", STACK]),
    20: (1, STACK, ["backup.py", "forget"]),
    21: (20, STACK, ["restic", "snapshots"]),
    30: (1, "other_ci_test", ["backup.py", "create"]),
}


def test_a_backup_is_ended_but_neither_a_forgetting_nor_anything_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "inside", lambda container: list(TABLE))
    monkeypatch.setattr(processes, "variable", lambda pid, name: TABLE[pid][1] if name == "SERVICE" else "")
    monkeypatch.setattr(processes, "words", lambda pid: TABLE[pid][2])
    parents: dict[int, Any] = {pid: row[0] for pid, row in TABLE.items()}
    monkeypatch.setattr(processes, "_parents", lambda: parents)
    assert backup_snapshots._at_work("c", STACK) == [10, 11]


REFUSED = (
    b"backup forget failed: restic forget ended with 1: unable to create lock in backend: repository is "
    b"already locked exclusively by PID 4711 on f00 by root (UID 0, GID 0)\nlock was created at 2026-11-25 04:36:21 "
    b"(1.1s ago)\nstorage ID 0b5e2a9d\nthe `unlock` command can be used to remove stale locks" + b"." * 200
)


class Service:
    """The backup service: what `forget` comes to, and what restic lists without a lock."""

    def __init__(self, forgetting: ExecResult, listing: ExecResult) -> None:
        self.forgetting, self.listing = forgetting, listing

    def get(self, path: str, **_: Any) -> list[dict[str, Any]]:
        return [{"ID": "s", "Id": "c"}]

    def exec(self, container: str, command: list[str], **_: Any) -> ExecResult:
        return self.forgetting if "forget" in command else self.listing


def test_a_repository_that_another_cleaning_holds_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "inside", lambda container: [])
    refused, none = ExecResult(1, b"", REFUSED), ExecResult(0, b"[]", b"")
    listed = ExecResult(0, b'[{"short_id": "cde89037", "time": "2026-11-25T04:36:21Z"}]', b"")
    client: Any = Service(refused, listed)
    assert backup_snapshots.forget(client, STACK) == ["cde89037"]
    for unsure in (none, ExecResult(1, b"", b"no such file")):
        client = Service(refused, unsure)
        with pytest.raises(backup_snapshots.NotNow):
            backup_snapshots.forget(client, STACK)
    client = Service(ExecResult(2, b"", b"no such verb"), none)
    with pytest.raises(OSError, match="no such verb") as other:
        backup_snapshots.forget(client, STACK)
    assert not isinstance(other.value, backup_snapshots.NotNow)


def test_a_cleaning_asks_until_the_snapshots_are_gone_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    now, busy = [1000.0], backup_snapshots.NotNow("the repository is held by another command")
    answers: list[Any] = [["cde89037"], busy, ["cde89037"], busy, ["cde89037"], []]
    client: Any = None
    scope = {"node_dir": str(tmp_path)}

    def forget(_: Any, stack: str) -> list[str]:
        now[0] += 5
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    monkeypatch.setattr(backup_snapshots, "forget", forget)
    monkeypatch.setattr(teardown.time, "time", lambda: now[0])
    progress = teardown.Progress(unforgotten=[STACK])
    while progress.unforgotten:
        teardown.forget_again(client, scope, progress)
    assert (answers, progress.snapshots_left, progress.notes) == ([], [], [])

    answers[:] = [["cde89037"]] * 100
    progress = teardown.Progress(unforgotten=[STACK])
    while progress.unforgotten:
        teardown.forget_again(client, scope, progress)
    assert progress.snapshots_left == ["cde89037"]
    assert now[0] - progress.asked < teardown.BACKUP_SERVICE_LIMIT + 2 * 5 + 1
