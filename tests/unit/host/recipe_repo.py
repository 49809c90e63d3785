"""A recipe's repository, made on the fly with real git, and the bundle that the node gets of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}  # fmt: skip
COMPOSE = """\
version: "3.8"
services:
  app:
    image: example/web:1
    volumes: [content:/data]
volumes:
  content:
"""
SAMPLE = "TYPE=web\nDOMAIN=web.example.com\nTIMEOUT=120\n"


class RecipeRepo:
    """`commit` adds one; a value of None removes a file, a tuple is the target of a symbolic link."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch=main", str(folder))

    def git(self, *arguments: str) -> str:
        where = ["-C", str(self.folder)] if self.folder.exists() else []
        done = subprocess.run(["git", *where, *arguments], env=ENVIRONMENT, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, tag: str = "", **files: Any) -> str:
        return self.commit_files(files, tag)

    def commit_files(self, files: Mapping[str, Any], tag: str = "") -> str:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if isinstance(content, tuple):
                path.symlink_to(content[0])
            elif content is not None:
                path.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "x")
        if tag:
            self.git("tag", "-a", tag, "-m", tag)
        return self.git("rev-parse", "HEAD")

    def bundle(self, path: Path) -> Path:
        self.git("bundle", "create", "--quiet", str(path), "HEAD", "--all")
        return path


def scope_of(node_dir: Path, recipe: str = "web") -> dict[str, Any]:
    node_dir.mkdir(parents=True, exist_ok=True)
    return {"run": "20260101-000000-web", "recipe": recipe, "domain": "web-c12afe.ci.test",
            "stack": "web-c12afe_ci_test", "node_dir": str(node_dir), "server": "default"}  # fmt: skip
