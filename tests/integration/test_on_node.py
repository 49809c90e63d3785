"""Runs the tests that need an engine of their own (mark `docker`) inside the node, with nothing of this machine."""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from playing import PROJECT, Node

pytestmark = pytest.mark.nested
HOME = "/opt/ccci"
LIMIT = 1500.0  # seconds, the making of the Python environment included
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# What pip may need to reach its index from behind a proxy or a mirror.
PASSED_ON = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


def test_what_needs_an_engine_of_its_own(node: Node, tmp_path: Path):
    bring_the_project(node)
    settings = [f"--env={name}" for name in PASSED_ON if name in os.environ]
    settings += ["--env=CCCI_ON_NODE=1", f"--env=PIP_CERT={CERTIFICATES}"]
    done = subprocess.run(
        ["docker", "exec", *settings, "--workdir", HOME, "ccci-nested", "sh", "-c",
         "./ccci --version && ./ccci bootstrap --yes && "
         ".venv/bin/pytest tests -m docker -q -p no:cacheprovider --junitxml=/tmp/on-node.xml"],
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    suite = ElementTree.fromstring(node.run("cat /tmp/on-node.xml")).find("testsuite")
    assert suite is not None
    assert int(suite.get("tests", "0")) > 50, suite.attrib  # fewer: the tests were not found
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", "0"), suite.attrib


def bring_the_project(node: Node) -> None:
    """The files as they are here, without what is made from them; the node's own environment stays."""
    left_out = [f"--exclude=./{name}" for name in (".venv", ".git", "runs", ".mypy_cache", ".ruff_cache", ".ansible")]
    packed = subprocess.run(
        ["tar", "-C", str(PROJECT), "--exclude=__pycache__", *left_out, "-cf", "-", "."],
        capture_output=True,
        check=True,
    )
    node.run(
        f"mkdir -p {HOME}; cd {HOME}; find . -mindepth 1 -maxdepth 1 ! -name .venv ! -name '*.lock' -exec rm -rf {{}} +"
    )
    subprocess.run(
        ["docker", "exec", "-i", "ccci-nested", "tar", "-C", HOME, "-xf", "-"], input=packed.stdout, check=True
    )
    if CERTIFICATES.is_file():  # an authority that only this machine knows
        subprocess.run(["docker", "cp", str(CERTIFICATES), f"ccci-nested:{CERTIFICATES}"], check=True)
