"""The one way in which the contract suite starts an abra, whichever it is."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

EMBEDDED = Path(__file__).parents[3] / "embedded/abra/abra"
BINARY = os.environ.get("CCCI_ABRA") or str(EMBEDDED)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[@-Z\\-_]")


@dataclass(frozen=True)
class Done:
    """`output` is stdout and stderr together; `stdout` and `stderr` are empty when a pseudo-terminal was used."""

    rc: int
    output: str
    stdout: str = ""
    stderr: str = ""


@dataclass
class Abra:
    """`abra(*argv)` with an ABRA_DIR of its own."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __call__(self, *argv: str, pty: bool = False, limit: float = 60, input: str | None = None) -> Done:
        """Fails the test when the command is not over after `limit` seconds."""
        return _in_terminal(self, argv, limit) if pty else _in_pipes(self, argv, limit, input)

    def ok(self, *argv: str, pty: bool = False, limit: float = 60, input: str | None = None) -> Done:
        """The same, where success is a precondition."""
        done = self(*argv, pty=pty, limit=limit, input=input)
        assert done.rc == 0, f"abra {' '.join(argv)} ended with {done.rc}:\n{done.output}"
        return done

    def env_file(self, domain: str, server: str = "default") -> Path:
        return self.folder / "servers" / server / f"{domain}.env"

    def checkout(self, recipe: str) -> Path:
        return self.folder / "recipes" / recipe

    def environment(self) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "DOCKER_CONFIG") if key in os.environ}
        return {**kept, "ABRA_DIR": str(self.folder), "LC_ALL": "C.UTF-8", "TERM": "xterm", **self.variables}


def _in_pipes(abra: Abra, argv: tuple[str, ...], limit: float, input: str | None) -> Done:
    process = subprocess.Popen([BINARY, *argv], stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=abra.environment(), cwd=abra.folder,
                               start_new_session=True)  # fmt: skip
    try:
        out, err = process.communicate(input.encode() if input is not None else None, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"abra {' '.join(argv)} did not end within {limit:.0f} s") from error
    finally:
        _end(process)
    stdout, stderr = _text(out), _text(err)
    return Done(process.returncode, stdout + stderr, stdout, stderr)


def _in_terminal(abra: Abra, argv: tuple[str, ...], limit: float) -> Done:
    master, slave = pty.openpty()
    process = subprocess.Popen([BINARY, *argv], stdin=slave, stdout=slave, stderr=slave, env=abra.environment(),
                               cwd=abra.folder, start_new_session=True)  # fmt: skip
    os.close(slave)
    deadline, data = time.monotonic() + limit, b""
    try:
        while time.monotonic() < deadline:
            piece = b""
            if select.select([master], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):
                    piece = os.read(master, 65536)
            data += piece
            if not piece and process.poll() is not None:
                return Done(process.returncode, _text(data))
        raise AssertionError(f"abra {' '.join(argv)} did not end within {limit:.0f} s; it said {_text(data)[-500:]!r}")
    finally:
        _end(process)
        os.close(master)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _text(raw: bytes) -> str:
    return _ANSI.sub("", raw.decode("utf-8", "replace")).replace("\r\n", "\n").replace("\r", "\n")
