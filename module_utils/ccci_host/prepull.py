"""Every image of both sides is on the node before anything is deployed, or the registry's own words say why not.

Swarm hides what a registry answers behind "No such image", and a slow pull looks like an app that does not start.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from . import image_pulls, puller, registry, state
from .answer import Answer, counted
from .docker import Client
from .image_space import Space, size
from .image_survey import Patience, Surveyor, inspected
from .puller import DONE, FAILED, PULLING, WAITING, Order, Progress, Pull
from .registry import BadReferenceError
from .registry_credentials import CredentialsError, read_credentials

ID = "prepare.images_pulled"
EXPECTED = "every image of base and head on the node, as its registry has it"
LOOK_EVERY = 0.05
STARTS = 2  # a puller that died is started once more
MB = 1_000_000


@dataclass(frozen=True)
class Wish:
    """`images` by side (base, head); `credentials` is a path on the node, "" for the docker command's own file;
    `limit` is in seconds, for everything together."""

    scope: Mapping[str, Any]
    images: Mapping[str, Sequence[str]]
    limit: float
    credentials: str = ""

    @property
    def sides(self) -> dict[str, str]:
        """`{image: "base and head"}`, each image once."""
        found: dict[str, list[str]] = {}
        for side, names in self.images.items():
            for name in names:
                found.setdefault(name, [])
                found[name] += [side] if side not in found[name] else []
        return {name: " and ".join(sides) for name, sides in found.items()}

    @property
    def folder(self) -> Path:
        return Path(str(self.scope["node_dir"]))

    def order(self, began: float) -> Order:
        return Order(self.folder, list(self.sides), self.credentials, began + self.limit)


def begin(client: Client, wish: Wish, answer: Answer, dry: bool = False) -> dict[str, Any] | None:
    """Starts the process that looks and pulls. None when the answer is complete already, else the cursor."""
    references = []
    for name, used_by in wish.sides.items():
        try:
            references.append(registry.parse(name))
        except BadReferenceError as error:
            answer.result(
                ID, "fail", expected=EXPECTED, observed=f"{error} (used by {used_by})", failure_id="missing-image"
            )
            return None
    try:
        credentials = read_credentials(wish.credentials)
    except CredentialsError as error:
        answer.result(
            ID, "error", expected="registry credentials that only their owner can read", observed=str(error),
            hint=error.hint,
        )  # fmt: skip
        return None
    if dry:
        with answer.waiting("registry"):
            looks = Surveyor(client, credentials).look_at_all(references, Patience(deadline=0.0))
        notes = {one.reference.text: one.decision.note for one in looks}
        actions = {action: [one.reference.text for one in looks if one.decision.action == action]
                   for action in ("refuse", "pull")}  # fmt: skip
        if actions["refuse"]:
            _refused(answer, {image: notes[image] for image in actions["refuse"]}, wish.sides)
            return None
        observed = f"{', '.join(actions['pull'])} would be pulled" if actions["pull"] else _all_here(notes)
        answer.result(ID, "pass", expected=EXPECTED, observed=observed, evidence=_lines(notes))
        return None
    began = time.time()
    return {"pid": _start(client, wish, began), "starts": 1, "began": began}


def _start(client: Client, wish: Wish, began: float) -> int:
    return puller.start(wish.order(began), partial(image_pulls.work, client))


def go_on(
    client: Client, wish: Wish, cursor: dict[str, Any], seconds: float, expired: bool, answer: Answer
) -> str | None:
    """Follows the pulls for `seconds`. None when the answer is complete, else a line about how far they are."""
    until = time.monotonic() + seconds
    with answer.waiting("registry"):
        progress = puller.read(wish.folder)
        while progress.alive and not progress.finished and time.monotonic() < until:
            time.sleep(LOOK_EVERY)
            progress = puller.read(wish.folder)
    if progress.finished:
        _judge(client, wish, progress, answer)
        return None
    if expired:
        puller.end(wish.folder, int(cursor["pid"]))
        _expired(answer, wish, progress, told(progress, wish, cursor["began"], time.time()))
        return None
    if not progress.alive:
        if cursor["starts"] >= STARTS:
            words = progress.trouble or "it was ended from outside"
            answer.result(ID, "error", expected=EXPECTED, observed=f"the process that pulls died twice: {words}")
            return None
        cursor.update(pid=_start(client, wish, cursor["began"]), starts=cursor["starts"] + 1)
    return told(progress, wish, cursor["began"], time.time())


def told(progress: Progress, wish: Wish, began: float, now: float) -> str:
    """One line for people: what is done, how much of it, what is under way, and how long the rest will take. Pure."""
    waits = [
        f"{one.image} waits {max(one.until - now, 0):.0f} s for its registry: {one.words}"
        for one in progress.pulls.values()
        if one.state == WAITING
    ]
    if not progress.wanted:
        return "; ".join(waits) or f"asking the registries of {counted(len(wish.sides), 'image')} ({now - began:.0f} s)"
    pulls = [one for one in progress.pulls.values() if one.image in progress.wanted]
    done = [one for one in pulls if one.state == DONE]
    here, total = _bytes(progress, pulls)
    amount = f", {here / MB:.1f} of {total / MB:.1f} MB" if total else ""
    line = f"pulled {len(done)} of {counted(len(progress.wanted), 'image')}{amount} ({now - began:.0f} s"
    line += f"{_to_go(progress, pulls, here, total, now)})"
    under_way = [
        f"{one.image} {one.current / MB:.1f} of {one.total / MB:.1f} MB" if one.total else one.image
        for one in pulls
        if one.state == PULLING
    ]
    return f"{line}: {', '.join(under_way + waits)}" if under_way or waits else line


def _bytes(progress: Progress, pulls: Sequence[Pull]) -> tuple[int, int]:
    """Compressed bytes that are here, and in all: from the registries where these say, else as far as known."""
    here, announced = sum(one.current for one in pulls), sum(one.total for one in pulls)
    if progress.space and not progress.space.unknown:
        return here, max(progress.space.download, here)
    return here, announced


def _to_go(progress: Progress, pulls: Sequence[Pull], here: int, total: int, now: float) -> str:
    """How long the rest takes at the pace so far; nothing where the whole is not known, or nothing has come yet."""
    if not here or not progress.space or progress.space.unknown:
        return ""
    if here >= total:
        return ", unpacking"
    began = min(one.began for one in pulls if one.began)
    return f", about {(total - here) * (now - began) / here:.0f} s to go"


def _judge(client: Client, wish: Wish, progress: Progress, answer: Answer) -> None:
    """The result of a process that has done what it could."""
    failed = {one.image: one.words for one in progress.pulls.values() if one.state == FAILED}
    if progress.refused or failed:
        _refused(answer, {**progress.refused, **failed}, wish.sides)
        return
    if progress.space and progress.space.is_short:
        _too_little_room(answer, progress.space)
        return
    if not progress.wanted:
        _leave(wish)
        answer.result(
            ID, "pass", expected=EXPECTED, observed=_all_here(progress.notes), evidence=_lines(progress.notes)
        )
        return
    vanished = [image for image in progress.wanted if inspected(client, registry.parse(image).query) is None]
    if vanished:
        answer.result(
            ID, "error", expected=EXPECTED, observed=f"pulled, but gone again: {', '.join(vanished)}",
            failure_id="prune-mid-deploy", hint="Something on the node removes images while a run needs them",
        )  # fmt: skip
        return
    _leave(wish)
    _pulled(answer, progress, len(wish.sides))


def _leave(wish: Wish) -> None:
    """For a later deploy that does not find an image: it was here, and is not the recipe's mistake."""
    state.update(wish.scope, **{state.PREPULLED: list(wish.sides)})


