"""ccci logs RUN [SERVICE]: the logs that a run collected."""

from __future__ import annotations

import click

from ccci.cli.options import format_option, run_argument


@click.command("logs")
@run_argument
@click.argument("service", required=False)
@format_option
def command(run: str | None, service: str | None, output: str) -> None:
    """Print the log of a service; without a service list the logs of the run."""
    from ccci import runs

    runs.logs(run, service, output)
