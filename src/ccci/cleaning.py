"""`ccci clean`: what dead runs left on the nodes and in runs/; dangling images. Kept runs stay until they are named."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ccci import events, inventory, paths, runs
from ccci.errors import LEFT_BEHIND, PASS, InfrastructureError, UsageError
from ccci.settings import Settings, load_settings
from ccci.source.catalogue import known_recipes, open_mirror
from ccci.source.image_names import image_names

PLAYBOOK = "clean.yml"
IMAGES_PLAYBOOK = "clean_images.yml"
MB = 1_000_000
REMOVED = "teardown.removed"
Summary = dict[str, Any]


def clean(inventory_name: str | None, node: str | None, run: str | None, dry_run: bool, output: str) -> int:
    """Cleans one run (`run`, also a kept one) or every dead one. Returns 0, or 4 when something stayed."""
    settings = load_settings(inventory_name, {"node": node})
    summary = _by_plan(run, dry_run) if run and _is_here(run) else _by_journals(settings, node, run, dry_run)
    if output == "json":
        sys.stdout.write(json.dumps(summary, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(describe(summary)) + "\n")
    return LEFT_BEHIND if summary["left_behind"] else PASS


def look(settings: Settings, node: str | None) -> Summary:
    """What the nodes know, without changing anything."""
    return _by_journals(settings, node, None, True)


def clean_images(inventory_name: str | None, node: str | None, dry_run: bool, output: str) -> int:
    """Removes dangling images from the nodes, between runs. Returns 0."""
    settings = load_settings(inventory_name, {"node": node})
    limit = inventory.chosen(settings.inventory, node).name if node else None
    mirrors = [open_mirror(recipe, settings.recipe_url) for recipe in known_recipes(settings.recipe_url)]
    named = sorted({name for mirror in mirrors for name in image_names(mirror)})
    with _folder() as folder:
        file = folder / "named-images.json"
        file.write_text(json.dumps(named))
        variables = {"ccci_named_images": str(file), "ccci_clean_wait": str(settings.wait)}
        code = _run_playbook(settings.inventory, folder, {**variables, "ccci_dry_run": str(dry_run).lower()}, limit,
                             IMAGES_PLAYBOOK)  # fmt: skip
        stream = events.read(folder)
        if code != 0:
            raise _broken(folder, stream, "clean_images")
    cleaned = [event["value"] for event in stream if event["type"] == "fact" and event["name"] == "images_cleaned"]
    if output == "json":
        sys.stdout.write(json.dumps({"dry_run": dry_run, "nodes": cleaned}, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(line for one in cleaned for line in describe_images(one, dry_run)) + "\n")
    return PASS


def describe_images(cleaned: Mapping[str, Any], dry_run: bool) -> list[str]:
    """What was removed from one node, for people. Pure."""
    done = "would be removed" if dry_run else "removed"
    node, count = cleaned["node"], len(cleaned["removed"])
    lines = [f"{node}: {one['name']}: {done}" for one in cleaned["removed"]]
    lines += [f"{node}: {one['name']}: kept, because {one['why']}" for one in cleaned["kept"]]
    amount = f"{cleaned['bytes'] / MB:.1f} MB{' at most' if dry_run else ''}"
    return [*lines, f"{node}: {count} dangling image{'' if count == 1 else 's'} {done}, {amount}"]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """For the events and logs of one cleaning; it stays only when that did not complete."""
    # With our id: two cleanings may begin in the same second.
    folder = paths.cache_dir() / "clean" / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}"
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def describe(summary: Mapping[str, Any]) -> list[str]:
    """The summary for people. Pure."""
    done = "would be removed" if summary["dry_run"] else "removed"
    lines = [f"{entry['run']}: {done} ({', '.join(entry['stacks'])})" for entry in summary["dead"]]
    lines += [f"{entry['kind']} {entry['name']}: could not be removed" for entry in summary["left_behind"]]
    lines += [f"{run}: its report is finished" for run in summary["finished"]]
    lines += [f"{run}: its folder is removed; it died before its play began" for run in summary["stillborn"]]
    lines += [f"{entry['run']}: kept; `ccci clean --run {entry['run']}` removes it" for entry in summary["kept"]]
    lines += [f"{entry['run']}: is being played" for entry in summary["live"]]
    lines += [f"{entry['run']}: kept warm; see `ccci deps`" for entry in summary["warm"]]
    return lines or ["There was nothing to clean."]


def summarize(stream: Sequence[events.Event], dry_run: bool) -> Summary:
    """What clean.yml said, from its events. Pure."""
    facts = [(event["name"], event.get("value")) for event in stream if event["type"] == "fact"]
    known = dict(facts)
    left = [item for name, value in facts if name == "left_behind" for item in value or []]
    return {
        "dry_run": dry_run,
        "dead": [_entry(scope) for scope in known.get("dead") or []],
        "kept": [_entry(scope) for scope in known.get("kept") or []],
        "live": [_entry(scope) for scope in known.get("live") or []],
        "warm": [_entry(scope) for scope in known.get("warm") or []],
        "left_behind": left,
        "finished": [],
        "stillborn": [],
    }


def only(summary: Summary, run: str) -> Summary:
    """The summary of cleaning one run. UsageError when no node knows it. Pure."""
    known = summary["dead"] + summary["kept"] + summary["warm"]
    removed = [entry for entry in known if entry["run"] == run]
    if not removed:
        names = ", ".join(entry["run"] for entry in known + summary["live"])
        raise UsageError(f"No node knows the run {run}", expected=names or "a run; there are none")
    return {**summary, "dead": removed, "kept": [], "live": [], "warm": []}


def _entry(scope: Any) -> dict[str, Any]:
    if not isinstance(scope, dict):
        return {"run": str(scope), "stacks": []}
    return {"run": str(scope.get("run")), "stacks": [app["stack"] for app in scope.get("apps", [])]}


def _is_here(name: str) -> bool:
    return any(run.name == Path(name).name for run in runs.all_runs())


def _by_plan(name: str, dry_run: bool) -> Summary:
    found = runs.find(name)
    plan = found.plan()
    if found.is_live():
        raise UsageError(
            f"{found.name} is being played", next_step="Stop it with Ctrl-C; it then cleans up after itself"
        )
    empty = summarize([], dry_run)
    if dry_run:
        return {**empty, "dead": [_entry(plan["scope"])]}
    before = len(events.read(found.path))
    _run_playbook(Path(plan["run"]["inventory"]), found.path, {"ccci_plan_file": str(found.path / "plan.json")}, None)
    from ccci.report.write import write_all

    stream = events.read(found.path)[before:]
    if not any(event["type"] == "result" and event.get("id") == REMOVED for event in stream):
        raise _broken(found.path, stream)
    write_all(found.path)
    return {**summarize(stream, dry_run), "dead": [_entry(plan["scope"])], "finished": [found.name]}


def _by_journals(settings: Settings, node: str | None, run: str | None, dry_run: bool) -> Summary:
    """Every dead run that the nodes know, or the one named `run`, which another controller may have played."""
    limit = inventory.chosen(settings.inventory, node).name if node else None
    with _folder() as folder:
        variables = {"ccci_dry_run": str(dry_run).lower(), **({"ccci_clean_run": run} if run else {})}
        code = _run_playbook(settings.inventory, folder, variables, limit)
        stream = events.read(folder)
        summary = summarize(stream, dry_run)
        if code != 0 and not summary["left_behind"]:
            raise _broken(folder, stream)
    if run:
        return only(summary, run)
    if not dry_run:
        summary["stillborn"] = [run.name for run in runs.remove_stillborn()]
        summary["finished"] = [run.name for run in runs.finish_dead()]
    return summary


def _run_playbook(
    source: Path, folder: Path, variables: Mapping[str, str], limit: str | None, playbook: str = PLAYBOOK
) -> int:
    from ccci.engine import life

    def say(event: events.Event) -> None:
        if event["type"] == "progress":
            sys.stderr.write(f"  {event['text']}\n")

    return life.simple(playbook, str(source), folder, variables, say, limit)


def _broken(folder: Path, stream: Sequence[events.Event], playbook: str = "clean") -> InfrastructureError:
    words = [
        f"{event.get('name')}: {event.get('msg')}"
        for event in stream
        if event["type"] == "task" and event.get("outcome") != "ok"
    ]
    return InfrastructureError(
        "The cleaning did not complete",
        observed=words[-1] if words else "ansible-playbook ended early",
        next_step=f"The whole log: {folder / 'logs' / f'ansible-{playbook}.log'}",
    )
