"""ccci lint [RECIPE…]: the folders of recipe_tests."""

from __future__ import annotations

import click

from ccci.cli.options import complete_recipe, format_option, inventory_option


@click.command("lint")
@click.argument("recipes", nargs=-1, shell_complete=complete_recipe)
@inventory_option
@format_option
def command(recipes: tuple[str, ...], inventory: str | None, output: str) -> int:
    """Check settings, test ids, hooks, the floor of two tests, PARITY.md and the compose policy.

    Without a name every folder of recipe_tests is checked. Ends with 2 when something is wrong.
    """
    from ccci.plan import lint

    return lint.print_findings(recipes, inventory, output)
