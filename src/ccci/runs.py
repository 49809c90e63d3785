"""Past runs: the folders below runs/, which is dead, and what each said."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ccci import events, paths
from ccci.engine import processes
from ccci.engine.playbook import RUN_MARK, SCRATCH, STRAY_SECONDS
from ccci.errors import CcciError, InfrastructureError, UsageError
from ccci.inventory import chosen
from ccci.plan.domains import app_prefix
from ccci.report import words
from ccci.report.estimate import Estimate, estimate
from ccci.source.versions import nearest

LIVE_FILE = "live.lock"  # held (flock) by the command that plays the run
RESULT_FILE = "result.json"
REPORT_FILE = "report.html"
MOST_READ = 20  # results of earlier runs for an estimate; some 100 kB each
_NAME = re.compile(r"\d{8}-\d{6}-[a-z0-9]{4}-[0-9a-f]{6}")


@dataclass(frozen=True)
class Run:
    """A run's folder. Its name begins with its time, so that names sort by age."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def plan(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.path / "plan.json").read_text()))
        except (OSError, ValueError) as error:
            raise InfrastructureError(f"{self.path / 'plan.json'} cannot be read", observed=str(error)) from error

    def verdict(self) -> str:
        """Of its result.json; `running`, or `unfinished` when whoever played it died."""
        try:
            return str(json.loads((self.path / RESULT_FILE).read_text())["verdict"])
        except (OSError, ValueError, KeyError):
            return "running" if self.is_live() else "unfinished"

    def is_live(self) -> bool:
        """Whether a process plays it. A dead one's lock is free, however it died."""
        try:
            descriptor = os.open(self.path / LIVE_FILE, os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def all_runs() -> list[Run]:
    """Newest first."""
    if not paths.runs_dir().is_dir():
        return []
    folders = [path for path in paths.runs_dir().iterdir() if _NAME.fullmatch(path.name)]
    return [Run(path) for path in sorted(folders, reverse=True) if (path / "plan.json").is_file()]


def find(name: str | None) -> Run:
    """The run of this name, or whose name ends or begins so; without a name the last one. UsageError otherwise."""
    known = all_runs()
    if not known:
        raise UsageError(f"There are no runs in {paths.runs_dir()}", next_step="ccci play RECIPE makes one")
    if name is None:
        return known[0]
    wanted = Path(name).name
    matches = [run for run in known if run.name == wanted] or [
        run for run in known if run.name.startswith(wanted) or run.name.endswith(wanted)
    ]
    if len({run.name for run in matches}) == 1 or (matches and matches[0].name.endswith(wanted)):
        return matches[0]
    names = [run.name for run in matches or known]
    near = nearest(wanted, names) or names[:3]
    raise UsageError(
        f"{name!r} is {'no run' if not matches else 'the beginning of several runs'}",
        expected=f"for example {', '.join(near)}",
        observed=f"looked in {paths.runs_dir()}",
    )


def last_of(recipe: str, known: list[Run]) -> Run | None:
    """The newest of these runs that played a recipe. A folder without a readable plan is nobody's."""
    for run in known:
        try:
            if run.plan()["recipe"]["name"] == recipe:
                return run
        except (InfrastructureError, KeyError, TypeError):
            continue
    return None


def past_results(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The result.json of earlier runs that may be of the plan's recipe, newest first; at most `MOST_READ` files."""
    run = str(plan["run"]["id"])
    letters = run.split("-")[2:3]  # the run's name begins like its app's, and that like its recipe
    folder = paths.runs_dir()
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    like = sorted((name for name in names if _NAME.fullmatch(name) and name.split("-")[2:3] == letters), reverse=True)
    for name in [name for name in like if name != run][:MOST_READ]:
        try:
            text = (folder / name / RESULT_FILE).read_text()
            yield dict(json.loads(text))
        except (OSError, ValueError, TypeError):
            continue


def results_of(recipe: str) -> Iterator[dict[str, Any]]:
    """The result.json of the runs of a recipe, newest first; at most `MOST_READ` files of names that may be its."""
    letters = app_prefix(recipe, "", None).partition("-")[0]
    names = [run for run in all_runs() if run.name.split("-")[2] == letters][:MOST_READ]
    for run in names:
        try:
            result = dict(json.loads((run.path / RESULT_FILE).read_text()))
        except (OSError, ValueError, TypeError):
            continue
        if result.get("recipe") == recipe:
            yield result


def estimate_of(plan: dict[str, Any]) -> Estimate | None:
    """How long a plan's run will take, judging by earlier ones; None without any on the same node."""
    results = [result for result in past_results(plan) if result.get("recipe") == plan["recipe"]["name"]]
    if not results:
        return None  # and nobody has to read the inventory
    try:
        node = chosen(Path(plan["run"]["inventory"]), str(plan["run"]["node"])).name
    except CcciError:
        return None  # whoever needs the node says what is wrong with the inventory
    return estimate(plan, results, node)


def told_estimate(found: Estimate | None) -> list[str]:
    """The lines that `ccci plan` adds; none without earlier runs of the recipe on the node."""
    if found is None:
        return []
    tiers = ", ".join(f"{tier} {words.seconds(seconds)}" for tier, seconds in found.tiers.items())
    whole = f"about {words.seconds(found.whole)}: " if found.whole is not None else ""
    number = f"{found.runs} earlier run" + ("" if found.runs == 1 else "s")
    return ["", f"Time, judging by {number}: {whole}{tiers}"]


def show(name: str | None, output: str) -> int:
    """`ccci show`: the verdict again, from plan and events. Returns the run's exit code."""
    from ccci import run as joint
    from ccci.report.result import compute

    found = find(name)
    result = compute(found.plan(), events.read(found.path))
    joint.print_result(result, output)
    return int(result.exit_code)


def report(name: str | None, output: str, open_it: bool) -> None:
    """`ccci report`: the path of the HTML report, made again when it is not there; `open_it` shows it in a browser."""
    found = find(name)
    path = found.path / REPORT_FILE
    if not path.is_file():
        from ccci.report.write import write_all

        write_all(found.path)
    if output == "json":
        sys.stdout.write(json.dumps({"run": found.name, "report": str(path)}) + "\n")
    else:
        sys.stdout.write(f"{path}\n")
    if open_it:
        import webbrowser

        if not webbrowser.open(path.as_uri()):
            raise InfrastructureError("There is no browser to open the report with", next_step=f"Open {path.as_uri()}")


def logs(name: str | None, service: str | None, output: str) -> None:
    """`ccci logs`: one log, or the list of those there are."""
    found = find(name)
    files = {path.stem: path for path in sorted((found.path / "logs").glob("*.log"))}
    if service is None:
        if output == "json":
            sys.stdout.write(json.dumps({log: str(path) for log, path in files.items()}, indent=2) + "\n")
        else:
            sys.stdout.write("".join(f"{log:<20} {path}\n" for log, path in files.items()) or "no logs\n")
        return
    if service not in files:
        raise UsageError(
            f"{found.name} has no log of {service!r}",
            expected=", ".join(files) or "a run that got as far as its teardown, which collects the logs",
        )
    text = files[service].read_text(errors="replace")
    sys.stdout.write(json.dumps({"service": service, "log": text}) + "\n" if output == "json" else text)


def finish_dead() -> list[Run]:
    """Writes the reports of runs whose command died, and removes what it was in the middle of. Returns those runs."""
    from ccci.report.write import write_all

    dead = [run for run in _dead() if (run.path / events.EVENTS_FILE).exists()]
    for run in dead:
        shutil.rmtree(run.path / SCRATCH, ignore_errors=True)
        (run.path / LIVE_FILE).unlink(missing_ok=True)
        if not any(event["type"] in ("play_end", "signal", "died") for event in events.read(run.path)):
            events.append(run.path, "died", what="ccci")
        write_all(run.path)
    return dead


def remove_stillborn() -> list[Run]:
    """Removes the folders of runs whose command died before their play began, as a run that ends then does itself. What
    never had the lock is a plan that somebody saved. Returns those runs."""
    begun = events.EVENTS_FILE
    dead = [run for run in _dead() if (run.path / LIVE_FILE).exists() and not (run.path / begun).exists()]
    for run in dead:
        # An ansible-playbook that is still loading learns of the death only when it has, and writes there until then.
        processes.end_marked(RUN_MARK, run.name, STRAY_SECONDS)
        shutil.rmtree(run.path, ignore_errors=True)
    return dead


def _dead() -> list[Run]:
    """Runs without a result that nobody plays."""
    return [run for run in all_runs() if not (run.path / RESULT_FILE).exists() and not run.is_live()]
