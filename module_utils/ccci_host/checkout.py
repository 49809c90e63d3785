"""The recipe's git checkout on the node, and the files of any commit without a checkout.

Everything in it was written by strangers: no hook runs, no filter, no prompt; a symbolic link is followed only inside
the tree, and what we write replaces a link instead of following it.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LIMIT = 120.0  # seconds for one git command; recipes are small
LARGEST_FILE = 1024 * 1024  # bytes; more is no compose file
_SAFE = (
    "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "core.fsmonitor=false", "-c", "gc.auto=0",
    "-c", "maintenance.auto=false", "-c", "safe.directory=*", "-c", "advice.detachedHead=false",
)  # fmt: skip
_LINK = "120000"


class GitError(OSError):
    """git on the node did not do what it was told; the text names the command and git's own words."""


def git(folder: str, *arguments: str, stdin: bytes = b"", limit: float = LIMIT) -> bytes:
    """Runs git in a folder and returns its stdout. GitError also when there is no git, or after `limit` seconds."""
    command = ["git", *_SAFE, "-C", folder, *arguments]
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=limit, env=_environment(), check=False)
    except FileNotFoundError as error:
        raise GitError("git is not installed on this node (apt-get install git)") from error
    except subprocess.TimeoutExpired as error:
        raise GitError(f"git {arguments[0]} in {folder} did not end within {limit:.0f} s") from error
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip()[-800:]
        raise GitError(f"git {' '.join(arguments)} in {folder} ended with {done.returncode}: {words}")
    return done.stdout


def _environment() -> dict[str, str]:
    """No variable of the caller reaches git but these; no configuration of the machine or the user either."""
    kept = {key: os.environ[key] for key in ("PATH", "CCCI_RUN_ID") if key in os.environ}
    return {"HOME": "/nonexistent", "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_LFS_SKIP_SMUDGE": "1", **kept}  # fmt: skip


def clone(bundle: str, folder: str) -> None:
    """Clones a bundle with all its tags into a new folder, without checking anything out."""
    parent = Path(folder).parent
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    git(str(parent), "clone", "--quiet", "--no-checkout", "--template=", "--", bundle, folder)


def check_out(folder: str, commit: str) -> None:
    """Puts a commit's files into the folder, whatever is in the way."""
    git(folder, "checkout", "--quiet", "--force", "--detach", commit)


def place(folder: str, name: str, text: str) -> None:
    """Writes a file of ours at the top of the checkout. A link or file of that name is replaced, never followed."""
    path = Path(folder) / name
    remove(folder, name)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def remove(folder: str, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        (Path(folder) / name).unlink()


@dataclass(frozen=True)
class Escape:
    """A symbolic link of a commit that leads out of it."""

    path: str
    target: str


class Tree(Mapping[str, str]):
    """The files of one commit as `{path: text}`, read when they are asked for. Links inside the tree are followed."""

    def __init__(self, folder: str, commit: str) -> None:
        self.folder = folder
        self.commit = commit
        listed = git(folder, "ls-tree", "-r", "-z", "--full-tree", commit).decode("utf-8", "surrogateescape")
        entries = [entry.partition("\t") for entry in listed.split("\0") if entry]
        self._entries = {path: (head.split()[0], head.split()[2]) for head, _, path in entries}
        self._texts: dict[str, str] = {}

    def __getitem__(self, path: str) -> str:
        """KeyError when the commit has no such file, or when a link leads out of it."""
        real = resolve(path, self.links)
        if real is None or real not in self._entries or not self._entries[real][0].startswith("100"):
            raise KeyError(path)
        if real not in self._texts:
            self._texts[real] = self._blob(self._entries[real][1])
        return self._texts[real]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, path: object) -> bool:
        real = resolve(path, self.links) if isinstance(path, str) else None
        return real is not None and self._entries.get(real, ("", ""))[0].startswith("100")

    @property
    def links(self) -> Mapping[str, str]:
        """`{path: target}` of every symbolic link."""
        if not hasattr(self, "_links"):
            found = {path: entry for path, (mode, entry) in self._entries.items() if mode == _LINK}
            self._links = {path: self._blob(entry) for path, entry in found.items()}
        return self._links

    def escapes(self) -> list[Escape]:
        return [Escape(path, target) for path, target in self.links.items() if resolve(path, self.links) is None]

    def has(self, path: str) -> bool:
        """Whether there is a file, a link or a folder of that name."""
        return path in self._entries or any(one.startswith(f"{path.rstrip('/')}/") for one in self._entries)

    def _blob(self, entry: str) -> str:
        size = int(git(self.folder, "cat-file", "-s", entry))
        if size > LARGEST_FILE:
            raise GitError(f"A file of commit {self.commit[:8]} has {size} bytes; at most {LARGEST_FILE} are read")
        return git(self.folder, "cat-file", "blob", entry).decode("utf-8", "replace")


def resolve(path: str, links: Mapping[str, str], follow: int = 40) -> str | None:
    """Where a path of a tree really is, following the tree's own links; None when that is outside (or a circle)."""
    if path.startswith("/"):
        return None
    parts: Sequence[str] = path.split("/")
    done: list[str] = []
    while parts:
        part, parts = parts[0], parts[1:]
        if part in ("", "."):
            continue
        if part == "..":
            if not done:
                return None
            done.pop()
            continue
        if part == ".git" and not done:
            return None
        here = "/".join([*done, part])
        if here not in links:
            done.append(part)
            continue
        follow -= 1
        if follow < 0 or posixpath.isabs(links[here]):
            return None
        parts = [*links[here].split("/"), *parts]
    return "/".join(done)
