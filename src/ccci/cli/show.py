"""ccci show [RUN]: a past run's verdict."""

from __future__ import annotations

import click

from ccci.cli.options import format_option, run_argument


@click.command("show")
@run_argument
@format_option
def command(run: str | None, output: str) -> int:
    """Show a past run; without a name the last one. Ends with that run's exit code."""
    from ccci import runs

    return runs.show(run, output)
