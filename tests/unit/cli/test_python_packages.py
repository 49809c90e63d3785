"""Client libraries that tests import: known by pyproject.toml, named when missing, never installed without a yes."""

from __future__ import annotations

import importlib.metadata
import io
import subprocess
import sys

import pytest

from ccci import bootstrap
from ccci.errors import InfrastructureError, UsageError
from ccci.plan import python_packages

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
    assert {name: str(one.specifier) for name, one in python_packages.known().items()} == {
        "python-socketio": "<6,>=5.11", "no-such-package": ">=1",
    }  # fmt: skip


def test_what_is_not_in_the_group_is_refused_with_its_place() -> None:
    with pytest.raises(UsageError, match=r"recipe.yml:4: python-sockteio is not in the group") as error:
        python_packages.missing(["python-sockteio"], "recipe.yml:4")
    assert "python-socketio" in error.value.expected


def test_a_ccci_without_the_group_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: None)
    with pytest.raises(UsageError) as error:
        python_packages.missing(["atproto"], "recipe.yml:4")
    assert "installed without it" in error.value.expected


class Installed:
    """A package as importlib.metadata tells of it."""

    def __init__(self, version: str, *requires: str) -> None:
        self.version, self.requires = version, list(requires)


@pytest.mark.parametrize(
    ("installed", "lacking"),
    [
        ({"python-socketio": Installed("5.12", 'websocket-client>=1; extra == "client"'),
          "websocket-client": Installed("1.8")}, []),
        ({"python-socketio": Installed("5.12", 'websocket-client>=1; extra == "client"')},
         ["python-socketio[client]<6,>=5.11"]),
        ({"python-socketio": Installed("5.1")}, ["python-socketio[client]<6,>=5.11"]),
        ({}, ["python-socketio[client]<6,>=5.11"]),
    ],
    ids=["there", "without its extra", "too old", "not there"],
)  # fmt: skip
def test_only_what_pyproject_asks_for_counts(
    monkeypatch: pytest.MonkeyPatch, installed: dict[str, Installed], lacking: list[str]
) -> None:
    def distribution(name: str) -> Installed:
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    assert python_packages.missing(["python_socketio"], "recipe.yml:4") == lacking


def test_what_is_missing_is_named_and_not_installed_without_a_yes(group: list[list[str]]) -> None:
    with pytest.raises(UsageError, match=r"not installed: No_Such.Package>=1 \(recipe.yml:4\)") as error:
        bootstrap.ensure_python({"recipe.yml:4": ["no-such.package"]}, assume_yes=False)
    assert "--yes" in error.value.next_step
    assert group == []


def test_with_a_yes_it_is_installed_and_a_failure_is_told(group: list[list[str]]) -> None:
    with pytest.raises(InfrastructureError, match=r"No_Such.Package>=1 \(recipe.yml:4\) cannot be installed") as error:
        bootstrap.ensure_python({"recipe.yml:4": ["no-such-package"]}, assume_yes=True)
    assert "no matching distribution" in error.value.observed
    assert group[0][:4] == [sys.executable, "-m", "pip", "install"]
    assert group[0][-1] == "No_Such.Package>=1"


def test_what_is_there_costs_nothing(group: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ['pytest>=8; extra == "recipes"'])
    bootstrap.ensure_python({"recipe.yml:4": ["pytest"]}, assume_yes=False)
    assert group == []
