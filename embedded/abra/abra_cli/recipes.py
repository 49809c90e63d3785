"""A recipe's git checkout in ABRA_DIR/recipes. git never runs a hook, never prompts, and is always bounded."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from .errors import FatalError
from .versions import in_order

LIMIT = 120.0  # seconds for one git command
LARGEST_FILE = 1024 * 1024  # bytes that are read of any file
_SAFE = (
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never", "-c", "gc.auto=0",
    "-c", "safe.directory=*", "-c", "advice.detachedHead=false", "-c", "maintenance.auto=false",
)  # fmt: skip
_KEPT = ("PATH", "HOME", "SSH_AUTH_SOCK", "CCCI_RUN_ID")


def abra_dir() -> Path:
    """DIR-1."""
    named = os.environ.get("ABRA_DIR")
    return Path(named) if named else Path.home() / ".abra"


def git(folder: Path, *arguments: str) -> str:
    """stdout of a git command. FatalError with git's own words."""
    environment = {key: os.environ[key] for key in _KEPT if key in os.environ}
    environment |= {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    }
    try:
        done = subprocess.run(["git", *_SAFE, "-C", str(folder), *arguments], capture_output=True, timeout=LIMIT,
                              stdin=subprocess.DEVNULL, env=environment, check=False)  # fmt: skip
    except FileNotFoundError as error:
        raise FatalError("git is not installed: apt-get install git") from error
    except subprocess.TimeoutExpired as error:
        raise FatalError(f"git {arguments[0]} in {folder} did not end within {LIMIT:.0f} s") from error
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip()[-800:]
        raise FatalError(f"git {arguments[0]} in {folder}: {words}")
    return done.stdout.decode("utf-8", "replace")


class Recipe:
    """`named` is a name, or a URL, whose folder is `<host>_<org>_<name>` (DIR-3)."""

    def __init__(self, named: str) -> None:
        self.named = named
        self.name = folder_name(named)
        self.folder = abra_dir() / "recipes" / self.name

    def require(self) -> None:
        if not (self.folder / ".git").exists():
            raise FatalError(
                f"unable to find the recipe {self.name} in {self.folder.parent}: clone it there, or fetch it by its "
                "URL (this abra knows no forge)"
            )

    def fetch(self) -> None:
        """Clones a recipe given by URL; fetches tags of one that is there and has an origin."""
        if not (self.folder / ".git").exists():
            if self.named == self.name:
                self.require()
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            git(self.folder.parent, "clone", "--quiet", "--", self.named, str(self.folder))
        elif "origin" in git(self.folder, "remote").split():
            git(self.folder, "fetch", "--quiet", "--tags", "--force", "origin")

    def head(self) -> str:
        """The commit that is checked out, 40 hex digits."""
        return git(self.folder, "rev-parse", "HEAD").strip()

    def is_dirty(self) -> bool:
        """Untracked files count (CMP-8)."""
        return bool(git(self.folder, "status", "--porcelain", "--untracked-files=normal").strip())

    def chaos_version(self) -> str:
        return self.head()[:8] + ("+U" if self.is_dirty() else "")

    def tags(self) -> dict[str, bool]:
        """`{tag: whether it is annotated}`."""
        lines = git(self.folder, "for-each-ref", "--format=%(objecttype) %(refname:strip=2)", "refs/tags").splitlines()
        return {name: kind == "tag" for kind, _, name in (line.partition(" ") for line in lines)}

    def versions(self) -> list[str]:
        """Annotated tags that are versions, oldest first (VER-2, VER-4)."""
        return in_order(tag for tag, annotated in self.tags().items() if annotated)

    def require_clean(self) -> None:
        if self.is_dirty():
            raise FatalError(f"{self.name} ({self.folder}) has locally unstaged changes: commit them, or use --chaos")

    def check_out(self, version: str) -> None:
        """A tag or a commit (ENV-4)."""
        wanted = f"refs/tags/{version}" if version in self.tags() else version
        if wanted == version and not re.fullmatch(r"[0-9a-f]{7,40}", version):
            known = ", ".join(self.versions()[-5:]) or "none"
            raise FatalError(f"{self.name} has no version {version}; the newest are: {known}")
        git(self.folder, "checkout", "--quiet", "--detach", f"{wanted}^{{commit}}", "--")

    def file(self, name: str) -> str | None:
        return self.files().get(name)

    def files(self) -> Files:
        return Files(self.folder)


class Files(Mapping[str, str]):
    """The texts of the checkout by their path, read when asked for; a link that leads out of it is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def __getitem__(self, name: str) -> str:
        path = self._path(name)
        if path is None:
            raise KeyError(name)
        with path.open("rb") as file:
            return file.read(LARGEST_FILE).decode("utf-8", "replace")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._path(name) is not None

    def __iter__(self) -> Iterator[str]:
        for pattern in ("*", "*/*"):
            for path in sorted(self._folder.glob(pattern)):
                name = str(path.relative_to(self._folder))
                if not name.startswith(".git/") and self._path(name):
                    yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _path(self, name: str) -> Path | None:
        path = (self._folder / name).resolve()
        return path if path.is_file() and path.is_relative_to(self._folder) else None


def folder_name(named: str) -> str:
    if "/" not in named:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", named):
            raise FatalError(f"{named!r} is no name of a recipe")
        return named
    plain = re.sub(r"^\w+://(?:[^/@]*@)?", "", named).removesuffix(".git").strip("/")
    return re.sub(r"[^A-Za-z0-9_-]", "_", plain)
