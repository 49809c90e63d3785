"""Client libraries that tests import: known by pyproject.toml, named when missing, never installed without a yes."""

from __future__ import annotations

import importlib.metadata
import io
import subprocess
import sys

import pytest

from ccci import python_packages
from ccci.errors import InfrastructureError, UsageError

GROUP = [
    "click<9,>=8.1",
    'python-socketio[client]<6,>=5.11; extra == "recipes"',
    'No_Such.Package>=1; extra == "recipes"',
    'ruff<1; extra == "dev"',
]


@pytest.fixture(autouse=True)
def group(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The group of this test, and the commands that would have been run."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "", "no matching distribution")

    monkeypatch.setattr(importlib.metadata, "requires", lambda name: GROUP)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return commands


def test_the_group_is_read_with_its_ranges() -> None:
    assert python_packages.known() == {
        "python-socketio": "python-socketio[client]<6,>=5.11", "no-such-package": "No_Such.Package>=1",
    }  # fmt: skip


def test_what_is_not_in_the_group_is_refused_with_its_place() -> None:
    with pytest.raises(UsageError, match=r"recipe.yml:4: python-sockteio is not in the group") as error:
        python_packages.missing(["python-sockteio"], "recipe.yml:4")
    assert "python-socketio" in error.value.expected


def test_what_is_missing_is_named_and_not_installed_without_a_yes(group: list[list[str]]) -> None:
    with pytest.raises(UsageError, match=r"No_Such.Package>=1 is not installed") as error:
        python_packages.ensure(["no-such.package"], "recipe.yml:4", assume_yes=False)
    assert "--yes" in error.value.next_step
    assert group == []


def test_with_a_yes_it_is_installed_and_a_failure_is_told(group: list[list[str]]) -> None:
    with pytest.raises(InfrastructureError, match=r"No_Such.Package>=1 cannot be installed") as error:
        python_packages.ensure(["no-such-package"], "recipe.yml:4", assume_yes=True)
    assert "no matching distribution" in error.value.observed
    assert group[0][:4] == [sys.executable, "-m", "pip", "install"]
    assert group[0][-1] == "No_Such.Package>=1"


def test_what_is_there_costs_nothing(group: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ['pytest>=8; extra == "recipes"'])
    python_packages.ensure(["pytest"], "recipe.yml:4", assume_yes=False)
    assert group == []
