"""Takes a run away from the node. Idempotent: every step looks at what is there now and removes that.

abra goes first, as an operator would; the API does what is left, so that a missing or broken abra stops nothing.
Containers are removed by force once their service is gone: nobody needs their data any more, and waiting for an app to
stop politely would take six to sixteen seconds.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from . import backup_snapshots, engine, inventory, processes, resources, state
from .abra_call import AbraError, abra, fatal_words
from .answer import Answer, cut
from .docker import Client, service_name
from .docker_errors import DockerError, is_outage
from .inventory import Objects
from .journal import stacks_of

LOG_LINES = 20000  # per service
POLL_SECONDS = 0.15
BACKUP_SERVICE_LIMIT = 60.0  # seconds for it to run again after a restart of Docker, or to end what others asked for
RELEASED_AFTER = {  # kind -> kinds that must be gone before: the daemon refuses it otherwise
    "service": (),
    "container": ("service",),
    "secret": ("service",),
    "config": ("service",),
    "network": ("service", "container"),
    "volume": ("service", "container"),
}
PATHS = {"service": "services", "container": "containers", "secret": "secrets", "config": "configs",
         "network": "networks", "volume": "volumes"}  # fmt: skip
BEFORE_FILE = "inventory-before.json"
ANONYMOUS = re.compile(r"[0-9a-f]{64}")


@dataclass
class Progress:
    """What a teardown remembers between slices. `mounts` are names of volumes that the run's containers had; `notes`
    are steps that failed although the rest went on; `refused` {object: Docker's last words}; `unforgotten` are stacks
    whose snapshots the backup service could not be asked about yet, or has not forgotten, `asked` since when (epoch
    seconds).
    """

    begun: bool = False
    mounts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    snapshots_left: list[str] = field(default_factory=list)
    unforgotten: list[str] = field(default_factory=list)
    asked: float = 0.0


def remaining(client: Client, scope: Mapping[str, Any], mounts: list[str]) -> Objects:
    """What is still there of the run, without its folder."""
    found = inventory.own(inventory.snapshot(client, node_dir(scope) / "abra"), scope, mounts)
    return {kind: found[kind] for kind in PATHS}


def begin(
    client: Client, scope: Mapping[str, Any], progress: Progress, spared: list[int], files: list[dict[str, Any]] | None,
    is_over: Callable[[], bool] = lambda: False,
) -> None:  # fmt: skip
    """Reads what needs the app to be there: its volumes, and its logs (into `files`, if wanted). Then ends the run's
    processes and lets abra and the backup service remove what they made. Errors become notes, but one: without Docker
    nobody knows the volumes, so this has to begin again. `is_over`: see `remove`."""
    run = str(scope["run"])
    try:
        _remember_volumes(client, scope, progress)
    except DockerError as error:
        if is_outage(error):
            raise
        progress.notes.append(f"could not list the volumes: {error}")
    if files is not None:
        read_logs(client, scope, progress, files)
    try_step(progress, "end the run's processes", partial(processes.end, run, spared))
    # abra waits for the stack to go, and restic takes a second; its containers are removed meanwhile.
    steps = {
        "ask abra": partial(_with_abra, client, scope, progress, is_over),
        "forget the snapshots": partial(_forget_snapshots, client, scope, progress),
    }
    threads = [threading.Thread(target=try_step, args=(progress, *step), daemon=True) for step in steps.items()]
    for thread in threads:
        thread.start()
    while running := [thread for thread in threads if thread.is_alive()]:
        try_step(progress, "remove the containers", partial(_remove_orphans, client, scope))
        running[0].join(POLL_SECONDS)
    progress.begun = True


def read_logs(client: Client, scope: Mapping[str, Any], progress: Progress, files: list[dict[str, Any]]) -> None:
    """Writes the log of every service into the run's folder and names the files as `ccci_files` wants them."""
    for app in scope.get("apps") or []:
        try_step(progress, f"read the logs of {app['stack']}", partial(_logs, client, scope, app, files))


def measure(client: Client, scope: Mapping[str, Any], answer: Answer) -> None:
    """The fact `resources` as long as there is something to measure, with what the services have on the disk."""
    for app in scope.get("apps") or []:
        resources.note(client, app["stack"], answer, disk=True, prefix=_prefix(scope, app))


def remove(
    client: Client, scope: Mapping[str, Any], progress: Progress, seconds: float,
    is_over: Callable[[], bool] = lambda: False,
) -> Objects:  # fmt: skip
    """Removes what can be removed, again and again for at most `seconds`. Returns what is left.

    `is_over` says whether somebody else has taken the run away meanwhile (two cleanings at once, or one that goes on
    although its command is dead): what has its names now may be the next run's.
    """
    deadline = time.monotonic() + seconds
    while True:
        left = remaining(client, scope, progress.mounts)
        if is_over():
            return {}
        progress.refused = _remove_once(client, left)
        if not any(left.values()) or time.monotonic() >= deadline:
            return left
        time.sleep(POLL_SECONDS)


def remove_folder(scope: Mapping[str, Any]) -> None:
    """The run's folder with everything in it: checkouts, env files, state. OSError when something cannot be removed."""
    folder = node_dir(scope)
    if folder.name != str(scope["run"]):
        raise OSError(f"{folder} does not bear the name of run {scope['run']}; it is not removed")
    if folder.exists():
        shutil.rmtree(folder)


def sweep() -> None:
    """Removes what Ansible unpacked for modules of ours that were killed: nobody else ever would.

    Listed first and judged then: what is listed belongs to a module that runs by now, or to one that is dead.
    """
    found = Path(tempfile.gettempdir()).glob("ansible_ccci_*_payload_*")
    stale = [folder for folder in found if not any(str(folder) in entry for entry in sys.path)]
    if stale and not processes.modules():
        for folder in stale:
            shutil.rmtree(folder, ignore_errors=True)


def prefixes(scope: Mapping[str, Any]) -> dict[str, str]:
    """What goes before the names of a stack's services, for each stack of the run."""
    return {str(app["stack"]): _prefix(scope, app) for app in scope.get("apps") or []}


def node_dir(scope: Mapping[str, Any]) -> Path:
    return Path(str(scope["node_dir"]))


def judge(answer: Answer, scope: Mapping[str, Any], there: Collection[str]) -> None:
    """The results about the run as a whole; `there` are the run's stacks that have services."""
    if engine.restarted(scope):  # whatever looks like the recipe's failure may come from this
        answer.result(
            "teardown.engine", "error", expected="the same Docker from the beginning to the end",
            observed=engine.RESTARTED, failure_id=engine.FAILURE_ID, hint=engine.HINT,
        )  # fmt: skip
    try:
        counted = state.load(scope).get("deploys") or {}
    except (OSError, ValueError) as error:
        answer.result("teardown.deploy_count", "error", observed=f"the count cannot be read: {error}")
        return
    outcome, expected, found = deploy_count(scope, counted, there)
    answer.result("teardown.deploy_count", outcome, expected=expected, observed=found, evidence=found)


def deploy_count(scope: Mapping[str, Any], deploys: Mapping[str, int], there: Collection[str]) -> tuple[str, str, str]:
    """Outcome, what was expected, and what was found. Pure. `deploys` {stack: count} as the deploying module counted,
    one of each stack being due; `there` are the stacks that have services, whatever was counted."""
    due, done = int(scope.get("deploys", 1)), sum(deploys.values())
    told = ", ".join(f"{stack} {count}" for stack, count in sorted(deploys.items())) or "none"
    expected = f"{due} deploy" + ("s" if due != 1 else "")
    if done > due or any(count > 1 for count in deploys.values()):
        return "fail", expected, told
    if done == due:
        return "pass", expected, told
    if uncounted := sorted(set(there) - deploys.keys()):
        return "error", expected, f"{told}, but there are services of {', '.join(uncounted)}"
    return "skip", expected, "the run ended before its deploys"


def _remember_volumes(client: Client, scope: Mapping[str, Any], progress: Progress) -> None:
    """Volumes without a name of their own that the run's containers have. A named one may belong to somebody else."""
    containers = [container for stack in stacks_of(scope) for container in client.containers(stack)]
    progress.mounts = anonymous_volumes(containers, load_before(scope))


def anonymous_volumes(containers: Iterable[Mapping[str, Any]], before: Objects) -> list[str]:
    """Names of the volumes of `containers` that Docker named itself and that were not there before the run. Pure."""
    mounted = {
        str(mount.get("Name"))
        for container in containers
        for mount in container.get("Mounts") or []
        if mount.get("Type") == "volume"
    }
    return sorted(name for name in mounted - before.get("volume", {}).keys() if ANONYMOUS.fullmatch(name))


def save_before(scope: Mapping[str, Any], objects: Objects) -> None:
    """Writes what was on the node before the run's first change; readable by nobody else."""
    path = node_dir(scope) / BEFORE_FILE
    path.touch(mode=0o600)
    path.write_text(json.dumps(objects))


def load_before(scope: Mapping[str, Any]) -> Objects:
    """Empty when the run died before it was written."""
    try:
        return dict(json.loads((node_dir(scope) / BEFORE_FILE).read_text()))
    except (OSError, ValueError):
        return {}


def _logs(client: Client, scope: Mapping[str, Any], app: Mapping[str, str], files: list[dict[str, Any]]) -> None:
    folder = node_dir(scope) / "logs"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for service in client.services(app["stack"]):
        name = _prefix(scope, app) + service_name(service, app["stack"])
        path = folder / f"{name}.log"
        try:
            text = client.logs("services", service["ID"], tail=LOG_LINES)
        except DockerError as error:
            text = f"[the logs could not be read: {error}]\n"
        path.write_text(text)
        files.append({"path": str(path), "to": f"logs/{name}.log", "kind": "log", "title": f"Log of {name}"})


def _prefix(scope: Mapping[str, Any], app: Mapping[str, str]) -> str:
    """What tells the services of a dep from those of the recipe itself."""
    return "" if app["stack"] == scope["stack"] else f"{app.get('name', app['stack'])}-"


def _with_abra(client: Client, scope: Mapping[str, Any], progress: Progress, is_over: Callable[[], bool]) -> None:
    for app in reversed(scope.get("apps") or []):  # the recipe itself before its deps
        settings = node_dir(scope) / "abra/servers" / str(scope.get("server", "default")) / f"{app['domain']}.env"
        if not settings.exists():
            continue
        calls = [(["app", "secret", "remove", app["domain"], "--all", "-n", "-o", "-C"], 20.0)]
        calls += [(["app", "volume", "remove", app["domain"], "-f", "-n"], 20.0)]
        if client.services(app["stack"]):
            calls.insert(0, (["app", "undeploy", app["domain"], "-n"], 40.0))
        for argv, limit in calls:
            if is_over():
                return
            try:
                done = abra(scope, argv, limit=limit)
            except (AbraError, OSError) as error:
                progress.notes.append(str(error))
                return  # one that is missing or hangs will not get better for any app; the API goes on
            if done.rc:
                progress.notes.append(f"`abra {' '.join(argv)}` returned {done.rc}: {cut(fatal_words(done), 300)}")


def _remove_orphans(client: Client, scope: Mapping[str, Any]) -> None:
    """Containers whose service is gone already."""
    for stack in stacks_of(scope):
        containers = client.containers(stack)
        if containers and not client.services(stack):
            for container in containers:
                _delete(client, "container", container["Id"])


def _forget_snapshots(client: Client, scope: Mapping[str, Any], progress: Progress) -> None:
    if not _deployed(scope):
        return
    progress.unforgotten = stacks_of(scope)
    forget_again(client, scope, progress)


def forget_again(client: Client, scope: Mapping[str, Any], progress: Progress) -> None:
    """Asks about the stacks that are still `unforgotten`; those stay so while the backup service may come back, or
    another cleaning of the same run is at it."""
    progress.asked = progress.asked or time.time()
    late = time.time() - progress.asked > BACKUP_SERVICE_LIMIT
    asked, progress.unforgotten = progress.unforgotten, []
    for stack in asked:
        try:
            left = backup_snapshots.forget(client, stack)
            if left and not late:
                progress.unforgotten.append(stack)
            else:
                progress.snapshots_left += left
        except (DockerError, backup_snapshots.NotNow) as error:
            if not late:
                progress.unforgotten.append(stack)
            elif _backed_up(scope):
                progress.snapshots_left.append(f"of {stack} ({error})")
            else:
                progress.notes.append(f"could not ask for snapshots of {stack}: {error}")
        except (OSError, ValueError) as error:
            progress.notes.append(f"could not forget the snapshots of {stack}: {error}")


def _deployed(scope: Mapping[str, Any]) -> bool:
    """A run that never deployed has made no backup; asking restic costs most of a second."""
    try:
        return bool(state.load(scope).get("deploys"))
    except (OSError, ValueError):
        return True


def _backed_up(scope: Mapping[str, Any]) -> bool:
    """Whether there surely is a snapshot."""
    try:
        return bool(state.load(scope).get("snapshot"))
    except (OSError, ValueError):
        return False


def _remove_once(client: Client, left: Objects) -> dict[str, str]:
    refused = {}
    for kind, blockers in RELEASED_AFTER.items():
        if any(left[blocker] for blocker in blockers):
            continue
        for id, entry in left[kind].items():
            words = _delete(client, kind, id)
            if words:
                refused[f"{kind} {entry['name']}"] = words
    return refused


def _delete(client: Client, kind: str, id: str) -> str:
    """Docker's words when it refuses. Something that is gone meanwhile is what we wanted."""
    try:
        client.request("DELETE", f"/{PATHS[kind]}/{id}", {"force": True, "v": True} if kind == "container" else None)
    except DockerError as error:
        return "" if error.status == 404 else error.message
    return ""


def try_step(progress: Progress, what: str, step: Callable[[], Any]) -> None:
    """Runs one step of many: what goes wrong becomes a note, and the next step comes."""
    try:
        step()
    except (DockerError, OSError, ValueError) as error:
        progress.notes.append(f"could not {what}: {error}")
