"""ccci completion SHELL: the completion script."""

from __future__ import annotations

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash:  eval "$(ccci completion bash)"
    zsh:   eval "$(ccci completion zsh)"
    fish:  ccci completion fish | source
    """
    from click.shell_completion import get_completion_class

    from ccci.cli.main import cli

    completion = get_completion_class(shell)
    assert completion is not None  # the choice above names only shells that click knows
    click.echo(completion(cli, {}, "ccci", "_CCCI_COMPLETE").source())
