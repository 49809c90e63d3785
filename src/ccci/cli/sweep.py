"""ccci sweep [RECIPE…]: many plays, one table."""

from __future__ import annotations

import click

from ccci.cli.options import complete_recipe, format_option, inventory_option, yes_option


@click.command("sweep")
@click.argument("recipes", nargs=-1, metavar="[RECIPE[#PR]…]", shell_complete=complete_recipe)
@inventory_option
@click.option("--limit", "node", metavar="NODE", help="Only this node of the inventory.  [default: all]")
@format_option
@yes_option
def command(recipes: tuple[str, ...], inventory: str | None, node: str | None, output: str, yes: bool) -> int:
    """Play many recipes, one after the other on each node of the inventory, and go on after a red one.

    Without a RECIPE all that are known here; RECIPE#3 is its pull request 3. Ends with one table and one page.
    """
    from ccci import sweep

    return sweep.sweep(recipes, inventory, node, output, yes)
