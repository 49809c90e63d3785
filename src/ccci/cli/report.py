"""ccci report [RUN]: the HTML report."""

from __future__ import annotations

import click

from ccci.cli.options import format_option, run_argument


@click.command("report")
@run_argument
@format_option
@click.option("--open", "open_it", is_flag=True, help="Show it in a browser.")
def command(run: str | None, output: str, open_it: bool) -> None:
    """Print the path of a run's HTML report; without a name the last run's."""
    from ccci import runs

    runs.report(run, output, open_it)
