"""Runs a Python module as a process of its own, which sees little of our environment and never outlives its limit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# What a test or a provider may see of our environment. Tokens and the like of whoever started ccci stay out of it.
ENVIRONMENT = (
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "TZ", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK",
    "CCCI_RUN_ID", "CCCI_CACHE_DIR", "CCCI_BROWSER", "DOCKER_HOST",
)  # fmt: skip

OUTPUT_LIMIT = 2**20  # bytes; the end of it is kept


def run(
    module: str, arguments: Sequence[str], folder: Path, more: Mapping[str, str], limit: float
) -> tuple[int | None, str]:
    """The return code of `python -m module` in `folder`, None when `limit` seconds were not enough, and what it wrote.
    Whatever is left of its process group is killed. `more` is added to its environment."""
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    # A file and no pipe: whoever inherits a pipe, and leaves the group, could hold it beyond the limit.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=output,
            env=environment | {"PYTHONDONTWRITEBYTECODE": "1", **more}, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            code: int | None = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            code = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        output.seek(max(output.seek(0, os.SEEK_END) - OUTPUT_LIMIT, 0))
        return code, output.read().decode("utf-8", "replace")
