"""Every image of both sides is on the node before anything is deployed, or the registry's own words say why not.

Swarm hides what a registry answers behind "No such image", and a slow pull looks like an app that does not start.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import puller, registry
from .answer import Answer, counted
from .docker import Client, DockerError
from .puller import DONE, FAILED, Progress
from .registry import BadReferenceError, Decision, Local, Reference, Remote

ID = "prepare.images_pulled"
EXPECTED = "every image of base and head on the node, as its registry has it"
ASKED_AT_ONCE = 6
ASK_LIMIT = 30.0  # seconds for one answer of a registry
LOOK_EVERY = 0.2
STARTS = 2  # a puller that died is started once more
MB = 1_000_000


@dataclass(frozen=True)
class Look:
    """What is known of one image: its place here, its registry's answer, what follows."""

    reference: Reference
    local: Local | None
    remote: Remote
    decision: Decision


def sides_of(images: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """`{image: "base and head"}`, each image once."""
    found: dict[str, list[str]] = {}
    for side, names in images.items():
        for name in names:
            found.setdefault(name, [])
            found[name] += [side] if side not in found[name] else []
    return {name: " and ".join(sides) for name, sides in found.items()}


def look(client: Client, reference: Reference) -> Look:
    local = _local(client, reference)
    pinned = reference.digest and local is not None  # a digest cannot change
    remote = Remote(reference.digest) if pinned else _remote(client, reference)
    return Look(reference, local, remote, registry.decide(reference, local, remote))


def look_at_all(client: Client, references: Sequence[Reference]) -> list[Look]:
    client.versioned("")  # the version is negotiated once, not by each thread
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        return list(pool.map(lambda reference: look(client, reference), references))


def _local(client: Client, reference: Reference) -> Local | None:
    try:
        return registry.local_image(client.get(f"/images/{reference.query}/json"), reference)
    except DockerError as error:
        if error.status == 404:
            return None
        raise


def _remote(client: Client, reference: Reference) -> Remote:
    try:
        answer = client.request(
            "GET",
            f"/distribution/{reference.query}/json",
            timeout=ASK_LIMIT,
            headers=registry.auth_header(reference.host),
        )
    except DockerError as error:
        return Remote(words=error.message)
    return Remote(digest=str(answer["Descriptor"]["digest"]))


def begin(client: Client, scope: Mapping[str, Any], images: Mapping[str, Sequence[str]], limit: float, answer: Answer,
          dry: bool = False) -> dict[str, Any] | None:  # fmt: skip
    """Looks at every image and starts pulling what is missing. None when the answer is complete, else the cursor."""
    sides = sides_of(images)
    references = []
    for name, used_by in sides.items():
        try:
            references.append(registry.parse(name))
        except BadReferenceError as error:
            answer.result(
                ID, "fail", expected=EXPECTED, observed=f"{error} (used by {used_by})", failure_id="missing-image"
            )
            return None
    with answer.waiting("registry"):
        looks = look_at_all(client, references)
    refused = {one.reference.text: one.decision.note for one in looks if one.decision.action == "refuse"}
    if refused:
        _refused(answer, refused, sides)
        return None
    wanted = [one.reference.text for one in looks if one.decision.action == "pull"]
    notes = [f"{one.reference.text}: {one.decision.note}" for one in looks]
    if not wanted or dry:
        told = f"{counted(len(looks), 'image')}, all here" if not wanted else f"{', '.join(wanted)} would be pulled"
        answer.result(ID, "pass", expected=EXPECTED, observed=told, evidence="\n".join(notes) or None)
        return None
    pid = puller.start(_folder(scope), wanted, limit)
    return {"pulls": wanted, "pid": pid, "starts": 1, "began": time.time(), "notes": notes}


def go_on(
    client: Client, scope: Mapping[str, Any], images: Mapping[str, Sequence[str]], cursor: dict[str, Any],
    seconds: float, limit: float, expired: bool, answer: Answer,
) -> str | None:  # fmt: skip
    """Follows the pulls for `seconds`. None when the answer is complete, else a line about how far they are."""
    folder, until = _folder(scope), time.monotonic() + seconds
    with answer.waiting("registry"):
        progress = puller.read(folder)
        while progress.alive and not progress.finished and time.monotonic() < until:
            time.sleep(LOOK_EVERY)
            progress = puller.read(folder)
    if progress.finished:
        _finish(client, cursor, progress, sides_of(images), answer)
        return None
    if expired:
        puller.end(folder, int(cursor["pid"]))
        answer.result(
            ID, "error", expected=f"{EXPECTED} within {limit:.0f} s", observed=told(cursor, progress),
            hint="The line or the registry is slow: pull the images on the node, or raise the limit",
        )  # fmt: skip
        return None
    if not progress.alive:
        if cursor["starts"] >= STARTS:
            words = progress.trouble or "it was ended from outside"
            answer.result(ID, "error", expected=EXPECTED, observed=f"the process that pulls died twice: {words}")
            return None
        left = [image for image in cursor["pulls"] if _state(progress, image) != DONE]
        cursor.update(pid=puller.start(folder, left or cursor["pulls"], limit), starts=cursor["starts"] + 1)
    return told(cursor, progress)


def told(cursor: Mapping[str, Any], progress: Progress, now: float | None = None) -> str:
    """One line: how many are done, and how far the others are."""
    done = [image for image in cursor["pulls"] if _state(progress, image) == DONE]
    under_way = [
        f"{pull.image} {pull.current / MB:.1f} of {pull.total / MB:.1f} MB" if pull.total else pull.image
        for pull in progress.pulls.values()
        if pull.state == puller.PULLING
    ]
    seconds = (now or time.time()) - cursor["began"]
    return f"pulled {len(done)} of {len(cursor['pulls'])} images ({seconds:.0f} s)" + (
        f": {', '.join(under_way)}" if under_way else ""
    )


def _finish(
    client: Client, cursor: Mapping[str, Any], progress: Progress, sides: Mapping[str, str], answer: Answer
) -> None:
    failed = {pull.image: pull.words for pull in progress.pulls.values() if pull.state == FAILED}
    if failed:
        _refused(answer, failed, sides)
        return
    looks = look_at_all(client, [registry.parse(image) for image in cursor["pulls"]])
    vanished = [one.reference.text for one in looks if one.local is None]
    if vanished:
        answer.result(
            ID, "error", expected=EXPECTED, observed=f"pulled, but gone again: {', '.join(vanished)}",
            failure_id="prune-mid-deploy", hint="Something on the node removes images while a run needs them",
        )  # fmt: skip
        return
    size = sum(pull.total for pull in progress.pulls.values())
    told_size = f"{len(cursor['pulls'])} of {len(sides)} images pulled, {size / MB:.1f} MB"
    answer.facts["pulled"] = {"images": list(cursor["pulls"]), "bytes": size}
    answer.result(
        ID, "pass", expected=EXPECTED, observed=told_size,
        evidence="\n".join(cursor["notes"]),
    )  # fmt: skip


def _refused(answer: Answer, refused: Mapping[str, str], sides: Mapping[str, str]) -> None:
    """One result for all images that cannot be had; what is the recipe's fault comes first."""
    ranked = sorted(refused.items(), key=lambda item: registry.refusal(item[1]).outcome != "fail")
    first = registry.refusal(ranked[0][1])
    answer.result(
        ID, first.outcome, expected=EXPECTED, failure_id=first.failure_id, hint=first.hint,
        observed="; ".join(f"{image} (used by {sides.get(image, '?')}): {words}" for image, words in ranked),
    )  # fmt: skip


def _state(progress: Progress, image: str) -> str:
    return progress.pulls[image].state if image in progress.pulls else ""


def _folder(scope: Mapping[str, Any]) -> Path:
    return Path(str(scope["node_dir"]))
