"""ccci deps: providers that are kept warm between runs."""

from __future__ import annotations

import click

from ccci.cli.options import format_option, inventory_option, node_option, recipe_argument, yes_option


@click.group("deps", invoke_without_command=True)
@click.pass_context
@inventory_option
@node_option
@format_option
def command(context: click.Context, inventory: str | None, node: str | None, output: str) -> int | None:
    """Keep a provider warm, so that runs need not wait for it; without a verb, say which providers there are."""
    if context.invoked_subcommand is not None:
        return None
    from ccci import warming

    return warming.show(inventory, node, output)


@command.command("warm", short_help="Keep a provider: runs on this node borrow it.")
@recipe_argument
@inventory_option
@node_option
@format_option
@yes_option
def warm(recipe: str, inventory: str | None, node: str | None, output: str, yes: bool) -> int:
    """Make a provider, or see that it is there and ready, and keep it: runs on this node borrow it from now on."""
    from ccci import warming

    return warming.keep(recipe, inventory, node, output, yes)


@command.command("cool", short_help="Take a warm provider away.")
@recipe_argument
@inventory_option
@node_option
@format_option
def cool(recipe: str, inventory: str | None, node: str | None, output: str) -> int:
    """Take a warm provider away: runs make one of their own again."""
    from ccci import warming

    return warming.cool(recipe, inventory, node, output)
