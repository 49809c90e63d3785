"""The decisions of a teardown that need no Docker. The removal itself is in test_teardown_stack.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ccci_host import teardown
from ccci_host.inventory import KINDS, Objects

A, B = "0a" * 32, "0b" * 32


@pytest.mark.parametrize(
    ("due", "counted", "there", "outcome"),
    [
        (1, {"s": 1}, {"s"}, "pass"),
        (1, {"s": 1}, set(), "pass"),
        (1, {"s": 2}, {"s"}, "fail"),
        (2, {"dep": 1, "s": 1}, {"dep", "s"}, "pass"),
        (2, {"dep": 1}, {"dep"}, "skip"),
        (2, {"dep": 2}, {"dep"}, "fail"),  # twice one stack is not once two of them
        (1, {}, set(), "skip"),
        # Nobody counted it, and yet it is there: our own book-keeping is wrong, which must never look green.
        (1, {}, {"s"}, "error"),
    ],
)
def test_the_deploy_count(due: int, counted: dict[str, int], there: set[str], outcome: str) -> None:
    found, expected, told = teardown.deploy_count({"deploys": due}, counted, there)
    assert found == outcome
    assert expected.startswith(f"{due} deploy")
    assert told


def mounted(*names: str, kind: str = "volume") -> dict[str, Any]:
    return {"Mounts": [{"Type": kind, "Name": name} for name in names]}


def test_only_volumes_without_a_name_are_the_containers_own() -> None:
    containers = [mounted(A, "somebodys_data"), mounted(B, A), mounted("0c" * 32, kind="bind"), {"Mounts": None}]
    assert teardown.anonymous_volumes(containers, {}) == [A, B]


def test_a_volume_that_was_there_before_is_somebody_elses() -> None:
    before: Objects = {"volume": {A: {"name": A, "stack": ""}}}
    assert teardown.anonymous_volumes([mounted(A, B)], before) == [B]


def test_the_inventory_before_is_private_and_comes_back(tmp_path: Path) -> None:
    scope = {"run": "r", "node_dir": str(tmp_path)}
    seen: Objects = {kind: {} for kind in KINDS}
    assert teardown.load_before(scope) == {}
    teardown.save_before(scope, seen)
    assert teardown.load_before(scope) == seen
    assert (tmp_path / teardown.BEFORE_FILE).stat().st_mode & 0o777 == 0o600


def test_only_a_folder_that_bears_the_runs_name_is_removed(tmp_path: Path) -> None:
    scope = {"run": "20261124-162501-cust-c12afe", "node_dir": str(tmp_path)}
    with pytest.raises(OSError, match="does not bear the name"):
        teardown.remove_folder(scope)
    folder = tmp_path / str(scope["run"])
    (folder / "abra").mkdir(parents=True)
    teardown.remove_folder({**scope, "node_dir": str(folder)})
    teardown.remove_folder({**scope, "node_dir": str(folder)})
    assert not folder.exists()
    assert tmp_path.exists()


def test_a_step_that_fails_does_not_stop_the_next() -> None:
    progress = teardown.Progress()

    def broken() -> None:
        raise OSError("no way")

    teardown.try_step(progress, "walk", broken)
    teardown.try_step(progress, "rest", lambda: None)
    assert progress.notes == ["could not walk: no way"]


def test_what_killed_modules_unpacked_goes_unless_it_may_be_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teardown.tempfile, "gettempdir", lambda: str(tmp_path))
    ours, stale, foreign = (
        tmp_path / name
        for name in (
            "ansible_ccci_teardown_payload_own",
            "ansible_ccci_app_payload_x",
            "ansible_ansible.legacy.command_payload_x",
        )
    )
    for folder in (ours, stale, foreign):
        folder.mkdir()
        (folder / "payload.zip").touch()
    monkeypatch.syspath_prepend(str(ours / "payload.zip"))
    monkeypatch.setattr(teardown.processes, "modules", lambda: [1])
    teardown.sweep()
    assert stale.exists()
    monkeypatch.setattr(teardown.processes, "modules", list)
    teardown.sweep()
    assert (ours.exists(), stale.exists(), foreign.exists()) == (True, False, True)
