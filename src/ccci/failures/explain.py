"""What `ccci explain` prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ccci.errors import UsageError
from ccci.failures.known import Failure, known

if TYPE_CHECKING:
    from rich.console import Console

LABEL = 16  # columns of the headings


def explain(name: str | None, output: str) -> None:
    """`ccci explain [ID]`. UsageError with the nearest ids for one that nobody knows."""
    chosen = list(known().values()) if name is None else [_find(name)]
    if output == "json":
        data = [failure.to_json() for failure in chosen]
        sys.stdout.write(json.dumps(data if name is None else data[0], indent=2, ensure_ascii=False) + "\n")
        return
    from rich.console import Console

    console = Console(highlight=False)
    if name is None:
        _print_list(chosen, console)
    else:
        _print_one(chosen[0], console)


def _find(name: str) -> Failure:
    from ccci.source.versions import nearest

    # As it stands in a verdict, too: copied with its brackets.
    wanted = name.strip("[] ").lower()
    if wanted in known():
        return known()[wanted]
    near = nearest(wanted, known())
    raise UsageError(
        f"There is no failure id {name!r}", expected=", ".join(near) if near else "",
        next_step="`ccci explain` lists them all",
    )  # fmt: skip


def _print_one(failure: Failure, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    console.print(Text.assemble((failure.id, "bold"), f"  {failure.title}"))
    console.print()
    # Texts, not str: brackets in them are no markup.
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=LABEL - 2, style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for heading, text in failure.paragraphs:
        table.add_row(Text(heading), Text(text))
    console.print(table)


def _print_list(failures: Iterable[Failure], console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id", no_wrap=True)
    table.add_column("fault", no_wrap=True)
    table.add_column("what it is")
    for failure in failures:
        table.add_row(Text(failure.id), Text(failure.fault), Text(failure.title))
    console.print(table)
    console.print()
    console.print(Text("ccci explain ID tells why it happens and what to do.", "dim"))
