"""Runs functions of a recipe's marker.py in a process of their own, and tells what each gave.

`python -m ccci.testing.marker CONTEXT` is started by the action plugin ccci_api_marker. The context file (mode 0600)
is that of the fixture `app`, with `marker` {file, calls: [[seed|check|destroy, value]…]}. The calls are made in order,
until one fails. For each, a line of JSON is added to the context's `results`: `{"gave": …}`, or `{"failed": {observed,
evidence, ours, failure_id}}`; `ours` says that the node or the ingress could not be asked, so that nothing is said
about the recipe.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

from ccci.testing.app import App
from ccci.testing.context import Context, load, write_line
from ccci.testing.recipe_file import loaded
from ccci_probe.polling import short

# Seconds for which app.http() repeats what an app cannot answer yet: after a restore its connections to a database may
# be broken for a while.
RETRY_FOR = 90.0
# The node or the ingress could not be asked: that says nothing about the recipe.
OURS = ("NodeError", "ConnectTimeout")
EVIDENCE_LIMIT = 4000  # characters


def main(context: Context) -> None:
    journal: list[str] = []
    file = Path(context.marker["file"])
    try:
        module = loaded(file)
    except BaseException as error:
        write_line(context, {"failed": _failed(error, file, journal)})
        return
    app = App(context, journal, RETRY_FOR)
    for name, value in context.marker["calls"]:
        try:
            gave = getattr(module, name)(app, value)
            if name == "check" and not isinstance(gave, bool):
                raise TypeError(f"check gave {short(repr(gave), 80)}; it has to be True or False")
        except BaseException as error:  # pytest.fail() and sys.exit() too: whatever it raises is what became of it
            write_line(context, {"failed": _failed(error, file, journal)})
            return
        write_line(context, {"gave": gave if name == "check" else None, "tries": list(journal)})


def _failed(error: BaseException, file: Path, journal: list[str]) -> dict[str, Any]:
    """Names the last line in the recipe's own folder: what lies beneath is of no use to its author."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent == file.parent]
    place = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    retries = ["retries:", *journal] if journal else []
    kind = "" if isinstance(error, AssertionError) and str(error) else f"{type(error).__name__}: "
    return {
        "observed": f"{kind}{short(str(error))}{place}",
        "evidence": "\n".join([*retries, *traceback.format_exception(error)])[-EVIDENCE_LIMIT:],
        "ours": type(error).__name__ in OURS,
        "failure_id": getattr(error, "failure_id", None),
    }


if __name__ == "__main__":
    main(load(sys.argv[1]))
