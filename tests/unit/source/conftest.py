"""Tiny real repositories."""

from __future__ import annotations

from pathlib import Path

import pytest
from gitrepo import Repo


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCCI_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """Two published versions, a lightweight tag, a commit after them, and pull requests 1 and 2."""
    repo = Repo(tmp_path / "forge" / "demo.git")
    first = repo.commit({"compose.yml": "services: {}\n", "abra.sh": "export A=v1\n"}, "First")
    repo.tag("1.0.0+1.2.0", first)
    second = repo.commit({"compose.yml": "services: {app: {image: demo:2}}\n"}, "Second", parent=first)
    repo.tag("1.1.0+1.3.0", second)
    repo.ref("refs/tags/9.9.9+9.9.9", second)
    main = repo.commit({"README.md": "Demo\n"}, "Say what it is", parent=second)
    repo.ref("refs/heads/main", main)
    repo.ref("refs/pull/1/head", repo.commit({".ccci/tests/x.yml": "[]\n"}, "A change", parent=main))
    repo.ref("refs/pull/2/head", repo.commit({"compose.yml": "bad\n"}, "From the old version", parent=first))
    return repo
