"""Starts one ansible-playbook and stays with it until it has ended. The only place that imports ansible_runner.

ansible-runner runs in a thread of its own that lives exactly as long as the playbook: the kernel ends ansible-playbook
when that thread ends (see the callback plugin), so nobody's death leaves a play behind. Its own cancelling is not used,
because it kills with SIGKILL and leaves the running module alive on the node.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ccci import events, paths, redaction
from ccci.errors import InfrastructureError

# What a playbook needs of our own environment. Everything else (tokens, CI variables) stays out of it.
ALLOWED_ENVIRONMENT = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TERM", "TMPDIR", "TZ", "SSH_AUTH_SOCK", "DOCKER_HOST",
    "XDG_CACHE_HOME", "CCCI_CACHE_DIR", "CCCI_RUNS_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "PIP_CERT", "PIP_INDEX_URL", "PIP_FIND_LINKS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
GRACE_SECONDS = 20.0  # between SIGTERM and SIGKILL to ansible-playbook
TICK_SECONDS = 0.1


@dataclass
class Playbook:
    """One call of ansible-playbook. `extra_vars` hold paths and switches only, never a value from a recipe."""

    name: str
    inventory: str
    run_dir: Path
    extra_vars: Mapping[str, str]
    tags: list[str] = field(default_factory=list)
    limit: str | None = None
    options: list[str] = field(default_factory=list)
    marks: Mapping[str, str] = field(default_factory=dict)


def run(
    playbook: Playbook, on_event: Callable[[events.Event], None], on_tick: Callable[[], None], stop: Stop | None = None
) -> int:
    """Runs it to its end and returns ansible-playbook's return code. Events reach `on_event` as they are written."""
    import ansible_runner

    artifacts = playbook.run_dir / "ansible" / Path(playbook.name).stem
    runner = ansible_runner.interface.init_runner(
        private_data_dir=str(playbook.run_dir / "ansible"),
        project_dir=str(paths.PROJECT),
        artifact_dir=str(artifacts.parent),
        ident=artifacts.name,
        playbook=str(paths.PLAYBOOKS / playbook.name),
        inventory=playbook.inventory,
        cmdline=_command_line(playbook),
        quiet=True,
        suppress_env_files=True,
        settings={"pexpect_use_poll": True},
        cancel_callback=lambda: False,
    )
    runner.config.env = _environment(runner.config.env, playbook)
    thread = threading.Thread(target=runner.run, name="ansible-playbook", daemon=False)
    follower = events.Follower(playbook.run_dir)
    follower.new()  # what an earlier play of this run wrote is not news
    killer = _Killer(stop)
    thread.start()
    while thread.is_alive():
        thread.join(TICK_SECONDS)
        for event in follower.new():
            killer.learn(event)
            on_event(event)
        killer.act()
        on_tick()
    for event in follower.new():
        on_event(event)
    _tidy(artifacts, playbook)
    if runner.rc is None:
        raise InfrastructureError(f"ansible-playbook {playbook.name} did not start", observed=str(runner.status))
    return int(runner.rc)


@dataclass
class Stop:
    """Set by a signal handler; the loop of `run` acts on it."""

    signal: str | None = None
    at: float = 0.0

    def request(self, number: int) -> None:
        self.signal = self.signal or signal.Signals(number).name
        self.at = self.at or time.monotonic()


class _Killer:
    """Ends ansible-playbook when a stop was requested: SIGTERM at once, SIGKILL after the grace."""

    def __init__(self, stop: Stop | None) -> None:
        self._stop = stop
        self._pid: int | None = None
        self._sent: list[int] = []

    def learn(self, event: events.Event) -> None:
        if event["type"] == "play_start":
            self._pid = int(event["pid"])

    def act(self) -> None:
        if self._stop is None or self._stop.signal is None or self._pid is None:
            return
        late = time.monotonic() - self._stop.at > GRACE_SECONDS
        wanted = signal.SIGKILL if late else signal.SIGTERM
        if wanted not in self._sent:
            self._sent.append(wanted)
            try:
                os.kill(self._pid, wanted)
            except ProcessLookupError:
                return


def _command_line(playbook: Playbook) -> str:
    import shlex

    words: list[str] = []
    for key, value in playbook.extra_vars.items():
        words += ["-e", f"{key}={shlex.quote(value)}"]
    if playbook.tags and playbook.tags != ["all"]:
        words += ["--tags", ",".join(playbook.tags)]
    if playbook.limit:
        words += ["--limit", playbook.limit]
    return shlex.join([*words, *playbook.options])


def _environment(prepared: Mapping[str, str], playbook: Playbook) -> dict[str, str]:
    """ansible-runner starts from a copy of our environment; only what is listed, and what it added itself, goes on."""
    kept = {key: value for key, value in prepared.items() if key in ALLOWED_ENVIRONMENT or key not in os.environ}
    kept |= {key: value for key, value in prepared.items() if key.startswith(("ANSIBLE_", "RUNNER_", "AWX_"))}
    plugins = [str(paths.PROJECT / "plugins" / "callback"), prepared.get("ANSIBLE_CALLBACK_PLUGINS", "")]
    return kept | {
        "ANSIBLE_CONFIG": str(paths.PROJECT / "ansible.cfg"),
        "ANSIBLE_CALLBACK_PLUGINS": os.pathsep.join(path for path in plugins if path),
        "ANSIBLE_FORCE_COLOR": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "CCCI_PARENT": str(os.getpid()),
        **playbook.marks,
    }


def _tidy(artifacts: Path, playbook: Playbook) -> None:
    """Keeps what ansible-playbook printed, redacted, and nothing else: `command` holds the whole environment."""
    stdout = artifacts / "stdout"
    if stdout.exists():
        log = playbook.run_dir / "logs" / f"ansible-{artifacts.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(redaction.redactor_of(playbook.run_dir).text(stdout.read_text(errors="replace")))
        events.append(
            playbook.run_dir, "artefact", kind="log", path=str(log.relative_to(playbook.run_dir)), title=playbook.name
        )
    shutil.rmtree(playbook.run_dir / "ansible", ignore_errors=True)
