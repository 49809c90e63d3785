"""Fixtures of the contract suite, the report on probes, and the promise that nothing stays behind."""

from __future__ import annotations

import itertools
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from abra_adapter import BINARY, Abra
from abra_recipes import IMAGES, Source, plain_recipe
from abra_swarm import PROBES, Probe, Swarm, inspect, names, remove_all, stack_of

PREFIX = f"a{secrets.token_hex(2)}"
_COUNT = itertools.count(1)


@pytest.fixture(scope="session")
def _nothing_stays_behind() -> Iterator[None]:
    yield
    kinds = ("service", "container", "config", "secret", "network", "volume")
    left = {kind: found for kind in kinds if (found := names(kind, PREFIX))}
    remove_all(PREFIX)
    assert not left, f"the contract suite left behind: {left}"


@pytest.fixture(scope="module")
def swarm(_nothing_stays_behind: None) -> Swarm:
    """What a test that needs Docker asks for."""
    for image in IMAGES:
        if not inspect("image", image):
            pulled = subprocess.run(["docker", "pull", image], capture_output=True, text=True, timeout=120, check=False)
            assert pulled.returncode == 0, f"{pulled.stderr}\nSet the embedded platform up: make platform"
    return Swarm()


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


@pytest.fixture(scope="module")
def shared_abra(tmp_path_factory: pytest.TempPathFactory) -> Abra:
    """For tests that share one deployed app."""
    return _abra(tmp_path_factory.mktemp("abra"))


@pytest.fixture
def abra(tmp_path: Path) -> Abra:
    """A fresh ABRA_DIR with the server `default`."""
    return _abra(tmp_path / "abra")


def _abra(folder: Path) -> Abra:
    (folder / "servers/default").mkdir(parents=True)
    (folder / "catalogue").mkdir()
    (folder / "catalogue/recipes.json").write_text("{}")
    return Abra(folder)


@pytest.fixture
def plain(abra: Abra, tmp_path: Path) -> Source:
    """The recipe `plain`, checked out in the fresh ABRA_DIR."""
    source = plain_recipe(tmp_path / "origin/plain")
    source.clone_to(abra.checkout("plain"))
    return source


@pytest.fixture(scope="session")
def new_domain() -> Callable[[], str]:
    """Names that no other run uses; their objects are easy to tell from everything else."""
    return lambda: f"{PREFIX}-{next(_COUNT)}.abra.test"


@pytest.fixture
def domain(request: pytest.FixtureRequest, new_domain: Callable[[], str]) -> Iterator[str]:
    """A name for one app; whatever exists under it is removed in the end."""
    name = new_domain()
    yield name
    if "swarm" in request.fixturenames:
        remove_all(stack_of(name))


@pytest.fixture
def probe(record_property: Callable[[str, object], None]) -> Probe:
    return Probe(record_property)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if PROBES:
        terminalreporter.section(f"probes of what is only remembered of abra ({BINARY})")
        for rule, question, answer in sorted(PROBES):
            terminalreporter.line(f"{rule:8} {question}: {answer}")
