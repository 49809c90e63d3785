"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Decorated = Callable[..., Any]


def complete_recipe(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Recipe names for the shell; a broken set-up completes nothing instead of printing errors into the prompt."""
    from ccci.errors import CcciError
    from ccci.settings import load_settings
    from ccci.source.catalogue import known_recipes

    try:
        names = known_recipes(load_settings(ctx.params.get("inventory")).recipe_url)
    except (CcciError, OSError):
        return []
    return [name for name in names if name.startswith(incomplete)]


def complete_run(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from ccci import runs

    return [run.name for run in runs.all_runs() if run.name.startswith(incomplete)]


def complete_inventory(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from ccci import paths

    return sorted(path.name for path in paths.INVENTORY.glob(f"{incomplete}*"))


def commas(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """`--tags a,b --tags c` → (a, b, c)."""
    return tuple(word.strip() for text in value for word in text.split(",") if word.strip())


def pairs(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in value:
        key, equals, rest = text.partition("=")
        if not equals or not key.isidentifier():
            raise click.BadParameter(f"{text!r} is not KEY=VALUE", ctx, parameter)
        found[key] = rest
    return found


recipe_argument = click.argument("recipe", shell_complete=complete_recipe)
run_argument = click.argument("run", required=False, shell_complete=complete_run)
format_option = click.option(
    "--format", "output", type=click.Choice(["human", "json"]), default="human", show_default=True,
    help="How results are printed on stdout.",
)  # fmt: skip
inventory_option = click.option(
    "-i", "--inventory", shell_complete=complete_inventory, help="A name below inventory/, or a path.  [default: local]"
)
node_option = click.option("--limit", "node", metavar="NODE", help="Which node of the inventory.  [default: the first]")
yes_option = click.option("--yes", "-y", is_flag=True, help="Set the node up without asking.")
_SELECTION = (
    click.option("--pr", type=click.IntRange(1), help="Test the head of this pull request."),
    click.option("--ref", help="Test a branch, a tag or a commit."),
    click.option("--version", help="Test a published version."),
    click.option("--from", "base_version", metavar="VERSION", help="The published version to upgrade from."),
    click.option("--tags", multiple=True, callback=commas, metavar="T,…", help="Only the verdict on these tiers."),
    click.option("--skip-tags", multiple=True, callback=commas, metavar="T,…", help="No verdict on these tiers."),
    click.option("--keep", type=click.Choice(["never", "on-failure", "always"]), help="When to leave the app running."),
    click.option("--source", metavar="GIT-URL", help="The recipe's repository, instead of the inventory's."),
    inventory_option,
    node_option,
    click.option("--wait/--no-wait", default=None, help="Wait for another run on the node, or fail at once."),
    click.option("--cold", is_flag=True, help="Deploy every dep for this run, also one that is kept warm."),
    click.option("--set", "env", multiple=True, callback=pairs, metavar="KEY=VALUE", help="A value of the app's .env."),
)


def selection(command: Decorated) -> Decorated:
    """What `play` and `plan` have in common: recipe, ref, tiers, node."""
    for option in reversed(_SELECTION):
        command = option(command)
    return recipe_argument(command)
