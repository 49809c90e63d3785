#!/usr/bin/env python3
"""Makes the image of a machine in a container on this machine's Docker, and prints its name.

    build.py bare|node --archives DIR

Its Debian is the base image of the embedded platform: the one that Docker has, else from DIR (the controller's cache),
else made with mmdebstrap; on a machine without mmdebstrap (a laptop), Docker Hub's `debian`.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "images"))

import images  # noqa: E402 - found through the line above

SUITE = "base:bookworm"
PUBLIC_BASE = "debian:bookworm-slim"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=["bare", "node"])
    parser.add_argument("--archives", type=Path, required=True)
    given = parser.parse_args()
    inputs = images.hash_inputs({"context": {".": "node/image"}}, images.read_images()[SUITE])
    name = f"ccci-node:{given.target}-{inputs}"
    if images.local_inputs(name) != inputs:
        label = f"{images.LABEL}={inputs}"
        base = base_image(given.archives)
        command = ["docker", "build", "--quiet", "--tag", name, "--target", given.target, "--label", label]
        images.run([*command, "--build-arg", f"BASE={base}", str(HERE / "image")], 900)
    sys.stdout.write(f"{name}\n")


def base_image(archives: Path) -> str:
    base = images.read_images()[SUITE]
    if images.local_inputs(base["ref"]) == base["inputs"]:
        return str(base["ref"])
    archive = archives / images.archive_name(base, platform.machine())
    if archive.is_file() and shutil.which("zstd"):
        images.load(archive)
    elif shutil.which("mmdebstrap") and os.getuid() == 0:
        images.make_base(base)
    else:
        images.run(["docker", "pull", "--quiet", PUBLIC_BASE], 300)
        return PUBLIC_BASE
    return str(base["ref"])


if __name__ == "__main__":
    main()
