"""ccci config: the settings that apply, and where each is from."""

from __future__ import annotations

import click

from ccci.cli.options import format_option, inventory_option


@click.command("config")
@inventory_option
@format_option
def command(inventory: str | None, output: str) -> None:
    """Print the settings that apply here, and where each is from. Passwords inside URLs are hidden."""
    from ccci import overview

    overview.print_config(inventory, output)
