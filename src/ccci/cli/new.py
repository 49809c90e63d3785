"""ccci new RECIPE: a folder from the template."""

from __future__ import annotations

import click

from ccci.cli.options import complete_recipe


@click.command("new")
@click.argument("recipe", shell_complete=complete_recipe)
def command(recipe: str) -> None:
    """Make recipe_tests/RECIPE from the template."""
    from ccci import scaffold

    scaffold.make(recipe)
