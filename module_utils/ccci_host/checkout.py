"""The recipe's git checkout on the node, and the files of any commit without a checkout.

Everything in it was written by strangers: no hook runs, no filter, no prompt; a symbolic link is followed only inside
the tree, and what we write replaces a link instead of following it.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
import posixpath
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import bounded
from .answer import cut
from .bounded import TooMuch
from .compose import ComposeError

LIMIT = 120.0  # seconds for one git command; recipes are small
LARGEST_FILE = 1024 * 1024  # bytes; more is no compose file
# Of one commit. A recipe has a few dozen files; a few kilobytes of a pull request can unpack to more than a disk holds.
MOST_FILES = 20_000
MOST_BYTES = 200 * 2**20
_SAFE = (
    "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "core.fsmonitor=false", "-c", "gc.auto=0",
    "-c", "maintenance.auto=false", "-c", "safe.directory=*", "-c", "advice.detachedHead=false",
)  # fmt: skip
LONGEST_LINK = 4096  # bytes; a longer one leads nowhere
_LINK = "120000"


class GitError(OSError):
    """git on the node did not do what it was told; the text names the command and git's own words."""


def git(folder: str, *arguments: str, stdin: bytes = b"", limit: float = LIMIT) -> bytes:
    """Runs git in a folder and returns its stdout. GitError also without git or after `limit` seconds; TooMuch."""
    command = ["git", *_SAFE, "-C", folder, *arguments]
    try:
        code, output, said = bounded.run(command, stdin, limit, _environment())
    except FileNotFoundError as error:
        raise GitError("git is not installed on this node (apt-get install git)") from error
    except subprocess.TimeoutExpired as error:
        raise GitError(f"git {arguments[0]} in {folder} did not end within {limit:.0f} s") from error
    if code != 0:
        words = cut(said.decode("utf-8", "replace").strip(), 800)
        raise GitError(f"git {' '.join(arguments)} in {folder} ended with {code}: {words}")
    return output


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
    """The files of one commit as `{path: text}`, read when they are asked for. Links inside the tree are followed.

    TooMuch for a commit that nobody should check out.
    """

    def __init__(self, folder: str, commit: str) -> None:
        self.folder = folder
        self.commit = commit
        self._entries = _entries(git(folder, "ls-tree", "-r", "-l", "-z", "--full-tree", commit))
        _demand_size(self._entries.values())
        self._texts: dict[str, str] = {}
        # {path: target} of every symbolic link
        links = [path for path, entry in self._entries.items() if entry.mode == _LINK]
        short = self._blobs([path for path in links if self._entries[path].size <= LONGEST_LINK])
        self.links = {path: short.get(path, "/") for path in links}

    def __getitem__(self, path: str) -> str:
        """KeyError when the commit has no such file, or when a link leads out of it."""
        real = self._real(path)
        if real is None:
            raise KeyError(path)
        self.read([path])
        return self._texts[real]

    def __iter__(self) -> Iterator[str]:
        return (path for path in self._entries if self._real(path) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._real(path) is not None

    def read(self, paths: Iterable[str]) -> None:
        """Reads many files at once, for later: a git process for each of them takes its time. Unknown ones are none."""
        wanted = dict.fromkeys(real for path in paths if (real := self._real(path)) and real not in self._texts)
        self._texts.update(self._blobs(list(wanted)))

    def with_files(self, texts: Mapping[str, str]) -> Tree:
        """The same tree with more files at its top, as if they had been placed in the checkout."""
        tree = copy.copy(self)
        tree._texts = {**self._texts, **texts}
        tree._entries = {**self._entries, **{name: _Entry("100644", "", len(text)) for name, text in texts.items()}}
        tree.links = {path: target for path, target in self.links.items() if path not in texts}
        return tree

    def escapes(self) -> list[Escape]:
        return [Escape(path, target) for path, target in self.links.items() if resolve(path, self.links) is None]

    def free_name(self, name: str) -> str:
        """`name`, or one like it that the commit does not use: a recipe may itself track a file of that name."""
        stem, _, suffix = name.rpartition(".")
        names = itertools.chain([name], (f"{stem}-{number}.{suffix}" for number in itertools.count(2)))
        return next(one for one in names if one not in self._entries and one not in self.links)

    def _real(self, path: str) -> str | None:
        real = resolve(path, self.links)
        entry = self._entries.get(real) if real is not None else None
        return real if entry and entry.mode.startswith("100") else None

    def _blobs(self, paths: Sequence[str]) -> dict[str, str]:
        """`{path: text}` from one `git cat-file --batch`. ComposeError for one that nobody would read."""
        for path in paths:
            if self._entries[path].size > LARGEST_FILE:
                raise ComposeError(path, 1, f"has {self._entries[path].size} bytes; at most {LARGEST_FILE} are read")
        ids = list(dict.fromkeys(self._entries[path].id for path in paths))
        if not ids:
            return {}
        asked = "".join(f"{one}\n" for one in ids).encode()
        texts = _batched(git(self.folder, "cat-file", "--batch", stdin=asked), self.folder)
        return {path: texts[self._entries[path].id] for path in paths}


@dataclass(frozen=True)
class _Entry:
    mode: str
    id: str
    size: int


def _entries(listed: bytes) -> dict[str, _Entry]:
    """From `git ls-tree -r -l -z`: `<mode> blob <id> <size>\\t<path>`; submodules have no size."""
    found = {}
    for line in listed.decode("utf-8", "surrogateescape").split("\0"):
        head, tab, path = line.partition("\t")
        if tab:
            mode, _, identity, size = head.split()
            found[path] = _Entry(mode, identity, int(size) if size.isdigit() else 0)
    return found


def _demand_size(entries: Collection[_Entry]) -> None:
    size = sum(entry.size for entry in entries)
    if len(entries) > MOST_FILES or size > MOST_BYTES:
        raise TooMuch(
            f"{len(entries)} files of {size / 2**20:.1f} MiB together; "
            f"at most {MOST_FILES} files and {MOST_BYTES // 2**20} MiB are checked out"
        )


def _batched(output: bytes, folder: str) -> dict[str, str]:
    """From `git cat-file --batch`: `<id> blob <size>\\n<size bytes>\\n`, again and again."""
    texts, at = {}, 0
    while at < len(output):
        head = output[at : output.find(b"\n", at)]
        words = head.decode("ascii", "replace").split()
        if len(words) != 3:
            raise GitError(f"git cat-file in {folder} answered {' '.join(words)[:200]!r}")
        begin = at + len(head) + 1
        at = begin + int(words[2])
        texts[words[0]] = output[begin:at].decode("utf-8", "replace")
        at += 1
    return texts


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
