"""Which images a recipe names, in any of its versions, branches and pull requests: texts, with variables and all."""

from __future__ import annotations

import re

from ccci.source.git import GitError, git
from ccci.source.mirror import Mirror

FILES = ("*.yml", "*.yaml", "*.env*")
_ASKED = ("-e", "image:[[:space:]]*[^[:space:]#]+", "-e", "sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[\w./:@$-]{1,500}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NOTHING_FOUND = 1  # git grep's return code


def image_names(mirror: Mirror) -> set[str]:
    """From all refs of a mirror that is up to date: names, cut after the `$` of a variable, and digests."""
    commits = git(mirror.path, "for-each-ref", "--format=%(objectname)").decode().split()
    if not commits:
        return set()
    try:
        output = git(mirror.path, "grep", "-I", "-h", "-o", "-E", *_ASKED, *sorted(set(commits)), "--", *FILES)
    except GitError as error:
        if error.returncode == _NOTHING_FOUND:
            return set()
        raise
    lines = set(output.decode("utf-8", "replace").splitlines())
    return {name for line in lines for name in (_name(line), *_DIGEST.findall(line)) if _NAME.fullmatch(name)}


def _name(line: str) -> str:
    text = line.strip().removeprefix("image:").strip().strip("\"',")
    while text.endswith("}") and text.count("}") > text.count("{"):  # the end of `{image: name}`
        text = text[:-1].rstrip("\"',")
    name, dollar, _ = text.partition("$")
    return name + dollar
