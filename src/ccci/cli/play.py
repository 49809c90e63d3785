"""ccci play RECIPE: the whole life, and a verdict."""

from __future__ import annotations

from typing import Any

import click

from ccci.cli.options import format_option, selection, yes_option


@click.command("play", context_settings={"ignore_unknown_options": False})
@selection
@format_option
@yes_option
@click.option("-v", "verbosity", count=True, help="More of what Ansible says, in the run's logs.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[-- ANSIBLE-OPTIONS…]")
def command(output: str, yes: bool, verbosity: int, options: tuple[str, ...], **flags: Any) -> int:
    """Play a recipe through its whole life and give a verdict."""
    from ccci import run

    return run.play(run.Flags(**flags), output, yes, verbosity, list(options))
