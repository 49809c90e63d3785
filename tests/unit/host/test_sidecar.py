"""With which account the image of a sidecar is pulled; what it does then is in test_sidecar_stack.py."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import engine_server
import pytest
import registry_server
import yaml
from engine_server import EngineServer

from ccci import paths
from ccci_host.registry_credentials import CredentialsError
from ccci_host.sidecar import pull_missing

HOST = "registry.example"
IMAGE = f"{HOST}/tools/client:1"
PASSWORD = "a very private password"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineServer]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "nothing"))
    with registry_server.serving() as registry, engine_server.running(tmp_path, registry) as engine:
        for name in ("tools/client:1", "client:1"):
            registry.add(name, [10])
        yield engine


def accounts(folder: Path, mode: int = 0o600) -> str:
    path = folder / "accounts.json"
    path.write_text(json.dumps({"auths": {HOST: {"auth": base64.b64encode(f"ci:{PASSWORD}".encode()).decode()}}}))
    path.chmod(mode)
    return str(path)


def test_it_is_pulled_with_the_account_of_its_registry_and_only_once(engine: EngineServer, tmp_path: Path) -> None:
    for _ in range(2):
        pull_missing(engine.client, IMAGE, accounts(tmp_path))
    assert engine.pulled == [IMAGE]
    assert json.loads(base64.urlsafe_b64decode(engine.credentials[0])) == {
        "username": "ci", "password": PASSWORD, "serveraddress": HOST,
    }  # fmt: skip


def test_another_registry_does_not_learn_of_the_account(engine: EngineServer, tmp_path: Path) -> None:
    pull_missing(engine.client, f"{HOST}.elsewhere.example/client:1", accounts(tmp_path))
    assert engine.credentials == [""]


def test_the_docker_commands_own_accounts_are_used_when_none_are_named(
    engine: EngineServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(accounts(tmp_path)).rename(tmp_path / "config.json")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    pull_missing(engine.client, IMAGE)
    assert engine.credentials != [""]


def test_a_file_that_others_can_read_is_refused_before_anything_is_pulled(engine: EngineServer, tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="may be read by others") as refused:
        pull_missing(engine.client, IMAGE, accounts(tmp_path, mode=0o644))
    assert PASSWORD not in f"{refused.value}{refused.value.hint}"
    assert engine.pulled == []


def test_the_play_of_a_test_hands_on_what_the_prepull_gets() -> None:
    def of(file: Path, key: str) -> str:
        return next(line.split(":", 1)[1] for line in file.read_text().splitlines() if line.strip().startswith(key))

    sidecar = of(paths.PROJECT / "src/ccci/testing/node.yml", "credentials:")
    assert yaml.safe_load(sidecar) == yaml.safe_load(of(paths.PROJECT / "playbooks/play.yml", "image_prepull_creden"))