def _pulled(answer: Answer, progress: Progress, images: int) -> None:
    space = progress.space
    weights = {one.name: one.download for one in space.weights} if space else {}
    pulls = [progress.pulls[image] for image in progress.wanted]
    each = {
        one.image: {
            "bytes": weights.get(one.image, one.total), "size": one.size, "seconds": round(one.ended - one.began, 1)
        }
        for one in pulls
    }  # fmt: skip
    total = sum(entry["bytes"] for entry in each.values())
    answer.facts["pulled"] = {"images": list(progress.wanted), "bytes": total, "each": each}
    for one in pulls:
        answer.timeline.append({"at": one.began, "service": one.image, "what": "pull"})
        answer.timeline.append({"at": one.ended, "service": one.image, "what": "pulled"})
    answer.result(
        ID, "pass", expected=EXPECTED,
        observed=f"{len(pulls)} of {counted(images, 'image')} pulled, {total / MB:.1f} MB",
        evidence="\n".join([_lines(progress.notes), *([space.told, *space.lines] if space else [])]),
    )  # fmt: skip


def _too_little_room(answer: Answer, space: Space) -> None:
    answer.result(
        ID, "error", expected=f"room for the images of base and head together: {size(space.need)} below {space.root}",
        observed=space.told, evidence="\n".join(space.lines), failure_id="disk-full",
        hint="Make room on the node (`docker system df` shows what takes it, `ccci clean --images` removes dangling "
             "images), or play on a bigger one. Nothing was pulled",
    )  # fmt: skip


def _expired(answer: Answer, wish: Wish, progress: Progress, line: str) -> None:
    limited = {one.image: one.words for one in progress.pulls.values() if one.state == WAITING}
    if limited:
        _refused(answer, limited, wish.sides)
        return
    answer.result(
        ID, "error", expected=f"{EXPECTED} within {wish.limit:.0f} s", observed=line,
        hint="The line or the registry is slow: pull the images on the node, or raise the limit",
    )  # fmt: skip


def _refused(answer: Answer, refused: Mapping[str, str], sides: Mapping[str, str]) -> None:
    """One result for all images that cannot be had; what is the recipe's fault comes first."""
    meant = {image: registry.refusal(words, registry.parse(image)) for image, words in refused.items()}
    ranked = sorted(refused.items(), key=lambda item: meant[item[0]].outcome != "fail")
    first = meant[ranked[0][0]]
    answer.result(
        ID, first.outcome, expected=EXPECTED, failure_id=first.failure_id, hint=first.hint,
        observed="; ".join(f"{image} (used by {sides.get(image, '?')}): {words}" for image, words in ranked),
    )  # fmt: skip


def _all_here(notes: Mapping[str, str]) -> str:
    return f"{counted(len(notes), 'image')}, all here"


def _lines(notes: Mapping[str, str]) -> str:
    return "\n".join(f"{image}: {note}" for image, note in notes.items())
