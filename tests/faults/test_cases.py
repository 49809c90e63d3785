"""The suite itself: every row of the catalogue has a case, and the judge can say no."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import evidence
import hands
import pytest
from cases import CASES
from judge import Case, got, problems
from playing import Played
from stage import SETTINGS, Record, Stage

from ccci.failures.known import known

RED = Case("x", "crash-loop", "A case", exit=1, tier="install", service="app", says="exit code 1",
           evidence=evidence.exits("app", 2))  # fmt: skip


def test_every_failure_id_has_a_case_and_every_case_a_known_id():
    covered = {case.failure_id for case in CASES} | {case.id_wanted for case in CASES if case.exit}
    assert covered - {""} <= set(known())
    # What the platform itself does to a run is injected by `make soak` and by the tests of bootstrap.
    # An update that fails always has a better name here: what its new tasks died of.
    elsewhere = {"node-not-ready", "unreachable", "docker-down", "update-failed"}
    assert set(known()) - covered - elsewhere == set()


# Without a case of their own: no settings at all, and the good run of bench/faults.py.
OTHERS = ("none", "slow-boot")


def test_ids_are_used_once_and_settings_exist():
    assert len({case.id for case in CASES}) == len(CASES)
    used = {case.settings for case in CASES if case.settings}
    there = {path.name for path in SETTINGS.iterdir() if path.name not in OTHERS}
    assert used == there


def test_a_red_case_says_which_service_and_what():
    for case in CASES:
        assert case.act or not case.exit or case.says, case.id


def result(**changes: object) -> Played:
    item = {"id": "install.converged", "outcome": "fail", "failure_id": "crash-loop", "service": "app",
            "observed": "app ended with exit code 1", "cause": None, "evidence": None, **changes}  # fmt: skip
    verdict = "pass" if item["outcome"] == "pass" else "fail"
    tiers = [{"tier": "install", "assertions": [item]}]
    return Played(0 if verdict == "pass" else 1, {"verdict": verdict, "tiers": tiers}, "", "")


def record(verdict_at: float = 30.0) -> Record:
    def died(at: float, container: str, code: str = "1") -> dict[str, object]:
        names = {evidence.SERVICE: "faul_app", "exitCode": code}
        return {"at": at, "Type": "container", "Action": "die", "Actor": {"ID": container, "Attributes": names}}

    play = [{"type": "result", "id": "install.converged", "outcome": "fail", "at": verdict_at}]
    return Record(0.0, "faul", docker=[died(10.0, "a"), died(15.0, "b", "137"), died(20.0, "c")], play=play)


def judged(case: Case = RED, seen: Record | None = None, **changes: object) -> list[str]:
    played, seen = result(**changes), seen or record()
    return problems(case, got(played, seen), played, case.evidence(seen) if case.evidence else None)


def test_the_right_answer_in_time_is_right():
    assert judged() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"failure_id": "oom"}, "named oom"), ({"service": "db"}, "service db"), ({"observed": "it broke"}, "no “exit c"),
     ({"failure_id": None}, "named nothing"), ({"outcome": "pass"}, "exit 0, not 1")],
)  # fmt: skip
def test_a_wrong_answer_is_wrong(changes: dict[str, object], words: str):
    assert any(words in problem for problem in judged(**changes))


def test_a_late_answer_is_wrong_and_so_is_a_fault_that_never_happened():
    assert judged(seen=record(verdict_at=45.0)) == ["25.0 s after the first evidence"]
    assert "something else" in judged(seen=record(verdict_at=12.0))[0]
    assert "not injected" in judged(seen=Record(0.0, "faul", play=record().play))[0]


def test_a_container_that_was_told_to_stop_is_no_evidence():
    seen = record()
    told = {**seen.docker[0], "at": 9.0, "Action": "kill"}
    assert evidence.exits("app", 2)(replace(seen, docker=[told, *seen.docker])) is None


def test_a_finding_in_a_green_run_is_a_false_alarm():
    green = replace(RED, exit=0, tier="", evidence=None)
    assert judged(green, outcome="pass", failure_id=None) == []
    assert "crash-loop" in judged(green, outcome="pass")[0]
    assert "is red" in " ".join(judged(green))


def test_the_node_is_where_the_inventory_says(tmp_path: Path):
    stage = Stage(tmp_path, tmp_path / "x")
    assert stage.player.environment["CCCI_RECIPE_TESTS_DIR"].endswith("settings/none")


CONNECTIONS = """
0      0      10.0.0.1:40312  10.0.0.2:443  users:(("python3",pid=7,fd=4))
0      0      10.0.0.1:{port}  10.0.0.2:443  users:(("chromium",pid=9,fd=20))
0      0      10.0.0.1:40316  10.0.0.2:443
""".strip()


def test_the_connections_of_a_browser():
    assert hands.browsing(CONNECTIONS.format(port=40314)) == {"10.0.0.1:40314"}
    assert hands.browsing("") == set()


def disturbed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, needed: int, over_after: int) -> int:
    """How often the network was changed for a browser that minds the change number `needed`; the play is over after
    `over_after` changes."""
    changes, over = 0, threading.Event()

    @contextmanager
    def change() -> Iterator[None]:
        nonlocal changes
        changes += 1
        yield
        if changes >= over_after:
            over.set()

    for name in ("LOOK", "ASKED", "NOTICED"):
        monkeypatch.setattr(hands, name, 0.01)
    monkeypatch.setattr(hands, "_new_address", change)
    monkeypatch.setattr(hands, "_connections", lambda _: CONNECTIONS.format(port=2 if changes >= needed else 1))
    hands._disturb_browser(Stage(tmp_path, tmp_path / "x"), "10.0.0.2", over)
    return changes


def test_the_network_changes_until_the_browser_minds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert disturbed(monkeypatch, tmp_path, needed=3, over_after=9) == 3
    with pytest.raises(AssertionError, match=r"no browser lost its connection to 10\.0\.0\.2 by 2 changes"):
        disturbed(monkeypatch, tmp_path, needed=9, over_after=2)


def test_a_machine_whose_network_cannot_be_changed_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def refused(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, 2, "", "RTNETLINK answers: Operation not permitted\n")

    monkeypatch.setattr(subprocess, "run", refused)
    with (
        pytest.raises(PermissionError, match=r"needs root, with the capability NET_ADMIN"),
        hands.network_changes(Stage(tmp_path, tmp_path / "x")),
    ):
        pytest.fail("it was played all the same")
