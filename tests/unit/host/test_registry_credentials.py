"""Accounts from files in the form of docker's own."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from ccci_host.registry_credentials import Credentials, CredentialsError, read_credentials

SECRET = base64.b64encode(b"robot:to:ken").decode()


def written(path: Path, entries: object, mode: int = 0o600) -> str:
    path.write_text(json.dumps({"auths": entries}))
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("key", "host"),
    [("https://index.docker.io/v1/", "docker.io"), ("ghcr.io", "ghcr.io"), ("https://quay.io", "quay.io"),
     ("127.0.0.1:5000", "127.0.0.1:5000")],
)  # fmt: skip
def test_each_host_has_its_account(tmp_path: Path, key: str, host: str) -> None:
    found = read_credentials(written(tmp_path / "a.json", {key: {"auth": SECRET}}))
    header = json.loads(base64.urlsafe_b64decode(found.header(host)["X-Registry-Auth"]))
    assert (header["username"], header["password"]) == ("robot", "to:ken")
    login = found.login(host)
    assert login
    assert login.basic == f"Basic {SECRET}"
    assert "to:ken" not in repr(login)
    assert found.header("other.test") == {}


def test_an_identity_token_is_for_the_daemon_only(tmp_path: Path) -> None:
    found = read_credentials(written(tmp_path / "a.json", {"ghcr.io": {"auth": "", "identitytoken": "t0k"}}))
    header = json.loads(base64.urlsafe_b64decode(found.header("ghcr.io")["X-Registry-Auth"]))
    assert header == {"identitytoken": "t0k", "serveraddress": "ghcr.io"}
    login = found.login("ghcr.io")
    assert login
    assert login.basic == ""


def test_the_docker_commands_own_file_need_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert read_credentials().login("ghcr.io") is None
    written(tmp_path / "config.json", {"ghcr.io": {"auth": SECRET}})
    assert read_credentials().login("ghcr.io")


def test_a_chosen_file_must_exist_and_be_one(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="cannot be read: No such file") as error:
        read_credentials(str(tmp_path / "none"))
    assert "ccci_registry_credentials" in error.value.hint
    (tmp_path / "bad").write_text("no json")
    with pytest.raises(CredentialsError, match="are not JSON"):
        read_credentials(str(tmp_path / "bad"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_can_read_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path / "a.json", {"ghcr.io": {"auth": SECRET}}, mode)
    with pytest.raises(CredentialsError, match=f"mode {mode:04o}") as error:
        read_credentials(path)
    assert error.value.hint == f"On the node: chmod 600 {path}"


@pytest.mark.parametrize("entries", [{}, {"ghcr.io": {}}, None, []])
def test_a_file_without_a_secret_may_be_read_by_all(tmp_path: Path, entries: object) -> None:
    assert read_credentials(written(tmp_path / "a.json", entries, 0o644)).login("ghcr.io") is None


def test_a_spoilt_entry_is_no_account() -> None:
    assert Credentials({"a.test": {"auth": "ÿ"}, "b.test": "x"}).header("a.test") == {}
    assert Credentials({"b.test": "x"}).header("b.test") == {}
