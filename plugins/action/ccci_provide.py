"""Asks a dep's provider for what its parent needs, in a process of its own on the controller.

The facts go to `<run dir>/deps.json` (0600), the secret ones among them into the redaction; nothing else sees them.
Its options: library/ccci_provide.py.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ccci import redaction
from ccci.actions import app_context, own_variables, record, run_dir_of
from ccci.engine import processes
from ccci.schemas import facts as kinds
from ccci.testing import provide
from ccci_host.answer import Answer, cut, summary
from ccci_probe import child

DEFAULT_LIMIT = 180
PROVIDED, WITHDRAWN = "provided", "withdrawn"
_NEEDED = ("ccci_dep", "ccci_dep_plan", "ccci_withdraw")


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = False
    _VALID_ARGS = frozenset({"kind", "file", "wants", "limit"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        processes.die_with_parent()
        variables = task_vars or {}
        super().run(tmp, variables)
        ours, began = own_variables(self._templar, variables), time.time()
        run_dir = run_dir_of(ours)
        arguments = {"limit": DEFAULT_LIMIT, "wants": {}, **self._task.args}
        wrong = _wrong_options(arguments, run_dir)
        if run_dir is None or wrong:
            return {"failed": True, "msg": wrong}
        context = self._context(variables, arguments, run_dir)
        answer = Answer(str(ours.get("ccci_tier") or ""))
        with answer.waiting("app"):
            facts = _provided(context, float(arguments["limit"]), run_dir, answer)
        if facts is not None and context["provider"]["state"] == PROVIDED:
            path = run_dir / redaction.DEPS_FILE
            known = json.loads(path.read_text()) if path.is_file() else {}
            redaction.write_private(path, known | {context["dep"]: facts})
        told = {"results": answer.results, "waits": answer.waits}
        record(run_dir, told, ours, began)
        message = "" if facts is not None else "; ".join(map(summary, answer.results))
        return dict(redaction.redactor_of(run_dir).data(
            {"changed": facts is not None, "failed": facts is None, "msg": message, "ccci": told}
        ))  # fmt: skip

    def _context(self, variables: dict[str, Any], arguments: dict[str, Any], run_dir: Path) -> dict[str, Any]:
        """What the fixture `app` knows, of the dep. `name` is added to what the parent wants: everything that is made
        for it is called so, in a provider that other runs and other parents may use as well."""
        known = {name: self._templar.template(variables[name]) for name in _NEEDED if name in variables}
        dep, plan = str(known.get("ccci_dep") or ""), known["ccci_dep_plan"]
        withdraw = known.get("ccci_withdraw") or ""
        own = (plan.get("warm") or {}).get("name") or f"{plan['scope']['run']}-{dep}"
        return {
            **app_context(self._templar, variables, run_dir, plan),
            "dep": dep,
            "provider": {
                **{name: arguments[name] for name in ("kind", "file")},
                "state": WITHDRAWN if withdraw else PROVIDED,
                "own": own,
                "wants": {**arguments["wants"], "name": withdraw or own},
            },
        }


def _wrong_options(arguments: dict[str, Any], run_dir: Path | None) -> str:
    """What is wrong with them, in words; empty when they are good."""
    if run_dir is None:
        return "ccci_run_dir is not set: there is no run for which to provide anything"
    if arguments.get("kind") not in kinds.kinds():
        return f"kind is {arguments.get('kind')!r}; known are {', '.join(kinds.kinds())}"
    if not arguments.get("file") or not Path(arguments["file"]).is_file():
        return f"file: there is no {arguments.get('file')}"
    wrong = kinds.wants_problems(arguments["kind"], arguments["wants"])
    return "; ".join(f"wants {'.'.join(map(str, path))}: {text}" for path, text in wrong)


def _provided(context: dict[str, Any], limit: float, run_dir: Path, answer: Answer) -> dict[str, Any] | None:
    """The facts, or None when there are none to trust; leaves the result in `answer`."""
    with tempfile.TemporaryDirectory(prefix="ccci-provide-") as folder:
        results, file = Path(folder) / "results.jsonl", Path(folder) / "context.json"
        redaction.write_private(file, {**context, "results": str(results)})
        code, output = child.run("ccci.testing.provide", [str(file)], Path(folder), {}, limit)
        hidden, told = provide.read(results)
    dep = context["dep"]
    # Apart from the dep's swarm secrets, which are called <dep>.<name>.
    redaction.add_secrets(run_dir, {f"{dep}.facts.{name}": value for name, value in hidden.items()})
    if told is None:
        ended = f"still running after {limit:.0f} s" if code is None else f"its process ended (return code {code})"
        told = {"observed": ended, "failure_id": provide.NOT_PROVIDED}
    facts: dict[str, Any] | None = told.get("facts")
    evidence = "\n".join(text for text in (told.get("evidence"), output.strip()) if text)
    kind, state = context["provider"]["kind"], context["provider"]["state"]
    if facts is not None:
        answer.result(state, "pass", expected=f"{kind} by {context['recipe']}", observed=told["observed"],
                      evidence=evidence or None)  # fmt: skip
        return facts
    # The recipe under test cannot be judged without it, so nothing is said about that recipe.
    answer.result(
        state, "error", expected=f"{kind} by {context['recipe']} for {context['provider']['wants']['name']}",
        observed=f"{context['recipe']} (dep {dep}): {told['observed']}", evidence=cut(evidence) or None,
        failure_id=told.get("failure_id"), service=told.get("service"),
        hint=f"See the dep's logs and {context['provider']['file']}; `ccci play {context['recipe']}` plays it alone",
    )  # fmt: skip
    return None
