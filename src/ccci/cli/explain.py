"""ccci explain [ID]: what a failure id means."""

from __future__ import annotations

import click

from ccci.cli.options import format_option


def complete_failure(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from ccci.failures.known import known

    return [name for name in known() if name.startswith(incomplete)]


@click.command("explain")
@click.argument("failure", metavar="[ID]", required=False, shell_complete=complete_failure)
@format_option
def command(failure: str | None, output: str) -> None:
    """What a failure id means: what you see, why it happens, what ccci does, what to do.

    Without an id it lists them all.
    """
    from ccci.failures import explain

    explain.explain(failure, output)
