"""The one place that starts git: never a prompt, never a hook, never a credential in an argument or an error."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from ccci.errors import InfrastructureError
from ccci_host import bounded

LOCAL_LIMIT = 30.0  # seconds, for commands that read the mirror
PROTOCOLS = ("file", "https", "http", "ssh", "git")
# A hook, a pager or a repository found through the environment (ccci inside a git hook) must not decide what runs.
_DROPPED = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            "GIT_NAMESPACE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_TRACE", "GIT_CURL_VERBOSE")  # fmt: skip
_SAFE = (
    "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "core.fsmonitor=false",
    "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "credential.interactive=false",
)  # fmt: skip


class GitError(Exception):
    """git ended with an error. `words` is the end of what it said, without credentials."""

    def __init__(self, arguments: Sequence[str], returncode: int, words: str) -> None:
        super().__init__(f"git {arguments[0]} ended with {returncode}: {words}")
        self.returncode = returncode
        self.words = words


class TooMuch(InfrastructureError):  # noqa: N818 - says what happened
    """A repository that would fill the memory of whoever reads it."""


def public_url(url: str) -> str:
    """The URL without user name and password, as it may be shown and stored. For ssh the user name stays."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    user, _, host = parts.netloc.rpartition("@")
    if parts.scheme == "ssh":
        host = f"{user.partition(':')[0]}@{host}"
    return urlunsplit(parts._replace(netloc=host))


def credentials_environment(url: str) -> dict[str, str]:
    """What hands the URL's user name and password to git without naming them in its arguments."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.username:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    header = "Authorization: Basic " + base64.b64encode(pair.encode()).decode()
    host = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "/", "", ""))
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"http.{host}.extraHeader", "GIT_CONFIG_VALUE_0": header}


def git(
    repository: Path,
    *arguments: str,
    stdin: bytes | None = None,
    limit: float = LOCAL_LIMIT,
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """Runs git on a bare repository and returns its stdout.

    Raises GitError when git fails, TooMuch when it says more than anybody can want to know, InfrastructureError when it
    is missing or does not end within `limit` seconds.
    """
    command = ["git", *_SAFE, f"--git-dir={repository}", *arguments]
    try:
        code, output, words = bounded.run(command, stdin or b"", limit, _environment(environment or {}))
    except bounded.TooMuch as error:
        raise TooMuch(str(error)) from error
    except FileNotFoundError as error:
        raise InfrastructureError("git is not installed here", next_step="apt-get install git") from error
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(
            f"git {arguments[0]} did not end within {limit:.0f} s", observed=clean(_end(error.stderr or b""))
        ) from error
    if code != 0:
        raise GitError(arguments, code, clean(_end(words)))
    return output


def clean(text: str) -> str:
    """Takes user names and passwords out of every URL in a text."""
    return re.sub(r"(\w+://)[^/\s@']*@", r"\1", text)


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in _DROPPED}
    ssh = kept.get("GIT_SSH_COMMAND", "ssh")
    return kept | {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",
        "SSH_ASKPASS": "false",
        "GIT_SSH_COMMAND": f"{ssh} -o BatchMode=yes -o ConnectTimeout=15",
        "GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS),
        "GIT_OPTIONAL_LOCKS": "0",
        **extra,
    }


def _end(output: bytes) -> str:
    return output.decode("utf-8", "replace").strip()[-1500:]
