"""The result for people, in a terminal, a pipe or a CI log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ccci import paths
from ccci.report import clean, junit, words
from ccci.report.model import Result

LOG_LINES = 8
NARROW = 60  # columns; below that causes stand under the table
FOREIGN_SHOWN = 3


def print_result(result: Result, console: Console) -> None:
    """What is red, in full; then a line per tier, where the time went, and the verdict."""
    data = clean.plain_data(result.to_json())
    for tier in data["tiers"]:
        for item in tier["assertions"]:
            if item["outcome"] in words.RED:
                for line in _failure(item, data):
                    console.print(line, soft_wrap=True)  # so that paths and commands can be copied
                console.print()
    console.print(_table(data, console.width))
    console.print()
    for line in _afterwards(data, console.width):
        console.print(line, soft_wrap=True)


def _failure(item: dict[str, Any], result: dict[str, Any]) -> Iterable[Text]:
    colour = words.COLOURS[item["outcome"]]
    head = Text.assemble((item["id"], f"bold {colour}"), f"  {item['title']}")
    if item["failure_id"]:
        head.append(f"  [{item['failure_id']}]", colour)
    yield head
    for check in item["checks"]:
        if check["outcome"] != "pass" and check["check"] and len(item["checks"]) > 1:
            yield Text(f"check {check['check']}: {clean.one_line(check['observed'] or check['outcome'], 200)}", "dim")
    for line in words.difference(item["expected"], item["observed"]):
        label = {"-": "expected", "+": "observed"}.get(line[:1], "")
        yield Text(f"{label:<9} {line[2:]}", {"-": "green", "+": "red"}.get(line[:1], ""))
    if item["cause"] and item["cause"] not in (item["observed"] or ""):
        yield Text.assemble(("cause     ", "bold"), item["cause"])
    if item["hint"]:
        yield Text.assemble(("hint      ", "bold"), item["hint"])
    if more := words.explain(item["failure_id"]):
        yield Text.assemble(("more      ", "bold"), more)
    for line in words.last_lines(item["evidence"], LOG_LINES):
        yield Text(f"│ {line}", "dim")
    folder = paths.runs_dir() / result["run"]["id"]
    for artefact in [one for one in junit.related(item, result) if (folder / one["path"]).exists()][:4]:
        yield Text.assemble(("file      ", "bold"), str(folder / artefact["path"]))
    yield Text.assemble(("again     ", "bold"), result["reproduce"])


def _table(result: dict[str, Any], width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("tier", "verdict", "checks", "time"):
        table.add_column(column, no_wrap=True, justify="right" if column in ("checks", "time") else "left")
    if width >= NARROW:
        table.add_column("cause")
    for tier in result["tiers"]:
        verdict = Text(f"{words.SYMBOLS[tier['verdict']]} {tier['verdict']}", words.COLOURS[tier["verdict"]])
        # Text, not str: what a service printed must not be read as markup.
        row = [Text(tier["tier"]), verdict, Text(_checks(tier)), Text(words.seconds(tier["seconds"]))]
        table.add_row(*row, *([Text(words.remark(tier))] if width >= NARROW else []))
    return table


def _checks(tier: dict[str, Any]) -> str:
    passed = sum(item["outcome"] == "pass" for item in tier["assertions"])
    return f"{passed}" if passed == len(tier["assertions"]) else f"{passed} of {len(tier['assertions'])}"


def _afterwards(result: dict[str, Any], width: int) -> Iterable[Text]:
    if width < NARROW:
        yield from (Text(f"{tier['tier']}: {words.remark(tier)}") for tier in result["tiers"] if words.remark(tier))
    time = result["time"]
    parts = ", ".join(f"{what} {words.seconds(value)}" for what, value in time["by"].items())
    yield Text(
        f"time      {words.seconds(time['wall'])}: app {words.seconds(time['app'])}{f' ({parts})' if parts else ''}, "
        f"harness {words.seconds(time['harness'])}",
        "dim",
    )
    for dep in result["deps"]:
        yield Text(f"dep       {dep['key']}: {dep['recipe']} {dep['version']}{' (warm)' if dep['warm'] else ''}", "dim")
    for gap in result["coverage_gaps"]:
        yield Text(f"gap       {gap}", "yellow")
    for note in result["notes"]:
        yield Text(f"note      {clean.one_line(note)}", "dim")
    for left in result["left_behind"]:
        yield Text(f"left      {named(left)}", "bold red")
    if result["foreign"]:
        names = ", ".join(named(thing) for thing in result["foreign"][:FOREIGN_SHOWN])
        more = len(result["foreign"]) - FOREIGN_SHOWN
        also = f" and {more} more" if more > 0 else ""
        yield Text(f"foreign   {names}{also} changed meanwhile; not of this run", "dim")
    folder = paths.runs_dir() / result["run"]["id"]
    if (folder / "report.html").exists():
        yield Text(f"report    {folder / 'report.html'}", "dim")
    yield Text()
    yield _verdict(result)


def _verdict(result: dict[str, Any]) -> Text:
    verdict = result["verdict"]
    label = clean.one_line(str(result["ref"].get("label") or ""))
    line = Text()
    line.append(f" {verdict.upper()} ", f"bold white on {words.COLOURS[verdict].replace('yellow', 'dark_orange')}")
    line.append(f" {result['recipe']}", "bold").append(f", {label}" if label else "")
    if result["cause"]:
        line.append(f": {clean.one_line(result['cause'])}")
    if result["failure_id"]:
        line.append(f" [{result['failure_id']}]")
    if result["left_behind"]:
        line.append(f" — {len(result['left_behind'])} objects were left behind; ccci clean removes them", "bold red")
    return line


def named(thing: Any) -> str:
    """An object of the node, as facts have it: `{kind, name}` or a text."""
    if isinstance(thing, dict):
        return clean.one_line(f"{thing.get('kind', 'object')} {thing.get('name', thing)}")
    return clean.one_line(str(thing))
