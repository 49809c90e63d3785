"""What the plan of the recipe and those of its deps have in common. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ccci.errors import UsageError
from ccci.plan.recipe_settings import Probe, RecipeSettings
from ccci.plan.stack import Stack
from ccci.plan.templates import Renderer
from ccci.source.versions import Head

NODE_RUNS = "/var/lib/ccci/runs"
SERVER = "default"


@dataclass(frozen=True)
class App:
    """What is known of an app before its run. `stacks` are those that can be read, of every version that matters."""

    recipe: RecipeSettings
    renderer: Renderer
    domain: str
    stacks: Sequence[Stack]


def health(app: App, judged_at_install: bool) -> dict[str, Any]:
    written = dataclasses.asdict(app.recipe.health)
    written["from"] = written.pop("since")
    written["judged_at_install"] = judged_at_install
    written["status"] = list(app.recipe.health.status)
    if app.recipe.health.host:
        written["host"] = app.renderer.text(app.recipe.health.host, app.recipe.place("health", "host"))
    return written


def probe(app: App, wanted: Probe, *path: str | int) -> dict[str, Any]:
    """A check in the shape of its module: what the file does not say is left out. UsageError for a service that no
    version has."""
    place, render = app.recipe.place(*path), app.renderer
    written: dict[str, Any] = {"successes": wanted.successes, "within": wanted.within}
    if wanted.tcp is not None and "service" in wanted.tcp:
        written |= {"service": _known(app, wanted.tcp["service"], place), "port": wanted.tcp["port"]}
    elif wanted.tcp is not None:
        host = render.text(wanted.tcp["host"], place) if "host" in wanted.tcp else app.domain
        written |= {"host": host, "port": wanted.tcp["port"]}
    elif wanted.command:
        service, argv = _known(app, wanted.service or "", place), render.data(list(wanted.command), place)
        written |= {"service": service, "argv": argv, "stdout_contains": wanted.stdout}
    else:
        written |= {
            "url": render.text(wanted.url or "", place), "status": list(wanted.status), "json": wanted.json,
            "text": wanted.text, "content_type": wanted.content_type,
        }  # fmt: skip
    return {name: value for name, value in written.items() if value is not None}


def _known(app: App, service: str, place: str) -> str:
    known = sorted({one.name for stack in app.stacks for one in stack.services})
    if known and service not in known:
        raise UsageError(f"{place}: the recipe has no service {service!r}", expected=f"one of {', '.join(known)}")
    return service


API_MARKER_LIMIT = 300  # seconds; the default of library/ccci_api_marker.py


def longest_silences(recipe: RecipeSettings) -> list[int]:
    """Seconds that steps of this recipe may take without a sign of life."""
    limits = recipe.timeouts
    silences = [*dataclasses.asdict(limits).values(), silence(recipe.ready, limits.deploy)]
    if (recipe.marker or {}).get("kind") == "api":
        # It is judged from the controller, between ready probes and health, or health and the backup.
        ready = max(silence(recipe.ready, limit) for limit in (limits.deploy, limits.upgrade))
        silences.append(API_MARKER_LIMIT + limits.http + max(ready, API_MARKER_LIMIT))
    return silences + [silence(probes, limits.upgrade) for probes in (recipe.ready, recipe.pre_upgrade)]


def silence(probes: Sequence[Probe], limit: int) -> int:
    """The longest that a list of probes may take, in seconds. Those of one kind share `limit`, own limits add to it."""
    kinds = [
        [probe for probe in probes if probe.url],
        [probe for probe in probes if probe.tcp is not None and "service" not in probe.tcp],
        [probe for probe in probes if probe.tcp is not None and "service" in probe.tcp],
        [probe for probe in probes if probe.command],
    ]  # fmt: skip
    shared = sum(limit for kind in kinds if any(probe.within is None for probe in kind))
    return shared + sum(probe.within or 0 for probe in probes)


def head(of: Head) -> dict[str, Any]:
    return {**dataclasses.asdict(of), "subject": printable(of.subject)}


def printable(text: str) -> str:
    """A stranger's text without what a terminal would obey and without bytes that are no text."""
    readable = text.encode("utf-8", "backslashreplace").decode()
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in readable)
