"""Is a node set up for the embedded platform, and setting it up. Reads no Ansible: the answer costs milliseconds."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ccci import inventory, paths
from ccci.errors import InfrastructureError, UsageError
from ccci.settings import Settings

EMBEDDED = "embedded"
STAMP = "bootstrapped.json"
PLAYBOOK = "bootstrap.yml"
PIP_LIMIT = 600  # seconds
# What a node's set-up is made from. When one of these changes, the node is set up again.
_ROLES = ("host_setup", "ingress", "registry", "abra_cli", "backupbot", "nested_node", "controller_setup")
_PARTS = ("embedded", "module_utils/ccci_host", *(f"roles/{role}" for role in _ROLES), f"playbooks/{PLAYBOOK}")
_NOISE = ("__pycache__", ".pyc")
CONTROLLER = "this machine's checks need a browser: the package chromium, unless there is one"
CONTAINER = "the node is the container {container} of this machine's Docker, which is installed when there is none"
CHANGES = (
    "packages from Debian: Docker Engine (unless there is one), git and a few tools",
    "Docker Engine started, a single-node swarm (an existing one is adopted), the overlay network `proxy`",
    "an own certificate authority and a wildcard certificate for *.{domain}, in /var/lib/ccci/platform",
    "Traefik on the ports 80 and 443, a registry on 127.0.0.1:5000, a backup service",
    "the command abra in /usr/local/bin, and images built from Debian for the embedded recipes",
)


@dataclass(frozen=True)
class State:
    """`missing` says why the node does not count as set up; None when it does. `images`: ids of the large images, made
    on demand, that it shall have."""

    node: inventory.Node
    missing: str | None
    images: tuple[str, ...] = ()


def fingerprint(project: Path = paths.PROJECT) -> str:
    """sha256 over the sorted relative paths and contents of everything that a node's set-up is made from."""
    digest = hashlib.sha256()
    for path in sorted(_sources(project), key=lambda path: path.relative_to(project).as_posix()):
        digest.update(path.relative_to(project).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def images_on_demand(recipes: Iterable[str], project: Path = paths.PROJECT) -> set[str]:
    """Ids of the large images that these recipes of the embedded catalogue name in any of their versions."""
    entries = tomllib.loads((project / "embedded/images/images.toml").read_text())["image"]
    ids = {f"{entry['name']}:{entry['tag']}" for entry in entries if entry.get("on_demand")}
    folders = [project / "embedded/recipes" / recipe for recipe in recipes]
    text = "\n".join(path.read_text() for folder in folders for path in folder.rglob("*") if path.is_file())
    return {name for name in ids if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text)}


def state(settings: Settings, recipes: Iterable[str] = ()) -> State:
    """What is known here about the chosen node, on which `recipes` shall be played. UsageError when the inventory has
    no such node."""
    node = inventory.chosen(settings.inventory, settings.node)
    if settings.platform != EMBEDDED:
        return State(node, None)  # its operators set it up; the run's first task checks the node itself
    wanted = images_on_demand(recipes)
    stamp = paths.node_facts_dir(node.name) / STAMP
    try:
        known = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return State(node, "it was never set up from here", tuple(sorted(wanted)))
    had = set(known.get("images", []))
    images = tuple(sorted(wanted | had))
    if known.get("fingerprint") != fingerprint():
        return State(node, "the sources of its set-up changed since", images)
    if wanted - had:
        return State(
            node, f"it lacks the images {', '.join(sorted(wanted - had))}, which take minutes to build", images
        )
    if node.local:
        return State(node, None if _ask_docker("/_ping") is not None else "its Docker does not answer", images)
    if node.container:
        running = ((_ask_docker(f"/containers/{node.container}/json") or {}).get("State") or {}).get("Running")
        return State(node, None if running else f"its container {node.container} does not run", images)
    return State(node, None, images)


def _ask_docker(path: str) -> Any:
    """What this machine's Docker answers; None when it does not, or says no."""
    from ccci_host.docker import Client, DockerError

    try:
        return Client(timeout=10.0).get(path)
    except (DockerError, OSError):
        return None


def ensure(settings: Settings, assume_yes: bool, recipes: Iterable[str] = ()) -> None:
    """Sets the node up for `recipes` when it is not; asks on a terminal, and without one wants --yes (UsageError
    otherwise)."""
    found = state(settings, recipes)
    if found.missing is None:
        return
    sys.stderr.write(explanation(found, settings))
    if not assume_yes:
        _ask(found)
    set_up(settings, found)


def bootstrap(settings: Settings, assume_yes: bool, check: bool = False) -> None:
    """`ccci bootstrap`: the same, also when the node is set up already (it then changes nothing)."""
    found = state(settings)
    sys.stderr.write(explanation(found, settings))
    if not assume_yes and not check:
        _ask(found)
    set_up(settings, found, check)


