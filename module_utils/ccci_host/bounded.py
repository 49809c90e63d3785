"""Runs a program on what strangers wrote, bounded in time and in bytes. git of the node and of the controller both go
through it, so it needs the standard library only."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import IO

MOST_OUTPUT = 64 * 2**20  # bytes
LOOK_EVERY = 0.05  # seconds


class TooMuch(Exception):  # noqa: N818 - an answer for the caller, who knows whose repository it is
    """A repository that would fill the memory of whoever reads it, or the disk of whoever checks it out."""


def run(command: Sequence[str], stdin: bytes, limit: float, environment: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    """Return code, stdout and stderr. TooMuch beyond MOST_OUTPUT: a few kilobytes of a repository can list for hours
    (trees that hold one tree many times over), or be a file of gigabytes. FileNotFoundError without the program;
    subprocess.TimeoutExpired after `limit` seconds."""
    deadline = time.monotonic() + limit
    with tempfile.TemporaryFile() as words, tempfile.TemporaryFile() as out:
        # A file and no pipe: `communicate` forgets what it has not yet written when its time is over.
        words.write(stdin)
        words.seek(0)
        return _watched(command, words, out, deadline, environment)


def _watched(
    command: Sequence[str], words: IO[bytes], out: IO[bytes], deadline: float, environment: Mapping[str, str]
) -> tuple[int, bytes, bytes]:
    with subprocess.Popen(command, stdin=words, stdout=out, stderr=subprocess.PIPE, env=dict(environment)) as process:
        try:
            error = None
            while error is None:
                try:
                    _, error = process.communicate(timeout=LOOK_EVERY)
                except subprocess.TimeoutExpired:
                    if time.monotonic() > deadline:
                        raise
                if os.fstat(out.fileno()).st_size > MOST_OUTPUT:
                    raise TooMuch(f"the repository answers with more than {MOST_OUTPUT // 2**20} MiB")
        finally:
            process.kill()
        out.seek(0)
        return process.returncode, out.read(), error
