"""Recipes for the contract suite: tiny git repositories with annotated tags, made on the fly. Their origin is a folder,
so that both `-o` and fetching work without a network."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

IMAGES = ("127.0.0.1:5000/ccci/nginx:1.22.1", "127.0.0.1:5000/ccci/nginx:1.26.3")  # in the platform's registry
_AS = (
    "-c", "user.name=Contract", "-c", "user.email=contract@ci.test",
    "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false",
)  # fmt: skip
ENDLESS = "trap 'exit 0' TERM; while :; do sleep 1 & wait $$!; done"

SAMPLE = """\
TYPE={name}
DOMAIN={name}.example.com
TIMEOUT=60
LETTERS=abc
"""
COMPOSE = """\
version: "3.8"
services:
  app:
    image: {image}
    command: ["sh", "-c", "{script}"]
    environment:
      - DOMAIN
      - STAMP=letters-${{LETTERS:-none}}
    networks: [inner]
{service}
    deploy:
      endpoint_mode: dnsrr
      restart_policy: {{condition: any, delay: 1s}}
      labels:
        - "traefik.enable=true"
        - "coop-cloud.${{STACK_NAME}}.version={version}"
        - "coop-cloud.${{STACK_NAME}}.timeout=${{TIMEOUT:-60}}"
{labels}
networks:
  inner:
{tail}
"""


def compose(version: str, image: str = IMAGES[0], *, service: str = "", labels: str = "", tail: str = "",
            script: str = ENDLESS) -> str:  # fmt: skip
    """A compose file with one service `app`; `service`, `labels` and `tail` are YAML lines put in at their places."""
    return COMPOSE.format(version=version, image=image, service=service, labels=labels, tail=tail, script=script)


def sample(name: str, more: str = "") -> str:
    return SAMPLE.format(name=name) + more


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *_AS, "-C", str(folder), *arguments], check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout.strip()


class Source:
    """The repository that a recipe's checkout has as origin."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--initial-branch=main", "--template=")

    def commit(self, files: Mapping[str, str], tag: str = "", *, annotated: bool = True) -> str:
        """The new commit's id; with a tag when one is given."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", tag or "A change")
        if tag:
            git(self.folder, "tag", *(["--annotate", "--message", tag] if annotated else []), tag)
        return git(self.folder, "rev-parse", "HEAD")

    def clone_to(self, folder: Path) -> Path:
        folder.parent.mkdir(parents=True, exist_ok=True)
        git(self.folder.parent, "clone", "--quiet", "--template=", str(self.folder), str(folder))
        return folder


def plain_recipe(folder: Path) -> Source:
    """Two versions and one commit after them, no secrets, no volumes."""
    source = Source(folder)
    name = folder.name
    files = {".env.sample": sample(name), "README.md": f"# {name}\n", "abra.sh": "export CONF_VERSION=v1\n"}
    source.commit({**files, "compose.yml": compose("1.0.0+12.0", IMAGES[0])}, "1.0.0+12.0")
    source.commit({"compose.yml": compose("1.1.0+13.0", IMAGES[1])}, "1.1.0+13.0")
    source.commit({"README.md": "# later\n"})
    return source
