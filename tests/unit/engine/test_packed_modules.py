"""What Ansible packs for our modules is kept, and never used for anything but what it was made of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible import constants

from ccci import packed_modules, paths

PLAY = "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - {name: Ask nothing, ccci_assert_tcp: {checks: []}}\n"


class Machine:
    """A copy of the sources, and Ansible's temporary folder as each play gets it: new and empty."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project, self._root, self._patch, self._plays = root / "project", root, monkeypatch, 0
        for folder in ("library", "module_utils/ccci_host"):
            (self.project / folder).mkdir(parents=True)
        (self.project / "module_utils/ccci_host/lock.py").write_text("A = 1\n")
        monkeypatch.setattr(paths, "PROJECT", self.project)
        monkeypatch.setenv("CCCI_CACHE_DIR", str(root / "cache"))
        monkeypatch.setattr(constants, "DEFAULT_MODULE_PATH", [str(self.project / "library")])
        monkeypatch.setattr(constants, "DEFAULT_MODULE_UTILS_PATH", [str(self.project / "module_utils")])

    def play(self, edited: str = "", **packed: bytes) -> dict[str, bytes]:
        """One play that packs `packed`, while somebody edits a file; what it had from the start."""
        self._plays += 1
        temporary = self._root / f"tmp{self._plays}"
        temporary.mkdir()
        self._patch.setattr(constants, "DEFAULT_LOCAL_TMP", str(temporary))
        packed_modules.restore()
        archives = temporary / packed_modules.ARCHIVES
        had = {file.name: file.read_bytes() for file in archives.iterdir()} if archives.exists() else {}
        archives.mkdir(exist_ok=True)
        for name, data in packed.items():
            (archives / f"ansible.legacy.{name}-ZIP_DEFLATED-none").write_bytes(data)
            (archives / f"ansible.legacy.{name}-ZIP_DEFLATED-none.lock").touch()
        if edited:
            (self.project / edited).write_text("A = 'edited'\n")
        packed_modules.keep()
        return had

    @property
    def kept(self) -> list[Path]:
        return sorted((self._root / "cache" / "modules").glob("*/*"))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


APP = {"ansible.legacy.ccci_app-ZIP_DEFLATED-none": b"app"}


def test_our_archives_come_back_and_those_of_others_do_not(machine: Machine) -> None:
    assert machine.play(ccci_app=b"app", command=b"other", ping=b"other") == {}
    assert machine.play(ccci_lock=b"lock") == APP
    assert machine.play() == {**APP, "ansible.legacy.ccci_lock-ZIP_DEFLATED-none": b"lock"}
    assert oct(machine.kept[0].parent.stat().st_mode)[-3:] == "700"


@pytest.mark.parametrize("change", ["module_utils/ccci_host/lock.py", "module_utils/ccci_host/new.py", "library/x.py"])
def test_any_change_of_the_sources_makes_them_void(machine: Machine, change: str) -> None:
    machine.play(ccci_app=b"app")
    (machine.project / change).write_text("A = 2\n")
    assert machine.play() == {}


def test_what_was_packed_while_a_file_changed_is_not_kept(machine: Machine) -> None:
    machine.play(edited="module_utils/ccci_host/lock.py", ccci_app=b"app of before")
    assert machine.play() == {}


def test_another_ansible_makes_its_own(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.play(ccci_app=b"app")
    monkeypatch.setattr(packed_modules, "ansible_version", "2.99")
    assert machine.play() == {}


def test_where_ansible_looks_elsewhere_too_nothing_is_kept(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.play(ccci_app=b"app")
    more = [*constants.DEFAULT_MODULE_UTILS_PATH, "/usr/share/ansible/plugins/module_utils"]
    monkeypatch.setattr(constants, "DEFAULT_MODULE_UTILS_PATH", more)
    assert machine.play() == {}


def test_half_a_file_is_not_used(machine: Machine) -> None:
    machine.play(ccci_app=b"app", ccci_lock=b"lock")
    machine.kept[0].write_bytes(b"")
    assert list(machine.play().values()) == [b"lock"]


def test_versions_that_nobody_uses_go(machine: Machine) -> None:
    machine.play(ccci_app=b"app")
    old = machine.kept[0].parent
    (machine.project / "library/x.py").touch()
    machine.play(ccci_app=b"app")
    assert old.exists()
    os.utime(old, (time.time() - 8 * 86400,) * 2)
    machine.play()
    assert not old.exists()
    assert len(machine.kept) == 1


def test_a_cache_that_cannot_be_written_stops_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCCI_CACHE_DIR", "/proc/none")
    assert machine.play(ccci_app=b"app") == {}


def test_a_real_play_uses_what_the_last_one_packed(tmp_path: Path) -> None:
    """Guards what we know of Ansible's inside: where its archives are and what they are called."""
    (tmp_path / "play.yml").write_text(PLAY)
    environment = {
        **os.environ, "ANSIBLE_CONFIG": str(paths.PROJECT / "ansible.cfg"), "CCCI_CACHE_DIR": str(tmp_path / "cache"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"), "ANSIBLE_DEBUG": "1",
    }  # fmt: skip
    command = [shutil.which("ansible-playbook", path=str(Path(sys.executable).parent)) or "ansible-playbook"]
    command += ["-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
    first, second = (
        subprocess.run([*command, str(tmp_path / "play.yml")], env=environment, capture_output=True, text=True).stdout
        for _ in range(2)
    )
    assert "ANSIBALLZ: Creating module" in first
    assert "ANSIBALLZ: using cached module" in second
    assert "ANSIBALLZ: Creating module" not in second
    assert "ok=1" in second
