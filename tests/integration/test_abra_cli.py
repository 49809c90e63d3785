"""The role abra_cli with a released abra: pinned by a checksum, installed once, replaced when the pin moves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import START_LIMIT, Machine, machine, run, through_docker, write_inventory

pytestmark = pytest.mark.nested


@pytest.fixture(scope="module")
def bare() -> Iterator[Machine]:
    with machine("bare") as found:
        yield found


def release(bare: Machine, version: str) -> dict[str, str]:
    """An archive as a release page has it, on the machine itself; gives the role's variables for it."""
    archive = f"/root/abra_{version}_linux.tar.gz"
    bare.sh(
        f"mkdir -p /root/{version} && cd /root/{version} && touch LICENSE"
        f" && printf '#!/bin/sh\\necho abra version {version}\\n' >abra && tar -czf {archive} LICENSE abra"
    )
    checksum = bare.sh(f"sha256sum {archive}").split()[0]
    return {"abra_cli_mode": "released", "abra_cli_url": f"file://{archive}", "abra_cli_checksum": f"sha256:{checksum}"}


def install(bare: Machine, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    inventory = write_inventory(folder, bare, through_docker(bare))
    words = [bare.name, "-i", str(inventory), "-m", "ansible.builtin.include_role", "-a", "name=abra_cli"]
    ansible = str(Path(sys.executable).parent / "ansible")
    return run([ansible, *words, "-e", json.dumps(variables)], START_LIMIT, check=False)


def test_a_release_is_installed_once_and_replaced_when_the_pin_moves(bare: Machine, tmp_path: Path) -> None:
    first, second = release(bare, "1.0.0"), release(bare, "1.1.0")
    assert install(bare, tmp_path, first).returncode == 0
    assert bare.sh("abra --version").strip() == "abra version 1.0.0"
    assert "| CHANGED" not in install(bare, tmp_path, first).stdout
    assert install(bare, tmp_path, second).returncode == 0
    assert bare.sh("abra --version").strip() == "abra version 1.1.0"
    assert bare.sh("test -d ~/.abra/servers/default && echo yes").strip() == "yes"


def test_another_checksum_is_refused(bare: Machine, tmp_path: Path) -> None:
    done = install(bare, tmp_path, {**release(bare, "2.0.0"), "abra_cli_checksum": f"sha256:{'0' * 64}"})
    assert done.returncode != 0
    assert "checksum" in done.stdout
    assert "2.0.0" not in bare.sh("abra --version || true", check=False)


def test_a_release_without_checksum_is_refused(bare: Machine, tmp_path: Path) -> None:
    done = install(bare, tmp_path, {**release(bare, "2.0.0"), "abra_cli_checksum": ""})
    assert done.returncode != 0
    assert "needs abra_cli_url and abra_cli_checksum" in " ".join(done.stdout.split())
