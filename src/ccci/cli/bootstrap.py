"""ccci bootstrap: sets a node up."""

from __future__ import annotations

import click

from ccci.cli.options import inventory_option, node_option, yes_option


@click.command("bootstrap")
@inventory_option
@node_option
@yes_option
@click.option("--check", is_flag=True, help="Change nothing; say what would change.")
def command(inventory: str | None, node: str | None, yes: bool, check: bool) -> None:
    """Set a node up. On one that is set up already this changes nothing."""
    from ccci import bootstrap
    from ccci.settings import load_settings

    bootstrap.bootstrap(load_settings(inventory, {"node": node}), yes, check)
