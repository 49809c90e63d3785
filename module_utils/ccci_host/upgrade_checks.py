"""What an upgrade in place must keep, and what it must change. `observe` looks; the judgements are pure.

The observation is what `ccci_app` leaves in state.json before the upgrade (`before_upgrade`), and made again after it:

    {"services": {name: {"image": "ref", "digest": "sha256:…" or "", "version": int}},
     "volumes":  {full name: {"name", "identity", "mounts": ["app:/data", …]}},
     "secrets":  {full name: id}}
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from .deaths import up
from .docker import Client, DockerError, service_name
from .snapshot import Service

Observation = Mapping[str, Any]


@dataclass(frozen=True)
class Judgement:
    """One result to be: `id` without its tier."""

    id: str
    ok: bool
    expected: str
    observed: str
    service: str | None = None
    hint: str | None = None


def observe(client: Client, stack: str) -> dict[str, Any]:
    """Images, volumes and secrets of a stack, as its services name them now."""
    services = client.services(stack)
    found: dict[str, Any] = {"services": {}, "volumes": {}, "secrets": {}}
    for service in services:
        name, spec = service_name(service, stack), service["Spec"]["TaskTemplate"]["ContainerSpec"]
        image, _, digest = spec["Image"].partition("@")
        found["services"][name] = {"image": image, "digest": digest, "version": int(service["Version"]["Index"])}
        for mount in spec.get("Mounts") or []:
            if mount["Type"] == "volume" and mount.get("Source"):
                volume = found["volumes"].setdefault(mount["Source"], _volume(client, mount["Source"]))
                volume["mounts"].append(f"{name}:{mount['Target']}")
        for secret in spec.get("Secrets") or []:
            found["secrets"][secret["SecretName"]] = secret["SecretID"]
    return found


def _volume(client: Client, name: str) -> dict[str, Any]:
    """`identity` is empty for a volume that does not exist: its service has not run yet."""
    try:
        identity = volume_identity(client.get(f"/volumes/{name}"))
    except DockerError as error:
        if error.status != 404:
            raise
        identity = ""
    return {"name": name, "identity": identity, "mounts": []}


def volume_identity(volume: Mapping[str, Any]) -> str:
    """What tells a volume from another one of the same name: inode and birth of its folder.

    Not `CreatedAt`: the engine takes that from the data folder's last change of owner, mode or entries (seen on 20.10),
    and databases change the owner at each start. It has to do where the folder cannot be looked at.
    """
    folder = PurePosixPath(str(volume.get("Mountpoint") or "/")).parent
    command = ["stat", "--format=%d:%i:%W", "--", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip() if done.returncode == 0 else str(volume.get("CreatedAt", ""))


def judge(
    before: Observation, after: Observation, stack: str, commit: str,
    labels: Mapping[str, Mapping[str, str]], services: Sequence[Service], now: float,
) -> list[Judgement]:  # fmt: skip
    """`labels` are the labels of each service by its short name; `services` are those of a snapshot taken at `now`."""
    return [
        commit_of(labels, stack, commit),
        images(before["services"], after["services"]),
        updates(services, now),
        volumes(before["volumes"], after["volumes"], stack),
        secrets(before["secrets"], after["secrets"], stack),
    ]


def commit_of(labels: Mapping[str, Mapping[str, str]], stack: str, commit: str) -> Judgement:
    """abra stamps the first eight digits of the commit, and adds `+U` where the checkout holds files of ours."""
    key = f"coop-cloud.{stack}.chaos-version"
    stamps = {name: own[key] for name, own in labels.items() if key in own}
    expected = f"label {key} names {commit[:8]}"
    if not stamps:
        return Judgement("commit", False, expected, "no service has this label", hint="was it a chaos deploy?")
    wrong = {name: stamp for name, stamp in stamps.items() if not _names(stamp, commit)}
    observed = ", ".join(f"{name}: {stamp}" for name, stamp in (wrong or stamps).items())
    return Judgement("commit", not wrong, expected, observed, next(iter(wrong), None))


def _names(stamp: str, commit: str) -> bool:
    short = stamp.removesuffix("+U")
    return len(short) >= 7 and commit.startswith(short)


def images(before: Mapping[str, Any], after: Mapping[str, Any]) -> Judgement:
    """Never a failure: a change of the README only is a good change, but it is said that nothing was upgraded."""
    changes = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            changes.append(f"{name}: {'new service' if old is None else 'service no longer in the recipe'}")
        elif _digest(old) != _digest(new):
            changes.append(f"{name}: {_bare(old)} → {_bare(new)}")
    observed = ", ".join(changes) or "no-op upgrade: image digests unchanged"
    return Judgement("images_changed", True, "image digests changed, or it is said that they did not", observed)


def _bare(image: Mapping[str, Any]) -> str:
    return str(image["image"]).partition("@")[0]


def _digest(image: Mapping[str, Any]) -> str:
    """Without a digest the reference has to do: images that no registry knows have none."""
    return str(image.get("digest") or str(image["image"]).partition("@")[2] or image["image"])


def updates(services: Sequence[Service], now: float) -> Judgement:
    expected = "swarm completed every update, without a rollback"
    states, wrong = [], []
    for service in services:
        state = service.update_state or "no update was due"
        if state == "paused" and up(service, now, ()):
            state = "paused after a task that failed, whose next try stayed up"
        elif state not in ("completed", "no update was due"):
            wrong.append(service)
        states.append(f"{service.name}: {state}")
    hint = f"swarm says: {wrong[0].update_message}" if wrong else None
    return Judgement(
        "update_completed", not wrong, expected, ", ".join(states), wrong[0].name if wrong else None, hint
    )  # fmt: skip


def volumes(before: Mapping[str, Any], after: Mapping[str, Any], stack: str) -> Judgement:
    """The same names and the same objects: data that stays behind in a volume under its old name is lost data."""
    old = {str(one.get("name") or name): one for name, one in before.items()}
    new = {str(one.get("name") or name): one for name, one in after.items()}
    wrong = []
    for name in sorted(old):
        if name not in new:
            heir = _heir(old[name], {key: value for key, value in new.items() if key not in old})
            told = _short(heir, stack) if heir else "mounted no more"
            wrong.append(f"volume identity changed: {_short(name, stack)} → {told}")
        elif old[name].get("identity") and old[name]["identity"] != new[name].get("identity"):
            fate = "was made anew" if new[name].get("identity") else "is gone"
            wrong.append(f"volume identity changed: {_short(name, stack)} {fate}")
    kept = f"{len(old)} kept: {', '.join(_short(name, stack) for name in sorted(old))}" if old else "none to keep"
    return Judgement(
        "volumes_kept", not wrong, "every volume of before is still mounted, and is the same object",
        "; ".join(wrong) or kept, hint="rename no volume without moving its data" if wrong else None,
    )  # fmt: skip


def _heir(old: Mapping[str, Any], fresh: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The new volume at the same place; where places are not known, the only new one."""
    places = set(old.get("mounts") or ())
    for name, volume in fresh.items():
        if places & set(volume.get("mounts") or ()):
            return name
    return next(iter(fresh)) if len(fresh) == 1 and not places else None


def secrets(before: Mapping[str, str], after: Mapping[str, str], stack: str) -> Judgement:
    """A new version has a new name: then whatever was encrypted or stored with the old value may be unreadable."""
    wrong = []
    for name, id in sorted(before.items()):
        if name in after and after[name] != id:
            wrong.append(f"secret {_short(name, stack)} was made anew")
        elif name not in after:
            base = _unversioned(name)
            heirs = [other for other in sorted(after) if other not in before and _unversioned(other) == base]
            told = _short(heirs[0], stack) if heirs else "used no more"
            wrong.append(f"secret identity changed: {_short(name, stack)} → {told}")
    kept = (
        f"{len(before)} kept: {', '.join(_short(name, stack) for name in sorted(before))}" if before else "none to keep"
    )
    return Judgement(
        "secrets_kept", not wrong, "every secret of before is still used, and is the same object",
        "; ".join(wrong) or kept, hint="keep the versions of secrets in an upgrade" if wrong else None,
    )  # fmt: skip


def _unversioned(name: str) -> str:
    return re.sub(r"_v\d+$", "", name)


def _short(name: str, stack: str) -> str:
    return name.removeprefix(f"{stack}_")
