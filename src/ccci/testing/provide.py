"""Runs a provider's `provide(app, wants)` in a process of its own, and tells what became of it.

`python -m ccci.testing.provide CONTEXT` is started by the action plugin ccci_provide. The context file (mode 0600) is
that of the fixture `app`, for the dep, with `provider` {file, kind, state, wants}. What happens is written to the
context's `results`, one JSON object a line: `{"hidden": {name: value}}` as soon as a secret is made, and at last one
`{"told": {observed, evidence?, failure_id?, service?, facts?}}`, of which only a good one has facts.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ccci.schemas import facts as kinds
from ccci.testing.app import App
from ccci.testing.context import Context, load, read_lines, write_line
from ccci.testing.deps import DEPS_FILE
from ccci.testing.recipe_file import loaded
from ccci_probe import live_facts
from ccci_probe.connection import session
from ccci_probe.polling import short

EVIDENCE_LIMIT = 4000  # characters
NOT_PROVIDED = "dep-not-provided"
WRONG_FACTS = "dep-wrong-facts"


class Provider(App):
    """The dep's app, as its provider's file sees it: everything of the fixture `app`, and `hide`."""

    def hide(self, name: str, value: str) -> str:
        """Gives a secret back that nobody may read in the run's files, whatever happens next. Call it before the secret
        is used for the first time."""
        write_line(self._context, {"hidden": {name: value}})
        return value


def told(context: Context, journal: list[str]) -> dict[str, Any]:
    """Calls the provider's function, and judges what it gave: first its shape, then against the provider itself."""
    asked = context.provider
    file, kind, wants = Path(asked["file"]), str(asked["kind"]), dict(asked["wants"])
    name = "withdraw" if asked["state"] == "withdrawn" else "provide"
    function = getattr(loaded(file), name, None)
    if function is None:
        return {"observed": f"{file.name} has no function {name}(app, wants)", "failure_id": NOT_PROVIDED}
    given = function(Provider(context, journal), wants)
    client = session(context.ingress_address or None, context.ca_file or None)
    if name == "withdraw":
        return _withdrawn(context, kind, wants, client)
    write_line(context, {"hidden": kinds.secrets(kind, given) if isinstance(given, Mapping) else {}})
    wrong = kinds.problems(kind, given)
    if wrong:
        return {"observed": f"the facts are no {kind}: {'; '.join(wrong)}", "failure_id": WRONG_FACTS}
    seen = live_facts.verify(kind, given, client)
    if seen.outcome != "pass":
        return {"observed": seen.observed, "evidence": seen.evidence, "failure_id": seen.failure_id or NOT_PROVIDED}
    return {"observed": seen.observed, "evidence": seen.evidence, "facts": given}


def _withdrawn(context: Context, kind: str, wants: Mapping[str, Any], client: Any) -> dict[str, Any]:
    """What was made for another run left no facts here: then the provider's word is all there is."""
    path = Path(context.run_dir) / DEPS_FILE
    known = json.loads(path.read_text()) if path.is_file() else {}
    facts = known.get(context.dep) if wants["name"] == context.provider.get("own") else None
    if facts is None:
        return {"observed": f"{wants['name']} is withdrawn", "facts": {}}
    seen = live_facts.gone(kind, facts, client)
    if seen.outcome != "pass":
        return {"observed": seen.observed, "evidence": seen.evidence, "failure_id": seen.failure_id}
    return {"observed": seen.observed, "facts": {}}


def main(context: Context) -> None:
    """Every end leaves its line; what is left out of it is the end of a process that was killed."""
    journal: list[str] = []
    try:
        line = told(context, journal)
    except Exception as error:  # whatever a provider raises is what became of it
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f" ({Path(where.filename).name}:{where.lineno})"
        line = {
            "observed": short(f"{type(error).__name__}: {error}") + place, "evidence": traceback.format_exc(),
            "failure_id": getattr(error, "failure_id", None) or NOT_PROVIDED,
            "service": getattr(error, "service", None),
        }  # fmt: skip
    retries = "\n".join(journal)
    evidence = "\n".join(text for text in (f"retries:\n{retries}" if retries else "", line.get("evidence")) if text)
    write_line(context, {"told": {**line, "evidence": evidence[-EVIDENCE_LIMIT:]}})


def read(path: Path) -> tuple[dict[str, str], dict[str, Any] | None]:
    """What a process wrote: its secrets, and the line that tells its end, None when it was killed before."""
    hidden: dict[str, str] = {}
    end: dict[str, Any] | None = None
    for line in read_lines(path):
        hidden |= line.get("hidden") or {}
        end = line.get("told") or end
    return hidden, end


if __name__ == "__main__":
    main(load(sys.argv[1]))