def ensure_python(wanted: Mapping[str, Iterable[str]], assume_yes: bool) -> None:
    """Installs the packages that tests import and that are missing; `wanted` is {place in recipe.yml: names}. Asks on a
    terminal, and without one wants --yes (UsageError otherwise)."""
    from ccci.plan import python_packages

    lacking = {one: place for place, names in wanted.items() for one in python_packages.missing(names, place)}
    if not lacking:
        return
    told = ", ".join(f"{one} ({place})" for one, place in lacking.items())
    command = " ".join([sys.executable, "-m", "pip", "install", *map(shlex.quote, lacking)])
    sys.stderr.write(f"ccci: tests need Python packages that are not installed: {told}\n")
    if not assume_yes:
        _confirm(f"not installed: {told}", "Install them into ccci's own Python environment?", command)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *lacking]
    try:
        done = subprocess.run(
            pip, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PIP_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        raise InfrastructureError(f"pip did not end within {PIP_LIMIT} s", next_step=command) from None
    if done.returncode:
        raise InfrastructureError(
            f"{told} cannot be installed", observed=(done.stderr or done.stdout).strip()[-600:], next_step=command
        )


def explanation(found: State, settings: Settings) -> str:
    """What a person must know before the first change to a machine."""
    where = "this machine" if found.node.local else f"the node {found.node.name}"
    why = f"{where} is not ready: {found.missing}" if found.missing else f"{where} is set up; this brings it up to date"
    lines = [CONTROLLER, *([CONTAINER] if found.node.container else []), *CHANGES]
    changes = [line.format(domain=settings.wildcard_domain, container=found.node.container) for line in lines]
    return (
        "\n".join(
            [f"ccci: {why}.", f"Setting {where} up means, where it is not there yet:", *map("  - {}".format, changes)]
        )
        + "\n"
    )


def set_up(settings: Settings, found: State, check: bool = False) -> None:
    """Runs playbooks/bootstrap.yml on the node, with its tasks on stderr. InfrastructureError when it fails."""
    from ccci.engine import life

    node = found.node
    began = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    folder = paths.cache_dir() / "bootstrap" / f"{began}-{node.name}-{os.getpid()}"
    folder.mkdir(parents=True, mode=0o700)
    variables = {"ccci_bootstrap_fingerprint": fingerprint(), "ccci_on_demand_images": " ".join(found.images)}
    if found.missing and not check:  # until it has ended, and also when nobody can read what it left
        (paths.node_facts_dir(node.name) / STAMP).unlink(missing_ok=True)
    progress = Progress(sys.stderr)
    options = ["--check"] if check else []
    limit = f"{node.name},ccci_controller"
    try:
        code = life.simple(PLAYBOOK, str(settings.inventory), folder, variables, progress.on_event, limit, options)
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if code != 0:
        raise InfrastructureError(
            f"Setting up {node.name} failed",
            observed=progress.failure or f"ansible-playbook ended with {code}",
            next_step=f"The whole log: {folder / 'logs' / 'ansible-bootstrap.log'}; `ccci doctor` checks this host",
        )
    sys.stderr.write(f"ccci: {node.name} is set up ({progress.seconds:.0f} s)\n")
    shutil.rmtree(folder, ignore_errors=True)


class Progress:
    """One line per task that does something, as it begins."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began = time.monotonic()
        self.failure = ""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def on_event(self, event: dict[str, Any]) -> None:
        if event["type"] == "task_start" and not event["name"].startswith("Validating arguments"):
            self._stream.write(f"  {self.seconds:5.0f} s  {event['name']}\n")
            self._stream.flush()
        elif event["type"] == "task" and event.get("outcome") != "ok":
            self.failure = f"{event.get('name')}: {event.get('msg') or event['outcome']}"


def _ask(found: State) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            f"{found.node.name} is not set up, and there is no terminal to ask on",
            next_step="Give --yes to let ccci set it up, or run `ccci bootstrap --yes` first",
        )
    _confirm("", "Go on?", "`ccci play … -i nested` needs no change to this machine")


def _confirm(what: str, question: str, next_step: str) -> None:
    """UsageError unless somebody says yes."""
    import click

    if not sys.stdin.isatty():
        raise UsageError(f"{what}, and there is no terminal to ask on", next_step=f"Use --yes, or: {next_step}")
    if not click.confirm(question, default=False, err=True):
        raise UsageError("Nothing was changed", next_step=next_step)


def _sources(project: Path) -> Iterable[Path]:
    for part in _PARTS:
        path = project / part
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from (
                file for file in path.rglob("*") if file.is_file() and not any(word in str(file) for word in _NOISE)
            )
