"""`ccci doctor`: what this host and the node can and cannot do, each line with the fix. Changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ccci import bootstrap, paths
from ccci.errors import INFRASTRUCTURE, PASS, CcciError
from ccci.settings import Settings, load_settings

OK, WARNING, BAD = "ok", "warning", "bad"
COMMAND_LIMIT = 10.0  # seconds
SYSTEMS = (("debian", "12"), ("debian", "13"))
LEAST_MEMORY = 1800 * 2**20  # bytes
LEAST_DISK = 8 * 2**30  # bytes, where the node keeps images and volumes
LEAST_CACHE = 2 * 2**30  # bytes, for mirrors and image archives
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_MARKS = {OK: "ok", WARNING: "--", BAD: "NO"}


@dataclass(frozen=True)
class Check:
    """`bad`: a play cannot work. `warning`: something will be missing. `fix` is empty when nothing is to be done."""

    name: str
    state: str
    found: str
    fix: str = ""


def examine(inventory_name: str | None, node: str | None, output: str) -> int:
    """`ccci doctor`: prints the checks, returns 0, or 3 when a play could not work."""
    checks = list(controller())
    try:
        settings = load_settings(inventory_name, {"node": node})
        checks += node_checks(settings)
    except CcciError as error:
        checks.append(Check("inventory", BAD, error.what, str(error.next_step or error.expected)))
    if output == "json":
        sys.stdout.write(json.dumps([asdict(check) for check in checks], indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(lines(checks)) + "\n")
    return INFRASTRUCTURE if any(check.state == BAD for check in checks) else PASS


def lines(checks: list[Check]) -> list[str]:
    """For people. Pure."""
    width = max(len(check.name) for check in checks)
    text = []
    for check in checks:
        text.append(f"{_MARKS[check.state]}  {check.name:<{width}}  {check.found}")
        if check.state != OK and check.fix:
            text.append(f"    {'':<{width}}  fix: {check.fix}")
    return text


def controller() -> Iterator[Check]:
    """This machine as the place where ccci runs."""
    yield Check("python", OK, sys.version.split()[0])
    yield _program("git", ["git", "--version"], "apt-get install git")
    yield _program("ssh", ["ssh", "-V"], "apt-get install openssh-client (only for nodes over SSH)", needed=False)
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    yield Check(
        "browser", OK if browser else BAD, browser or "no Chromium: pages cannot be judged", "apt-get install chromium"
    )
    yield writable("runs", paths.runs_dir(), 0, "set CCCI_RUNS_DIR to a folder that can be written")
    yield writable("cache", paths.cache_dir(), LEAST_CACHE, "set CCCI_CACHE_DIR to a folder on a bigger disk")


def node_checks(settings: Settings) -> Iterator[Check]:
    """The chosen node; what only the node itself could say is asked for nodes on this machine alone."""
    found = bootstrap.state(settings)
    where = f"{found.node.name} of {settings.inventory}"
    yield Check("node", OK, f"{where} ({'this machine' if found.node.local else found.node.connection})")
    option = "" if settings.inventory == paths.INVENTORY / "local" else f" -i {settings.inventory}"
    yield Check(
        "set up", WARNING if found.missing else OK, found.missing or "yes, from the present sources",
        f"ccci bootstrap{option}",
    )  # fmt: skip
    if not found.node.local:
        return
    yield system(Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else "")
    root = os.geteuid() == 0
    yield Check("root", OK if root else BAD, "yes" if root else "no", "run ccci as root, or use -i nested")
    yield memory(Path("/proc/meminfo").read_text())
    yield space("disk", Path("/var/lib"), LEAST_DISK, "free some space; `docker system df` says what Docker holds")
    yield from _docker(settings, found)


def system(os_release: str) -> Check:
    """Judges the text of /etc/os-release. Pure."""
    values = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    name = (values.get("ID", "").strip('"'), values.get("VERSION_ID", "").strip('"'))
    shown = values.get("PRETTY_NAME", "").strip('"') or "unknown"
    return Check(
        "system", OK if name in SYSTEMS else BAD, shown, "use Debian 12 or 13, or a node in a container: -i nested"
    )


def memory(meminfo: str) -> Check:
    """Judges the text of /proc/meminfo. Pure."""
    values = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in meminfo.splitlines() if line.endswith(" kB")}
    total, available = values.get("MemTotal", 0), values.get("MemAvailable", 0)
    state = OK if total >= LEAST_MEMORY else WARNING
    found = f"{total / 2**30:.1f} GiB, {available / 2**30:.1f} GiB available"
    return Check("memory", state, found, f"at least {LEAST_MEMORY // 2**20} MiB")


def space(name: str, folder: Path, least: int, fix: str) -> Check:
    free = shutil.disk_usage(folder).free
    return Check(name, OK if free >= least else BAD, f"{free / 2**30:.1f} GiB free in {folder}", fix)


def writable(name: str, folder: Path, least: int, fix: str) -> Check:
    """Whether a folder is there, or could be made, and has room."""
    there = folder
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK):
        return Check(name, BAD, f"{there} cannot be written", fix)
    return space(name, there, least, fix)


def _program(name: str, command: list[str], fix: str, needed: bool = True) -> Check:
    missing = BAD if needed else WARNING
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check(name, missing, f"{command[0]}: {getattr(error, 'strerror', None) or error}", fix)
    return Check(name, OK if done.returncode == 0 else missing, (done.stdout or done.stderr).strip()[:80], fix)


def _docker(settings: Settings, found: bootstrap.State) -> Iterator[Check]:
    from ccci_host.docker import Client, DockerError
    from ccci_host.node import has_ipvs

    try:
        client = Client(timeout=COMMAND_LIMIT)
        info = client.get("/info")
        networks = client.get("/networks", filters={"name": ["proxy"]})
    except (DockerError, OSError) as error:
        yield Check("docker", WARNING, f"does not answer: {error}", "ccci bootstrap installs or starts it")
        yield from _ports(bool(found.missing))
        return
    yield docker(info)
    yield swarm(info)
    there = any(network.get("Name") == "proxy" for network in networks)
    fix = "ccci bootstrap makes it"
    yield Check("network", OK if there else WARNING, "proxy is there" if there else "no network proxy", fix)
    ipvs = has_ipvs()
    yield Check(
        "ipvs", OK, "in the kernel" if ipvs else "not in the kernel: services get dnsrr endpoints, by themselves"
    )
    yield from _ports(bool(found.missing))
    if (info.get("Swarm") or {}).get("ControlAvailable"):  # the journals are in the swarm
        yield from _leftovers(client)


def docker(info: dict[str, Any]) -> Check:
    """Judges Docker's own `/info`. Pure."""
    rootless = any("rootless" in option for option in info.get("SecurityOptions") or [])
    version = str(info.get("ServerVersion"))
    if rootless:
        return Check("docker", BAD, f"{version}, rootless: no swarm ports", "an engine that runs as root, or -i nested")
    return Check("docker", OK, version)


