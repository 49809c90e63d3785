"""The command `ccci`: finds the verb, runs it, and turns every way out into one of the documented exit codes."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from ccci import errors

# verb -> what `--help` says about it. The module of a verb is imported only when that verb runs.
VERBS = {
    "play": "Play a recipe through its whole life and give a verdict.",
    "sweep": "Play many recipes, and sum up in one table and one page.",
    "plan": "Print what a play would do, and stop there.",
    "list": "The recipes, their coverage and the last verdict of each.",
    "lint": "Check the folders of recipe_tests: settings, test ids, floor, PARITY, compose policy.",
    "new": "Make a folder for a recipe's tests from the template.",
    "show": "Show a past run; without a name the last one.",
    "report": "The HTML report of a run.",
    "logs": "The logs of a run's services.",
    "explain": "What a failure id means, and what to do.",
    "deps": "Keep providers warm between runs, and say which there are.",
    "clean": "Remove what dead runs left on the nodes, and nothing else.",
    "bootstrap": "Set a node up.",
    "doctor": "What this host can and cannot do, each line with the fix.",
    "config": "Print the settings that apply here, and where each is from.",
    "completion": "Print the completion script for a shell.",
}
BROKEN_PIPE = 141  # what a shell reports for a command whose reader left


class Verbs(click.Group):
    """Subcommands that are imported when they are called: `--help` stays under 0.3 s."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = import_module(f"ccci.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Verbs: {', '.join(VERBS)}."
            ctx.fail(f"There is no verb {args[0]!r}. {hint}")


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"ccci {version('ccci')}")
        ctx.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
def cli() -> None:
    """Plays Co-op Cloud recipes through their whole life on a real Docker Swarm.

    Exit codes: 0 pass, 1 the recipe failed, 2 usage, 3 infrastructure, 4 something was left behind, 130 interrupted.
    """


def run(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    try:
        code = cli.main(arguments, prog_name="ccci", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else errors.PASS
    except click.ClickException as error:
        error.show()
        return errors.USAGE
    except errors.CcciError as error:
        click.echo(f"ccci: {error}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("ccci: interrupted", err=True)
        return errors.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more to say at exit either
        return BROKEN_PIPE
    except Exception as error:
        return _unexpected(error)


def _unexpected(error: Exception) -> int:
    """A mistake of ccci itself: one line here, the traceback in a file that can be sent along."""
    import time
    import traceback

    from ccci import paths

    text = "".join(traceback.format_exception(error))
    path = paths.cache_dir() / "errors" / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        where = f"traceback: {path}"
    except OSError as second:
        where = f"the traceback could not be saved ({second}):\n{text}"
    click.echo(f"ccci: unexpected {type(error).__name__}: {error}\n  {where}", err=True)
    return errors.INFRASTRUCTURE


def main() -> None:
    import signal

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _interrupt)
    sys.exit(run())


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
