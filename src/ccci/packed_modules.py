"""What Ansible packs for our own modules, kept from one play to the next.

Ansible reads a module and all that it imports, and packs it for the node: 0.2 s for each of the modules of a life,
and anew in every play, because its archives go with the process. Ours are kept in the cache, in a folder named after
everything they are made of. Of other people's modules we do not know what they are made of.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from pathlib import Path

from ansible import constants
from ansible.release import __version__ as ansible_version

from ccci import paths

ARCHIVES = "ansiballz_cache"  # below Ansible's own temporary folder, see ansible.executor.module_common
OURS = "ansible.legacy.ccci_*"
UNUSED_DAYS = 7  # after which the archives of another version of ours go
_SUM = 16  # hex digits of a file's checksum, at the end of its kept name


_begun: list[Path | None] = []  # what `restore` saw in this process


def restore() -> None:
    """Before a play: gives Ansible the archives that it made last time. Without them it only takes longer."""
    with contextlib.suppress(OSError):
        kept = _kept()
        _begun[:] = [kept]
        if kept is None or not kept.is_dir():
            return
        os.utime(kept)
        archives = _archives()
        archives.mkdir(mode=0o700, exist_ok=True)
        for file in kept.glob(OURS):
            name, _, checksum = file.name.rpartition(".")
            data = file.read_bytes()
            if hashlib.sha256(data).hexdigest()[:_SUM] == checksum:  # a machine that lost its power may leave half
                (archives / name).write_bytes(data)


def keep() -> None:
    """After a play: keeps what is new, and forgets versions that nobody has used for a week.

    Nothing is kept when a file changed during the play: then nobody knows which of both it was packed from.
    """
    with contextlib.suppress(OSError):
        kept = _kept()
        if kept is None or _begun != [kept]:
            return
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in _archives().glob(OURS):
            if file.suffix == ".lock" or file.name.endswith("-part"):
                continue
            data = file.read_bytes()
            target = kept / f"{file.name}.{hashlib.sha256(data).hexdigest()[:_SUM]}"
            if not target.exists():
                half = kept / f".{os.getpid()}"
                half.write_bytes(data)
                half.rename(target)
        for other in kept.parent.iterdir():
            if other != kept and time.time() - other.stat().st_mtime > UNUSED_DAYS * 86400:
                shutil.rmtree(other)


def _archives() -> Path:
    return Path(constants.DEFAULT_LOCAL_TMP) / ARCHIVES


def _kept() -> Path | None:
    """None when Ansible was told to look for modules elsewhere as well: then it is not ours to say what it packs."""
    sources = (paths.PROJECT / "library", paths.PROJECT / "module_utils")
    configured = (constants.DEFAULT_MODULE_PATH, constants.DEFAULT_MODULE_UTILS_PATH)
    if any([Path(path).resolve() for path in told] != [ours] for told, ours in zip(configured, sources, strict=True)):
        return None
    made_of = hashlib.sha256(f"{ansible_version} {constants.DEFAULT_MODULE_COMPRESSION}".encode())
    for folder in sources:
        for file in sorted(folder.rglob("*.py")):
            made_of.update(f"\0{file.relative_to(paths.PROJECT)}\0".encode() + file.read_bytes())
    return paths.cache_dir() / "modules" / made_of.hexdigest()[:32]