def swarm(info: dict[str, Any]) -> Check:
    """One node of its own is what a play needs. Pure."""
    state = info.get("Swarm") or {}
    local, nodes = state.get("LocalNodeState") or "inactive", state.get("Nodes") or 0
    if local == "inactive":
        return Check("swarm", WARNING, "not initialised", "ccci bootstrap initialises it")
    if local == "active" and state.get("ControlAvailable") and nodes == 1:
        return Check("swarm", OK, "active, this node is its only one")
    found = f"{local}, {'a manager' if state.get('ControlAvailable') else 'no manager'}, {nodes} nodes"
    return Check("swarm", BAD, found, "another machine, or a node in a container: -i nested")


def _ports(expected_free: bool) -> Iterator[Check]:
    for port in (80, 443):
        taken = _answers(port)
        if taken and expected_free:
            fix = "stop what listens there (ss -ltnp), or use a node in a container: -i nested"
            yield Check(f"port {port}", WARNING, "something listens there", fix)
        else:
            yield Check(f"port {port}", OK, "in use by the node's ingress" if taken else "free")


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def _leftovers(client: Any) -> Iterator[Check]:
    """Journals of runs: a run that is being played has one too."""
    names = [config["Spec"]["Name"] for config in client.get("/configs", filters={"name": ["ccci-run-"]})]
    if names:
        yield Check("runs here", WARNING, ", ".join(names), "ccci clean removes what dead ones left")
