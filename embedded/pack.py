#!/usr/bin/env python3
"""Packs folders into one tar file to send to a node, and prints a hash of what is inside.

    pack.py --to FILE.tar NAME=FOLDER…

Unpacked it gives NAME/… for each, and at last an empty file `complete`: where that is, all of it is. The hash (12 hex
digits) covers names, contents, and whether a file is executable.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import sys
import tarfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("folders", nargs="+", metavar="NAME=FOLDER")
    given = parser.parse_args()
    given.to.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(pack(given.to, dict(folder.split("=", 1) for folder in given.folders)) + "\n")


def pack(target: Path, folders: dict[str, str]) -> str:
    digest = hashlib.sha256()
    with tarfile.open(target, "w") as tar:
        for name, folder in sorted(folders.items()):
            found = files(Path(folder))
            if not found:
                raise SystemExit(f"pack.py: {folder} has no files; expected what {name} is made of")
            for path in found:
                inside = f"{name}/{path.relative_to(folder)}"
                data = path.read_bytes()
                program = os.access(path, os.X_OK)
                digest.update(f"\0{inside}\0{program}\0{len(data)}\0".encode() + data)
                add(tar, inside, data, 0o755 if program else 0o644)
        add(tar, "complete", b"", 0o644)
    return digest.hexdigest()[:12]


def files(folder: Path) -> list[Path]:
    """All files of the folder that belong to it, in a fixed order: none of Python's caches."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if "__pycache__" not in path.parts and path.suffix != ".pyc"]


def add(tar: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    """No owner and no time: the same files make the same tar file."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    tar.addfile(member, io.BytesIO(data))


if __name__ == "__main__":
    main()
