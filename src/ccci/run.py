"""One run from the command line: plan it, make its folder, see that the node is set up, play it, report.

The joint between the rooms; it decides nothing itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ccci import paths
from ccci.errors import CcciError, InfrastructureError, UsageError
from ccci.events import EVENTS_FILE
from ccci.inventory import chosen
from ccci.plan.build import Plan, plan_of
from ccci.plan.load import PR_TESTS_DIR, Materials, Request, load
from ccci.runs import LIVE_FILE, estimate_of, told_estimate
from ccci.settings import Settings, load_settings
from ccci.source.mirror import Selector

LEAST_FREE = 32 * 2**20  # bytes below runs/: a run's plan, events, logs and screenshots
# What may follow `--`: how Ansible connects and how much it says, and nothing of what the plan decides. Whether a word
# follows. Only whole names: Ansible also takes abbreviations, and short options glued together (`-vtcustom`).
_HARMLESS = {
    "--verbose": False, "-D": False, "--diff": False, "--flush-cache": False, "-b": False, "--become": False,
    "-f": True, "--forks": True, "-T": True, "--timeout": True, "-u": True, "--user": True,
    "--private-key": True, "--key-file": True, "--ssh-common-args": True, "--ssh-extra-args": True,
    "--scp-extra-args": True, "--sftp-extra-args": True, "--become-method": True, "--become-user": True,
    "--become-password-file": True, "--become-pass-file": True, "--connection-password-file": True,
    "--conn-pass-file": True, "--vault-password-file": True, "--vault-pass-file": True,
}  # fmt: skip
_VERBOSE = re.compile(r"-v+")
_OWN = {"-t": "--tags", "--tags": "--tags", "--skip-tags": "--skip-tags", "-i": "-i", "--inventory": "-i",
        "--inventory-file": "-i", "-l": "--node", "--limit": "--node"}  # fmt: skip


@dataclass(frozen=True)
class Flags:
    """The flags of `play` and `plan`, as they were given; None or empty: not given."""

    recipe: str
    pr: int | None = None
    ref: str | None = None
    version: str | None = None
    base_version: str | None = None
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    keep: str | None = None
    source: str | None = None
    inventory: str | None = None
    node: str | None = None
    wait: bool | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cold: bool = False
    keep_warm: bool = False

    def settings(self) -> Settings:
        flags = {"keep": self.keep, "source": self.source, "node": self.node}
        settings = load_settings(self.inventory, flags)
        if self.node is not None:
            chosen(settings.inventory, self.node)  # Ansible would play on nothing at all, and call that a success
        if self.wait is None:
            return settings
        return replace(settings, wait=(settings.wait or settings.lock_wait) if self.wait else 0)

    def request(self) -> Request:
        selectors = {"pr": self.pr, "ref": self.ref, "version": self.version}
        given = [(kind, str(value)) for kind, value in selectors.items() if value is not None]
        if len(given) > 1:
            raise UsageError(" and ".join(f"--{kind}" for kind, _ in given) + " do not go together")
        selector = Selector(*given[0]) if given else Selector()
        return Request(
            self.recipe, selector, self.base_version, self.tags, self.skip_tags, self.env, self.cold, self.keep_warm
        )


def show_plan(flags: Flags, output: str, save: bool = False) -> None:
    """`ccci plan`: prints the plan; with `save` the run's folder is made too and the path of its plan is printed."""
    materials = load(flags.request(), flags.settings())
    plan = plan_of(materials)
    if save:
        sys.stdout.write(f"{save_run(materials, plan)}\n")
    elif output == "json":
        json.dump(plan, sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        from ccci.plan.describe import describe

        lines = [*describe(plan), *told_estimate(estimate_of(plan))]
        sys.stdout.write("\n".join(lines) + "\n")


def save_run(materials: Materials, plan: Plan) -> Path:
    """Makes the run's folder (0700) with plan.json (0600), the bundles and trusted tests of the ref. All or nothing."""
    run_dir = materials.run_dir
    try:
        run_dir.parent.mkdir(parents=True, exist_ok=True)
        _demand_space(run_dir.parent)
        run_dir.mkdir(mode=0o700)
    except OSError as error:
        raise _cannot_write(run_dir, error) from error
    try:
        _write_private(run_dir / "plan.json", json.dumps(plan, indent=2, ensure_ascii=False) + "\n")
        materials.mirror.bundle(_commits(plan), Path(plan["source"]["bundle"]))
        for dep, entry in zip(materials.deps, plan["deps"], strict=True):
            dep.mirror.bundle([dep.head.commit], Path(entry["source"]["bundle"]))
        if materials.pr_tests_trusted and materials.pr_files:
            (run_dir / PR_TESTS_DIR).mkdir(mode=0o700)
            for path, text in materials.pr_files.items():
                _write_private(run_dir / PR_TESTS_DIR / Path(path).name, text)
    except OSError as error:
        shutil.rmtree(run_dir, ignore_errors=True)
        raise _cannot_write(run_dir, error) from error
    except BaseException:
        shutil.rmtree(run_dir, ignore_errors=True)
        raise
    return run_dir / "plan.json"


def play(flags: Flags, output: str, assume_yes: bool, verbosity: int, options: list[str]) -> int:
    """`ccci play`: returns the exit code of the verdict."""
    from ccci import bootstrap

    refuse_own_options(options)
    settings = flags.settings()
    materials = load(flags.request(), settings)
    plan = plan_of(materials)
    recipes = [materials.recipe, *(dep.needed.settings for dep in materials.deps)]
    bootstrap.ensure_python({one.place("python"): one.python for one in recipes if one.python}, assume_yes)
    bootstrap.ensure(
        settings, assume_yes, [plan["recipe"]["name"], *(dep["recipe"]["name"] for dep in plan.get("deps", []))]
    )
    save_run(materials, plan)
    try:
        return play_saved(plan, output, verbosity, options)
    except BaseException:
        if not (materials.run_dir / EVENTS_FILE).exists():  # it ended before it began
            shutil.rmtree(materials.run_dir, ignore_errors=True)
        raise


def play_saved(plan: Plan, output: str, verbosity: int, options: list[str]) -> int:
    """Plays a plan whose folder is there, shows it live on stderr, writes the reports, prints the result on stdout."""
    from rich.console import Console

    from ccci.engine import life
    from ccci.report.live import LiveView
    from ccci.report.write import write_all

    run_dir = Path(plan["run"]["dir"])
    errors = Console(stderr=True)
    with held(run_dir):
        mode = "live" if errors.is_terminal and not os.environ.get("CI") else "plain"
        view = LiveView(plan, errors, mode, estimate_of(plan))
        try:
            verbose = [f"-{'v' * verbosity}"] if verbosity else []
            life.play(plan, plan["run"]["inventory"], view.on_event, view.on_tick, [*verbose, *options])
        except CcciError:
            with suppress(OSError):  # the folder shall say what happened, too
                write_all(run_dir)
            raise
        finally:
            view.close()
        try:
            result = write_all(run_dir)
        except OSError as error:
            raise _cannot_write(run_dir, error) from error
    print_result(result, output)
    return int(result.exit_code)


def print_result(result: Any, output: str) -> None:
    """On stdout, as people or programs want it."""
    if output == "json":
        json.dump(result.to_json(), sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    from rich.console import Console

    from ccci.report import terminal

    terminal.print_result(result, Console())


@contextmanager
def held(run_dir: Path) -> Iterator[None]:
    """Marks the run as being played by this process for as long as it lives, however it dies."""
    descriptor = os.open(run_dir / LIVE_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise InfrastructureError(f"{run_dir} is being played by another ccci") from error
    finally:
        (run_dir / LIVE_FILE).unlink(missing_ok=True)
        os.close(descriptor)


def refuse_own_options(options: Sequence[str]) -> None:
    """UsageError for anything after `--` that is not known to leave the plan as it is."""
    words = iter(options)
    for word in words:
        name, given, _ = word.partition("=")
        if _VERBOSE.fullmatch(word):
            continue
        takes_value = _HARMLESS.get(name)
        if takes_value is None or (given and not (takes_value and name.startswith("--"))):
            own = _OWN.get(name) or next((_OWN[key] for key in _OWN if len(key) == 2 and word.startswith(key)), None)
            raise UsageError(
                f"{word!r} after -- could contradict the plan",
                expected=f"-v, {', '.join(sorted(key for key in _HARMLESS if key.startswith('--')))}",
                next_step=f"Give {own} to ccci itself" if own else "Variables belong into the inventory",
            )
        if takes_value and not given:
            value = next(words, None)
            if value is None or value.startswith("-"):  # Ansible would take it for the next option
                raise UsageError(f"{name} after -- needs a value", next_step=f"Write {name}=VALUE")


def _commits(plan: Plan) -> list[str]:
    commits = [plan["head"]["commit"], *([plan["base"]["commit"]] if plan["base"] else [])]
    return list(dict.fromkeys(commits))


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _demand_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise InfrastructureError(
            f"The disk that holds {folder} is full",
            expected=f"at least {LEAST_FREE // 2**20} MiB free for a run's plan, logs and screenshots",
            observed=f"{free // 2**20} MiB free",
            next_step="Make room there, or set CCCI_RUNS_DIR to another place",
        )


def _cannot_write(run_dir: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"Cannot write {error.filename or run_dir}",
        observed=error.strerror or str(error),
        next_step=f"Make room in {paths.runs_dir()}, or set CCCI_RUNS_DIR to another place",
    )
