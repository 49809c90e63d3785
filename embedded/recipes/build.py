#!/usr/bin/env python3
"""Builds the bare git repositories of the embedded catalogue: `python build.py RECIPE…`, or all of them.

A recipe is a folder here with a `history.yml` (see README.md) and becomes `<cache>/recipes/<recipe>.git`, with `main`,
annotated tags and `refs/pull/N/head`. Authors and dates are fixed, so everybody gets the same commit ids.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SOURCES = Path(__file__).resolve().parent
WHO = "Recipe Maintainers <maintainers@example.org>"
FIRST_DAY = 1_735_732_800  # 2025-01-01T12:00:00Z
DAY = 86_400
LIMIT = 60  # seconds, for one git command
KEYS = {"subject", "from", "tag", "copy", "write", "edit", "remove"}


class SourceError(Exception):
    """A history.yml that cannot be followed; the text says which commit and why."""


@dataclass
class Commit:
    """One commit. `tree` maps paths to contents, whole; `parent` is a mark, 0 for the first commit."""

    mark: int
    parent: int
    subject: str
    tree: dict[str, bytes]
    tag: str = ""
    refs: list[str] = field(default_factory=list)

    @property
    def at(self) -> str:
        return f"{FIRST_DAY + self.mark * DAY} +0000"


def read_history(folder: Path) -> list[Commit]:
    """The commits of a recipe: `main`, oldest first, then the pull requests by number."""
    history = yaml.safe_load((folder / "history.yml").read_text())
    commits: list[Commit] = []
    named: dict[str, Commit] = {}
    for entry in history["main"]:
        commits.append(_commit(folder, entry, commits[-1] if commits else None, len(commits) + 1))
        if commits[-1].tag:
            named[commits[-1].tag] = commits[-1]
    named["main"] = commits[-1]
    commits[-1].refs.append("refs/heads/main")
    for number, entry in sorted((history.get("pulls") or {}).items()):
        start = entry.get("from", "main")
        if start not in named:
            raise SourceError(f"pull request {number} starts from {start!r}; there is {', '.join(named)}")
        commits.append(_commit(folder, entry, named[start], len(commits) + 1))
        commits[-1].refs.append(f"refs/pull/{number}/head")
    return commits


def _commit(folder: Path, entry: dict[str, Any], parent: Commit | None, mark: int) -> Commit:
    subject = entry.get("subject")
    if not subject or set(entry) - KEYS:
        expected = f"a subject, and perhaps {', '.join(sorted(KEYS - {'subject'}))}"
        raise SourceError(f"commit {mark} has the keys {sorted(entry)}; it needs {expected}")
    tree = dict(parent.tree) if parent else {}
    for path in entry.get("remove") or []:
        if tree.pop(path, None) is None:
            raise SourceError(f"{subject!r} removes {path}, which is not there")
    if "copy" in entry:
        source = folder / entry["copy"]
        tree.update({str(path.relative_to(source)): path.read_bytes() for path in source.rglob("*") if path.is_file()})
    tree.update({path: text.encode() for path, text in (entry.get("write") or {}).items()})
    for path, edits in (entry.get("edit") or {}).items():
        for old, new in edits.items():
            text = tree.get(path, b"").decode()
            # An edit that silently changes nothing would make a pull request with the wrong verdict.
            if text.count(old) != 1:
                raise SourceError(f"{subject!r}: {path} holds {old!r} {text.count(old)} times, not once")
            tree[path] = text.replace(old, new).encode()
    return Commit(mark, parent.mark if parent else 0, subject, tree, entry.get("tag", ""))


def import_stream(commits: list[Commit]) -> bytes:
    """What `git fast-import` reads."""
    parts: list[bytes] = []

    def line(text: str) -> None:
        parts.append(text.encode() + b"\n")

    def data(content: bytes) -> None:
        parts.append(b"data %d\n" % len(content) + content + b"\n")

    for commit in commits:
        line(f"commit refs/building/{commit.mark}")
        line(f"mark :{commit.mark}")
        line(f"committer {WHO} {commit.at}")
        data(commit.subject.encode() + b"\n")
        if commit.parent:
            line(f"from :{commit.parent}")
        line("deleteall")
        for path, content in sorted(commit.tree.items()):
            mode = "100755" if content.startswith(b"#!") else "100644"
            quoted = path.replace("\\", "\\\\").replace('"', '\\"')
            line(f'M {mode} inline "{quoted}"')
            data(content)
    for commit in commits:
        for name in commit.refs:
            line(f"reset {name}")
            line(f"from :{commit.mark}")
            line("")
        if commit.tag:
            line(f"tag {commit.tag}")
            line(f"from :{commit.mark}")
            line(f"tagger {WHO} {commit.at}")
            data(f"Release {commit.tag}\n".encode())
        line(f"reset refs/building/{commit.mark}")
        line(f"from {'0' * 40}")
        line("")
    line("done")
    return b"".join(parts)


def build(recipe: str, catalogue: Path) -> Path:
    """Makes `<catalogue>/<recipe>.git`. Safe when several do it at once; a reader sees the old one or the new one."""
    folder = SOURCES / recipe
    if not (folder / "history.yml").is_file():
        known = sorted(path.parent.name for path in SOURCES.glob("*/history.yml"))
        raise SourceError(f"no recipe {recipe!r} here; there is {', '.join(known)}")
    stream = import_stream(read_history(folder))
    catalogue.mkdir(parents=True, exist_ok=True)
    target = catalogue / f"{recipe}.git"
    with (catalogue / f".{recipe}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        aside = Path(tempfile.mkdtemp(prefix=f".{recipe}-", dir=catalogue))
        try:
            fresh = aside / "new.git"
            _git("init", "-q", "--bare", "--template=", "--object-format=sha1", "--initial-branch=main", str(fresh))
            _git(f"--git-dir={fresh}", "fast-import", "--quiet", "--done", stdin=stream)
            if not target.exists() or _refs(target) != _refs(fresh):
                if target.exists():
                    target.rename(aside / "old.git")
                fresh.rename(target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return target


def _refs(repository: Path) -> str:
    try:
        return _git(f"--git-dir={repository}", "for-each-ref")
    except SourceError:
        return ""  # a damaged one is replaced


def _git(*arguments: str, stdin: bytes = b"") -> str:
    # The caller's own git settings and repository must not show in the result.
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    done = subprocess.run(
        ["git", *arguments], input=stdin, env=environment, capture_output=True, timeout=LIMIT, check=False
    )  # fmt: skip
    if done.returncode != 0:
        raise SourceError(f"git {arguments[0]} ended with {done.returncode}: {done.stderr.decode()[-1000:].strip()}")
    return done.stdout.decode()


def catalogue_dir() -> Path:
    """`<cache>/recipes`; the same rule as the controller's, which this folder does not import."""
    own = os.environ.get("CCCI_CACHE_DIR")
    cache = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ccci"
    return cache / "recipes"


def main(recipes: list[str]) -> int:
    try:
        for recipe in recipes or sorted(path.parent.name for path in SOURCES.glob("*/history.yml")):
            sys.stdout.write(f"{build(recipe, catalogue_dir())}\n")
    except (SourceError, subprocess.TimeoutExpired, OSError, yaml.YAMLError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
