"""ccci plan RECIPE: what a play would do."""

from __future__ import annotations

from typing import Any

import click

from ccci.cli.options import format_option, selection


@click.command("plan")
@selection
@format_option
@click.option("--save", is_flag=True, help="Write the run's folder too, for ansible-playbook; print its plan.json.")
def command(output: str, save: bool, **flags: Any) -> None:
    """Print what a play would do, and stop there."""
    from ccci import run

    run.show_plan(run.Flags(**flags), output, save)
