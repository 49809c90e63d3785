"""ccci clean: what dead runs left, and dangling images."""

from __future__ import annotations

import click

from ccci.cli.options import complete_run, format_option, inventory_option, node_option


@click.command("clean")
@inventory_option
@node_option
@click.option("--run", shell_complete=complete_run, help="Remove this run, also when it was kept.")
@click.option("--images", is_flag=True, help="Remove dangling images that no recipe names, between runs.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@format_option
def command(inventory: str | None, node: str | None, run: str | None, images: bool, dry_run: bool, output: str) -> int:
    """Remove what dead runs left on the nodes, and nothing else; finish their reports."""
    from ccci import cleaning

    if images and run:
        raise click.UsageError("--images cleans no run: leave --run out")
    if images:
        return cleaning.clean_images(inventory, node, dry_run, output)
    return cleaning.clean(inventory, node, run, dry_run, output)
