"""The one place that starts `abra`: bounded, without prompts, in the run's own ABRA_DIR."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty as pseudo_terminal
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import processes
from .answer import cut

TERMINAL_SIZE = (50, 250)  # rows, columns
MOST_OUTPUT = 256 * 1024  # bytes of what is said on a terminal; the end is kept
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
_FATAL = re.compile(r"^\s*FATA(?:\[\d+\])?\s*(.*)$")
_UNKNOWN_FLAG = re.compile(r"unknown (?:shorthand )?flag: (?:'(\w)' in -\w+|(--[\w-]+))")
# Words in abra's errors that speak of the node and not of the recipe.
_NODE = re.compile(
    r"cannot connect to the docker daemon|is the docker daemon running|connection refused|swarm mode not enabled|"
    r"not a swarm manager|no such host|i/o timeout|deadline exceeded|no space left on device|too many open files|"
    r"network \"?proxy\"? not found|could not be found.*\bproxy\b|permission denied|"
    r"code = (unavailable|deadlineexceeded|internal|resourceexhausted)",
    re.IGNORECASE,
)


class AbraError(Exception):
    """abra is missing, or did not end in time. The text says what, after how long, and the last thing abra said."""


class AbraTimeout(AbraError):  # noqa: N818 - says what happened
    """abra did not end within its limit."""


@dataclass(frozen=True)
class Done:
    """How one call ended. With a pseudo-terminal everything is in `stdout`."""

    rc: int
    stdout: str
    stderr: str = ""

    @property
    def output(self) -> str:
        return "\n".join(part for part in (self.stdout.rstrip("\n"), self.stderr.rstrip("\n")) if part)


def abra(
    scope: Mapping[str, Any], argv: Sequence[str], *, limit: float, pty: bool = False, input: str | None = None,
    optional: Sequence[str] = (),
) -> Done:  # fmt: skip
    """Runs `abra <argv>` for a run. `limit` in seconds; AbraError when it is over, or when there is no abra.

    `optional` flags are left out when this abra does not know them: it says so before it does anything.
    """
    wanted, deadline = list(argv) + list(optional), time.monotonic() + limit
    while True:
        done = _run(scope, wanted, max(deadline - time.monotonic(), 1.0), limit, pty, input)
        unknown = unknown_flag(done.output) if done.rc else None
        if unknown not in optional or unknown not in wanted:
            return done
        wanted.remove(unknown)


def unknown_flag(output: str) -> str | None:
    """`-D` or `--name` when the output says that there is no such flag."""
    match = _UNKNOWN_FLAG.search(output)
    return (match[2] or f"-{match[1]}") if match else None


def fatal_words(done: Done) -> str:
    """abra's own reason: its FATA line with what follows it, else the end of the output."""
    lines = done.output.splitlines()
    for index in range(len(lines) - 1, -1, -1):
        match = _FATAL.match(lines[index])
        if match:
            return cut(" ".join([match[1], *(line.strip() for line in lines[index + 1 :])]).strip(), 1000) or ""
    return cut(done.output.strip(), 1000) or f"no word, return code {done.rc}"


def is_nodes_fault(words: str) -> bool:
    """Whether a failure speaks of Docker, swarm or the network instead of the recipe."""
    return bool(_NODE.search(words))


def abra_dir(scope: Mapping[str, Any]) -> str:
    return str(Path(str(scope["node_dir"])) / "abra")


def _environment(scope: Mapping[str, Any]) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("HOME", "DOCKER_CONFIG", "DOCKER_API_VERSION") if key in os.environ}
    path = os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    return {
        "HOME": "/root",
        **kept,
        "PATH": f"{path}:/usr/local/bin",  # a command over SSH often has no /usr/local/bin
        "ABRA_DIR": abra_dir(scope),
        processes.MARK: processes.caller(scope),
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }


def _run(
    scope: Mapping[str, Any], argv: Sequence[str], limit: float, told: float, pty: bool, input: str | None
) -> Done:
    command = ["abra", *argv]
    terminal = pseudo_terminal.openpty() if pty else None
    if terminal:  # tables are cut to the width, and a new terminal has none
        fcntl.ioctl(terminal[1], termios.TIOCSWINSZ, struct.pack("HHHH", *TERMINAL_SIZE, 0, 0))
    try:
        with _started(scope, command, terminal[1] if terminal else None, input) as process:
            try:
                if terminal:
                    os.close(terminal[1])
                    return _through_terminal(process, terminal[0], limit)
                out, err = process.communicate(input.encode() if input is not None else None, timeout=limit)
                return Done(process.returncode, cleaned(out), cleaned(err))
            except (subprocess.TimeoutExpired, TimeoutError) as error:
                said = error.args[0] if isinstance(error, TimeoutError) else _last(process)
                raise AbraTimeout(f"`{shown(argv)}` did not end within {told:.0f} s; last said: {said}") from None
            finally:
                _end(process)
    finally:
        if terminal:
            os.close(terminal[0])


def _started(
    scope: Mapping[str, Any], command: Sequence[str], terminal: int | None, input: str | None
) -> subprocess.Popen[bytes]:
    stdin = terminal if terminal is not None else subprocess.DEVNULL if input is None else subprocess.PIPE
    stdout = terminal if terminal is not None else subprocess.PIPE
    stderr = terminal if terminal is not None else subprocess.PIPE
    environment = _environment(scope)
    try:
        # A session of its own: the whole group can be ended, and no prompt finds our terminal.
        return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=environment,
                                cwd=str(scope["node_dir"]), start_new_session=True)  # fmt: skip
    except FileNotFoundError as error:
        raise AbraError(
            f"There is no abra on this node (looked in {environment['PATH']}); run `ccci bootstrap` for it"
        ) from error


def _through_terminal(process: subprocess.Popen[bytes], terminal: int, limit: float) -> Done:
    """Reads until the program ends: a child that lives on must not keep us here by holding the terminal open."""
    deadline, data = time.monotonic() + limit, b""
    while True:
        ready, _, _ = select.select([terminal], [], [], 0.05)
        piece = b""
        if ready:
            with contextlib.suppress(OSError):  # EIO: nobody holds the other end any more
                piece = os.read(terminal, 65536)
            data = (data + piece)[-MOST_OUTPUT:]  # a recipe's hook may write without end
        if not piece and process.poll() is not None:
            return Done(process.returncode, cleaned(data))
        if not piece and ready:
            time.sleep(0.02)
        if time.monotonic() > deadline:
            raise TimeoutError(cut(cleaned(data).strip(), 300) or "nothing")


def _last(process: subprocess.Popen[bytes]) -> str:
    _end(process)
    out = err = b""
    with contextlib.suppress(subprocess.TimeoutExpired):  # something else may still hold the pipes
        out, err = process.communicate(timeout=2)
    return cut(cleaned(out + err).strip(), 300) or "nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends abra and whatever it started. After a normal end there is nothing to do."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


def cleaned(raw: bytes) -> str:
    """Text without colours and carriage returns."""
    return _ANSI.sub("", raw.decode("utf-8", "replace")).replace("\r\n", "\n").replace("\r", "\n")


def shown(argv: Sequence[str]) -> str:
    return " ".join(["abra", *argv])
