"""ccci doctor: what this host can and cannot do."""

from __future__ import annotations

import click

from ccci.cli.options import format_option, inventory_option, node_option


@click.command("doctor")
@inventory_option
@node_option
@format_option
def command(inventory: str | None, node: str | None, output: str) -> int:
    """What this host can and cannot do, each line with the fix. Ends with 3 when a play could not work."""
    from ccci import doctor

    return doctor.examine(inventory, node, output)
