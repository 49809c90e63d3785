"""Which images a recipe names, in all of its refs."""

from __future__ import annotations

from pathlib import Path

import pytest
from gitrepo import Repo

from ccci.source.image_names import image_names
from ccci.source.mirror import Mirror

DIGEST = "sha256:" + "a" * 64
COMPOSE = """\
services:
  app:
    image: "docker.io/example/web:{tag}"  # a comment
  db: {{image: postgres:16, environment: [A=b]}}
  worker:
    image: 'example/worker:${{WORKER:-1}}'
"""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    monkeypatch.setenv("CCCI_CACHE_DIR", str(tmp_path / "cache"))
    forge = Repo(tmp_path / "demo.git")
    first = forge.commit({"compose.yml": COMPOSE.format(tag="1")}, "First")
    forge.tag("1.0.0+1", first)
    forge.ref("refs/heads/main", forge.commit({"compose.yml": COMPOSE.format(tag="2")}, "Second", first))
    pinned = {"compose.more.yml": f"services: {{x: {{image: example/x:1@{DIGEST}}}}}\n", ".env.sample": f"A={DIGEST}\n"}
    forge.ref("refs/pull/1/head", forge.commit(pinned, "Pin", first))
    found = Mirror.open("demo", forge.url)
    found.fetch()
    return found


def test_every_name_of_every_ref(mirror: Mirror) -> None:
    assert image_names(mirror) == {
        "docker.io/example/web:1", "docker.io/example/web:2", "postgres:16", "example/worker:$",
        f"example/x:1@{DIGEST}", DIGEST,
    }  # fmt: skip


def test_a_recipe_without_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCCI_CACHE_DIR", str(tmp_path / "cache"))
    forge = Repo(tmp_path / "bare.git")
    mirror = Mirror.open("bare", forge.url)
    mirror.fetch()
    assert image_names(mirror) == set()
    forge.ref("refs/heads/main", forge.commit({"README.md": "image: nothing\n"}, "First"))
    mirror.fetch()
    assert image_names(mirror) == set()
