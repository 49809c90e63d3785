"""Starts one ansible-playbook and stays with it until it has ended. The only place that imports ansible_runner.

ansible-runner runs in a thread of its own that lives exactly as long as the playbook: the kernel ends ansible-playbook
when that thread ends (see the callback plugin), so nobody's death leaves a play behind. Its own cancelling is not used,
because it kills with SIGKILL and leaves the running module alive on the node.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shlex
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ccci import events, paths, redaction
from ccci.engine import processes
from ccci.errors import InfrastructureError

# What a playbook needs of our own environment. Everything else (tokens, CI variables) stays out of it.
ALLOWED_ENVIRONMENT = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TERM", "TMPDIR", "TZ", "SSH_AUTH_SOCK", "DOCKER_HOST",
    "XDG_CACHE_HOME", "CCCI_CACHE_DIR", "CCCI_RUNS_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "PIP_CERT", "PIP_INDEX_URL", "PIP_FIND_LINKS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
    "no_proxy", "ANSIBLE_BECOME_PASSWORD_FILE", "ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_CONNECTION_PASSWORD_FILE",
    "ANSIBLE_HOST_KEY_CHECKING", "ANSIBLE_PRIVATE_KEY_FILE",
    "ANSIBLE_REMOTE_USER", "ANSIBLE_SSH_ARGS", "ANSIBLE_SSH_COMMON_ARGS", "ANSIBLE_TIMEOUT",
    "ANSIBLE_VAULT_PASSWORD_FILE",
)  # fmt: skip
GRACE_SECONDS = 20.0  # between SIGTERM and SIGKILL to ansible-playbook
STRAY_SECONDS = 5.0  # the same, for workers that outlive it
TICK_SECONDS = 0.1
SCRATCH = "ansible"  # ansible-runner's own files, below the run's folder; gone when the playbook has ended
SCRATCH_BYTES = 16 * 2**20
RUN_MARK, PARENT_MARK = "CCCI_RUN_ID", "CCCI_PARENT"


@dataclass
class Playbook:
    """One call of ansible-playbook. `extra_vars` hold paths and switches only, never a value from a recipe.

    `run_mark` is the id of the run whose processes this playbook starts. `announce`: tasks become events as they begin.
    """

    name: str
    inventory: str
    run_dir: Path
    extra_vars: Mapping[str, str]
    tags: list[str] = field(default_factory=list)
    limit: str | None = None
    options: list[str] = field(default_factory=list)
    run_mark: str | None = None
    announce: bool = False


@dataclass
class Stop:
    """Set by a signal handler; the loop of `run` acts on it."""

    signal: str | None = None
    at: float = 0.0

    def request(self, number: int) -> None:
        self.signal = self.signal or signal.Signals(number).name
        self.at = self.at or time.monotonic()


def run(
    playbook: Playbook, on_event: Callable[[events.Event], None], on_tick: Callable[[], None], stop: Stop | None = None
) -> int:
    """Runs it to its end and returns ansible-playbook's return code, 128 + N when signal N ended it.

    Events reach `on_event` in this thread as they are written. InfrastructureError when it did not run at all.
    """
    if stop is not None and stop.signal is not None:
        return 128 + signal.Signals[stop.signal]
    scratch = _scratch(playbook.run_dir)
    started: queue.SimpleQueue[events.Event] = queue.SimpleQueue()
    try:
        call = _Call(playbook, scratch, started)
        follower = events.Follower(playbook.run_dir)
        follower.new()  # what an earlier play of this run wrote is not news
        killer = _Killer(stop)
        call.thread.start()
        while call.thread.is_alive():
            call.thread.join(TICK_SECONDS)
            killer.act()
            _deliver(started, follower, on_event)
            on_tick()
        _deliver(started, follower, on_event)
        if playbook.run_mark and (call.code != 0):
            # Workers have sessions of their own and may outlive the ansible-playbook that was told to end.
            processes.end_marked(RUN_MARK, playbook.run_mark, STRAY_SECONDS)
        with contextlib.suppress(OSError):  # a full disk must not keep the caller from cleaning up
            _keep_output(call.artifacts, playbook)
        return call.code
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Call:
    """ansible-runner in its thread."""

    def __init__(self, playbook: Playbook, scratch: Path, started: queue.SimpleQueue[events.Event]) -> None:
        import ansible_runner

        self._playbook = playbook
        self._failure: Exception | None = None
        self._started = started
        self.artifacts = scratch / Path(playbook.name).stem
        self._runner = ansible_runner.interface.init_runner(
            private_data_dir=str(scratch),
            project_dir=str(paths.PROJECT),
            artifact_dir=str(scratch),
            ident=self.artifacts.name,
            playbook=str(paths.PLAYBOOKS / playbook.name),
            inventory=playbook.inventory,
            cmdline=_command_line(playbook),
            quiet=True,
            suppress_env_files=True,
            cancel_callback=lambda: False,
            event_handler=self._on_runner_event,
        )
        self._runner.config.env = _environment(self._runner.config.env, playbook, scratch)
        self.thread = threading.Thread(target=self._run, name="ansible-playbook")

    @property
    def code(self) -> int:
        if self._failure is not None:
            raise InfrastructureError(
                f"ansible-playbook {self._playbook.name} could not be run", observed=str(self._failure)
            ) from self._failure
        if self._runner.rc is None:  # pexpect gives no code to what a signal ended
            return 128 + signal.SIGTERM
        return int(self._runner.rc)

    def _run(self) -> None:
        try:
            self._runner.run()
        except Exception as error:  # it must not be lost in this thread
            self._failure = error

    def _on_runner_event(self, event: dict[str, Any]) -> bool:
        """Keeps ansible-runner from writing a file per event; ours are in events.jsonl."""
        data = event.get("event_data") or {}
        if self._playbook.announce and event.get("event") == "playbook_on_task_start":
            self._started.put({"type": "task_start", "at": time.time(), "name": str(data.get("task") or "").strip()})
        return False


class _Killer:
    """Ends ansible-playbook when a stop was requested: SIGTERM at once, SIGKILL after the grace."""

    def __init__(self, stop: Stop | None) -> None:
        self._stop = stop
        self._sent: set[tuple[int, int]] = set()

    def act(self) -> None:
        if self._stop is None or self._stop.signal is None:
            return
        late = time.monotonic() - self._stop.at > GRACE_SECONDS
        number = signal.SIGKILL if late else signal.SIGTERM
        for pid in processes.marked(PARENT_MARK, str(os.getpid())):
            # A second SIGTERM would cut short what the first one makes it do.
            if processes.parent(pid) == os.getpid() and (pid, number) not in self._sent:
                self._sent.add((pid, number))
                processes.send([pid], number)


def _deliver(
    started: queue.SimpleQueue[events.Event], follower: events.Follower, on_event: Callable[[events.Event], None]
) -> None:
    while not started.empty():
        on_event(started.get())
    for event in follower.new():
        on_event(event)


def _scratch(run_dir: Path) -> Path:
    """Where ansible-runner may write. On a full disk somewhere else, because the cleaning after a run needs it too."""
    folder = run_dir / SCRATCH
    shutil.rmtree(folder, ignore_errors=True)
    if shutil.disk_usage(run_dir).free >= SCRATCH_BYTES:
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700)
            return folder
    return Path(tempfile.mkdtemp(prefix="ccci-ansible-"))


def _command_line(playbook: Playbook) -> str:
    words: list[str] = []
    for key, value in playbook.extra_vars.items():
        words += ["-e", f"{key}={shlex.quote(value)}"]
    if playbook.tags and playbook.tags != ["all"]:
        words += ["--tags", ",".join(playbook.tags)]
    if playbook.limit:
        words += ["--limit", playbook.limit]
    return shlex.join([*words, *playbook.options])


def _environment(prepared: Mapping[str, str], playbook: Playbook, scratch: Path) -> dict[str, str]:
    """ansible-runner starts from a copy of our environment; only what is listed, and what it added itself, goes on."""
    kept = {key: value for key, value in prepared.items() if key in ALLOWED_ENVIRONMENT or key not in os.environ}
    if "ANSIBLE_HOST_KEY_CHECKING" not in os.environ:
        del kept["ANSIBLE_HOST_KEY_CHECKING"]  # ansible-runner turns the check off; ansible.cfg wants it on
    callbacks = [str(paths.PROJECT / "plugins" / "callback"), prepared.get("ANSIBLE_CALLBACK_PLUGINS", "")]
    own = {
        # ansible-playbook stands beside our own Python, whether or not that environment was activated.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), prepared.get("PATH", os.defpath)]),
        "ANSIBLE_CONFIG": str(paths.PROJECT / "ansible.cfg"),
        "ANSIBLE_CALLBACK_PLUGINS": os.pathsep.join(path for path in callbacks if path),
        "ANSIBLE_STDOUT_CALLBACK": prepared["ANSIBLE_STDOUT_CALLBACK"],
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # One that is killed cannot take its own folder away.
        "ANSIBLE_LOCAL_TEMP": str(scratch / "tmp"),
        PARENT_MARK: str(os.getpid()),
    }
    return kept | own | ({RUN_MARK: playbook.run_mark} if playbook.run_mark else {})


def _keep_output(artifacts: Path, playbook: Playbook) -> None:
    """What ansible-playbook printed, redacted. Nothing else of ansible-runner's files stays: `command` holds the
    whole environment."""
    stdout = artifacts / "stdout"
    if not stdout.exists():
        return
    log = playbook.run_dir / "logs" / f"ansible-{artifacts.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(redaction.redactor_of(playbook.run_dir).text(stdout.read_text(errors="replace")))
    title = f"What ansible-playbook {artifacts.name}.yml printed"
    events.append(playbook.run_dir, "artefact", kind="log", path=str(log.relative_to(playbook.run_dir)), title=title)
