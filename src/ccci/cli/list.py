"""ccci list: recipes, coverage, last verdicts."""

from __future__ import annotations

import click

from ccci.cli.options import format_option, inventory_option


@click.command("list")
@inventory_option
@format_option
def command(inventory: str | None, output: str) -> None:
    """The recipes, their coverage and the last verdict of each."""
    from ccci import overview

    overview.print_recipes(inventory, output)
