"""Fixtures of the contract suite, the report on probes, and the promise that nothing stays behind."""

from __future__ import annotations

import contextlib
import itertools
import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from abra_adapter import BINARY, Abra
from abra_recipes import IMAGES, Source, plain_recipe

PREFIX = f"a{secrets.token_hex(2)}"
_PROBES: list[tuple[str, str, str]] = []
_COUNT = itertools.count(1)


def docker(*arguments: str, check: bool = True, limit: float = 60) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=limit, check=False)
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def inspect(kind: str, name: str) -> dict[str, Any]:
    """The API object; empty when there is none."""
    found = json.loads(docker(kind, "inspect", name, check=False) or "[]")
    return dict(found[0]) if found else {}


def names(kind: str, prefix: str) -> list[str]:
    field = "{{.Names}}" if kind == "container" else "{{.Name}}"
    everything = ["--all"] if kind == "container" else []
    listed = docker(kind, "ls", *everything, "--filter", f"name={prefix}", "--format", field).split()
    return sorted(name for name in listed if name.startswith(prefix))


class Swarm:
    """What the tests ask Docker; the truth beside abra's own words."""

    inspect = staticmethod(inspect)
    names = staticmethod(names)
    docker = staticmethod(docker)

    def labels(self, stack: str, service: str = "app") -> dict[str, str]:
        return dict(inspect("service", f"{stack}_{service}").get("Spec", {}).get("Labels") or {})

    def environment(self, stack: str, service: str = "app") -> dict[str, str]:
        spec = inspect("service", f"{stack}_{service}")["Spec"]["TaskTemplate"]["ContainerSpec"]
        return dict(line.split("=", 1) for line in spec.get("Env", []))

    def gone(self, kind: str, prefix: str, limit: float = 30) -> bool:
        """Whether there is nothing of that name (any more), within `limit` seconds."""
        deadline = time.monotonic() + limit
        while names(kind, prefix):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.3)
        return True


def remove_all(prefix: str) -> None:
    """Everything whose name begins like this, by plain docker commands, in the order that works."""
    for name in names("service", prefix):
        docker("service", "rm", name, check=False)
    if containers := names("container", prefix):
        docker("container", "rm", "--force", *containers, check=False)  # faster than waiting for swarm to stop them
    Swarm().gone("container", prefix)
    for kind in ("config", "secret", "network", "volume"):
        deadline = time.monotonic() + 30
        while found := names(kind, prefix):
            for name in found:
                docker(kind, "rm", name, check=False)
            if time.monotonic() > deadline:
                break
            time.sleep(0.2)


@pytest.fixture(scope="session", autouse=True)
def _nothing_stays_behind() -> Iterator[None]:
    yield
    if not any(names(kind, PREFIX) for kind in ("service", "container")) and not docker("info", check=False):
        return  # no Docker here: only the tests that need none were run
    kinds = ("service", "container", "config", "secret", "network", "volume")
    left = {kind: found for kind in kinds if (found := names(kind, PREFIX))}
    remove_all(PREFIX)
    assert not left, f"the contract suite left behind: {left}"


@pytest.fixture(scope="module")
def swarm() -> Swarm:
    for image in IMAGES:
        if subprocess.run(
            ["docker", "image", "inspect", image], capture_output=True, timeout=30, check=False
        ).returncode:
            pytest.fail(f"The image {image} is not here. Set the embedded platform up: make platform")
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
def domain(new_domain: Callable[[], str]) -> Iterator[str]:
    """A name for one app; whatever exists under it is removed in the end."""
    name = new_domain()
    yield name
    if any(names(kind, stack_of(name)) for kind in ("service", "secret", "volume", "config", "network")):
        remove_all(stack_of(name))


def stack_of(domain: str) -> str:
    """CMP-1, for tests that are about something else."""
    return domain.replace(".", "_")


class Probe:
    """A question about what is only remembered of abra. It reports, and never fails."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record

    @contextlib.contextmanager
    def __call__(self, rule: str, question: str) -> Iterator[None]:
        """The block asserts what is remembered."""
        answer = "holds"
        try:
            yield
        except Exception as error:  # whatever goes wrong in a probe is its answer
            answer = f"differs: {(str(error) or type(error).__name__).strip().splitlines()[0][:160]}"
        self._record(f"probe {rule}", f"{question}: {answer}")
        _PROBES.append((rule, question, answer))


@pytest.fixture
def probe(record_property: Callable[[str, object], None]) -> Probe:
    return Probe(record_property)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _PROBES:
        terminalreporter.section(f"probes of what is only remembered of abra ({BINARY})")
        for rule, question, answer in sorted(_PROBES):
            terminalreporter.line(f"{rule:8} {question}: {answer}")
