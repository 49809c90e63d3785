"""Which of the backup service's programs a cleaning ends. The service itself is in test_backupbot_service.py."""

from __future__ import annotations

from typing import Any

import pytest

from ccci_host import backup_snapshots, processes

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
