"""Writes docs/failures.md from src/ccci/failures/failures.yml: `make docs`.

With --check it writes nothing, and ends with 1 when the page is not up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from ccci.failures.known import Failure, known

PAGE = Path(__file__).resolve().parent / "failures.md"
HEAD = """\
<!-- Made by `make docs` from src/ccci/failures/failures.yml. -->
# Failures

Every red result that has a known cause carries an id; `ccci explain ID` prints what stands here. `never` means that it
is no verdict: ccci waits for it, or leaves no room for it.
"""
MEASURED = """\
## How the numbers are measured

The failures are caused for real: `make faults` plays the embedded recipe `faultbox`, whose pull requests and settings
hold one fault each, and looks at tier, id, service and sentence of the verdict. The time that counts is the one from
the first evidence, as each section below defines it, to the verdict; a check that only fails is no evidence yet. Beside
it stands what the plain way takes: abra's own wait with its usual limits. Failures that cannot happen any more are
tried all the same, and those that are never a verdict are the false alarms that must not come.
[failures-measured.md](failures-measured.md) has the tables and the commands that make them.
"""


def page(failures: Iterable[Failure], measured: bool) -> str:
    """The whole page. `measured`: there is a page of numbers to link."""
    failures = list(failures)
    lines = [HEAD, "| id | whose fault | what it is |", "|---|---|---|"]
    lines += [f"| [{one.id}](#{one.id}) | {one.fault} | {one.title} |" for one in failures]
    lines += ["", *([MEASURED] if measured else [])]
    for one in failures:
        # A heading that is only the id gets just that as its anchor.
        lines += [f"## {one.id}", "", f"**{one.title}.**", ""]
        lines += [f"- {heading[0].upper()}{heading[1:]}: {text}" for heading, text in one.paragraphs]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    text = page(known().values(), PAGE.with_name("failures-measured.md").is_file())
    if PAGE.is_file() and PAGE.read_text() == text:
        return 0
    if "--check" in sys.argv[1:]:
        sys.stderr.write(f"{PAGE} is not up to date: run `make docs`\n")
        return 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
