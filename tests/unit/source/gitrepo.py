"""Makes tiny bare repositories with git's plumbing: no work tree, a few milliseconds a commit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_WHO = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "Test"), ("EMAIL", "test@example.com"), ("DATE", "1700000000 +0000"))
}


class Repo:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "init", "-q", "--bare", "--template=", "-b", "main", str(path)], check=True)

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def git(self, *arguments: str, stdin: str = "", **environment: str) -> str:
        done = subprocess.run(
            ["git", f"--git-dir={self.path}", *arguments],
            input=stdin, env={**os.environ, **_WHO, **environment}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str], subject: str, parent: str | None = None) -> str:
        """A commit with the parent's files and these."""
        index = str(self.path / "test-index")
        Path(index).unlink(missing_ok=True)
        if parent:
            self.git("read-tree", parent, GIT_INDEX_FILE=index)
        lines = []
        for name, text in files.items():
            lines.append(f"100644 {self.git('hash-object', '-w', '--stdin', stdin=text)}\t{name}")
        self.git("update-index", "--index-info", stdin="\n".join([*lines, ""]), GIT_INDEX_FILE=index)
        tree = self.git("write-tree", GIT_INDEX_FILE=index)
        return self.git("commit-tree", tree, "-m", subject, *(["-p", parent] if parent else []))

    def ref(self, name: str, commit: str) -> str:
        self.git("update-ref", name, commit)
        return commit

    def tag(self, name: str, commit: str) -> str:
        self.git("tag", "-a", "-m", name, name, commit)
        return commit
