"""Accounts at registries, from a file that nobody else may read. They go into requests only: no argument, no log."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .registry import DOCKER_HUB

# Where the credentials of Docker Hub are kept, for historical reasons of the docker command.
HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io", DOCKER_HUB)
MOST_CREDENTIALS = 1024 * 1024  # characters of a file of credentials


class CredentialsError(Exception):
    """A file of credentials that must not be used as it is; `hint` is what corrects it."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


@dataclass(frozen=True)
class Login:
    """An account at a registry. `token` is an identity token, which only the daemon can use."""

    address: str
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The header `Authorization` with user name and password; "" without them."""
        if not self.user or self.token:
            return ""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    @property
    def for_daemon(self) -> dict[str, str]:
        """The header with which the daemon asks the registry."""
        content = {"username": self.user, "password": self.password, "serveraddress": self.address}
        if self.token:
            content = {"identitytoken": self.token, "serveraddress": self.address}
        return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(content).encode()).decode()}


class Credentials:
    """The accounts of a file in the form of docker's own config.json (`auths`), one for each registry's host."""

    def __init__(self, entries: Mapping[str, Any] | None = None) -> None:
        self._entries = entries or {}

    def login(self, host: str) -> Login | None:
        keys: Sequence[str] = (
            HUB_KEYS if host == DOCKER_HUB else (host, f"https://{host}", f"https://{host}/v1/", f"https://{host}/v2/")
        )
        entry = next((self._entries[key] for key in keys if isinstance(self._entries.get(key), dict)), None)
        if not entry:
            return None
        try:
            user, _, password = base64.b64decode(str(entry.get("auth") or "")).decode().partition(":")
        except ValueError:
            return None
        return Login(keys[0], user, password, str(entry.get("identitytoken") or ""))

    def header(self, host: str) -> dict[str, str]:
        """`X-Registry-Auth` for a registry; {} when there is no account."""
        login = self.login(host)
        return login.for_daemon if login else {}


def config_file() -> Path | None:
    """The docker command's own file of credentials; None for a process without a home."""
    folder = os.environ.get("DOCKER_CONFIG")
    try:
        return (Path(folder) if folder else Path.home() / ".docker") / "config.json"
    except RuntimeError:
        return None


def read_credentials(chosen: str = "") -> Credentials:
    """The accounts of a file: the chosen one, which must exist, or the docker command's own, which need not.

    CredentialsError for a file with passwords in it that others may read: whoever can read it can pull, and push, in
    the operator's name.
    """
    path = Path(chosen) if chosen else config_file()
    if path is None:
        return Credentials()
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            document = json.loads(file.read(MOST_CREDENTIALS))
    except OSError as error:
        if not chosen and isinstance(error, FileNotFoundError | NotADirectoryError):
            return Credentials()
        what = f"the registry credentials {path} cannot be read: {error.strerror}"
        raise CredentialsError(what, "Correct ccci_registry_credentials, or make that file on the node") from error
    except ValueError as error:
        what = f"the registry credentials {path} are not JSON as docker's config.json is"
        raise CredentialsError(what, "`docker login` on the node makes such a file") from error
    entries = document.get("auths") if isinstance(document, dict) else None
    if not isinstance(entries, dict) or not any(entries.values()):
        return Credentials()
    if mode & 0o077:
        what = f"the registry credentials {path} may be read by others than their owner (mode {mode:04o})"
        raise CredentialsError(what, f"On the node: chmod 600 {path}")
    return Credentials(entries)
