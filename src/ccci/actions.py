"""What every module of `library/` has in common on the controller's side.

`plugins/action/<module>.py` is one line that imports `ModuleAction`. It runs the module, loops it while it answers in
slices, sends files along, hands over what the run's deps provided, takes secrets out of the answer, and writes results,
waits, facts and progress to the run's event file. It decides nothing about the recipe.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ccci import dep_facts, events, redaction
from ccci.engine import processes
from ccci.errors import CcciError

# Options that name a file on the controller and reach the module as a path on the node.
TRANSFERRED = ("bundle", "overlay")
OWN_VARIABLES = ("ccci_run_dir", "ccci_tier", "ccci_test", "ccci_dep")
# Facts of a run as a whole: a dep's say the same as the app's, or name services and images.
SHARED_FACTS = ("deploys", "resources", "pulled")
PULLS = ("pull", "pulled")  # moments of images, not of services
DEFAULT_LIMIT = 600
# What `docker exec` says of a container that is being restarted, and its return code for what was ended with it.
_NODE_AWAY = re.compile(r"is not running|is restarting|is paused|No such container|Cannot connect to the Docker daemon")
_KILLED = (137, 143, -9, -15)


class ModuleAction(ActionBase):  # type: ignore[misc]
    """Runs the module of the same name and records its answer in the run's folder (`ccci_run_dir`)."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        # A worker that outlives its ansible-playbook would go on with the next slice, for a run that is dead.
        processes.die_with_parent()
        variables = task_vars or {}
        super().run(tmp, variables)
        arguments = dict(self._task.args)
        ours = own_variables(self._templar, variables)
        run_dir = run_dir_of(ours)
        began = time.time()
        try:
            hand_over(arguments, ours, run_dir)
        except CcciError as error:
            return {"failed": True, "msg": told_of(ours, str(error))}
        self._send_files(arguments)
        answer = self._slices(arguments, variables, ours, run_dir)
        if answer.get("failed") and answer.get("msg"):
            answer["msg"] = told_of(ours, str(answer["msg"]))
        if run_dir is not None:
            redaction.add_secrets(run_dir, named_for(ours, answer.pop("ccci_secrets", None) or {}))
            self._fetch_files(answer, run_dir)
            record(run_dir, answer.get("ccci") or {}, ours, began)
            return dict(redaction.redactor_of(run_dir).data(answer))
        answer.pop("ccci_secrets", None)
        return answer

    def _slices(
        self, arguments: dict[str, Any], variables: dict[str, Any], ours: dict[str, Any], run_dir: Path | None
    ) -> dict[str, Any]:
        limit = float(arguments.get("limit") or DEFAULT_LIMIT)
        deadline = time.monotonic() + limit
        module = self._task.action
        while True:
            answer: dict[str, Any] = self._execute_module(module, arguments, task_vars=variables)
            _demand_node(answer)
            piece = answer.pop("ccci_slice", None)
            if not piece:
                return answer
            if piece.get("progress"):
                self._say(str(piece["progress"]), ours, run_dir)
            if piece.get("done") or answer.get("failed"):
                return answer
            arguments["cursor"] = piece["cursor"]
            # The module is told that its time is up, because only it can say what was still missing.
            arguments["expired"] = time.monotonic() >= deadline
            if time.monotonic() >= deadline + 60:
                return {
                    "failed": True,
                    "msg": f"{module} did not end 60 s after its limit of {limit:.0f} s: {piece.get('progress')}",
                }

    def _say(self, text: str, ours: dict[str, Any], run_dir: Path | None) -> None:
        if run_dir is not None:
            text = told_of(ours, text)
            events.append(run_dir, "progress", tier=ours.get("ccci_tier"), text=text)
            text = redaction.redactor_of(run_dir).text(text)
        Display().display(f"  {text}")

    def _send_files(self, arguments: dict[str, Any]) -> None:
        for option in TRANSFERRED:
            local = arguments.get(option)
            if local:
                folder = self._connection._shell.tmpdir or self._make_tmp_path()
                remote = self._connection._shell.join_path(folder, Path(local).name)
                arguments[option] = self._transfer_file(local, remote)

    def _fetch_files(self, answer: dict[str, Any], run_dir: Path) -> None:
        """`ccci_files: [{path: on the node, to: relative to the run's folder, kind, title}]`; text is redacted."""
        redactor = redaction.redactor_of(run_dir)
        for file in answer.pop("ccci_files", None) or []:
            target = run_dir / file["to"]
            target.parent.mkdir(parents=True, exist_ok=True)
            self._connection.fetch_file(file["path"], str(target))
            if file.get("kind") != "screenshot":
                target.write_text(redactor.text(target.read_text(errors="replace")))
            events.append(run_dir, "artefact", kind=file.get("kind", "file"), path=file["to"], title=file.get("title"))


def _demand_node(answer: dict[str, Any]) -> None:
    """AnsibleConnectionFailure for a module that gave no answer because the node went away under it: other connections
    say so themselves, `docker exec` only returns a code."""
    if "ccci" in answer or not answer.get("failed") or "rc" not in answer:
        return
    said = str(answer.get("module_stderr") or answer.get("module_stdout") or "").strip()
    if _NODE_AWAY.search(said):
        raise AnsibleConnectionFailure(f"the node went away during the run: {said[-300:]}")
    if answer["rc"] in _KILLED:
        raise AnsibleConnectionFailure(
            f"the module was ended on the node (code {answer['rc']}): "
            "the node was restarted during the run, or somebody ended the process there"
        )


def record(run_dir: Path, answer: dict[str, Any], ours: dict[str, Any], began: float) -> None:
    """Writes a module's `ccci` answer as events. Inside a recipe's test (`ccci_test`), results belong to that test;
    what is about a dep (`ccci_dep`) bears its key."""
    tier, test = ours.get("ccci_tier"), ours.get("ccci_test")
    answer = of_dep(answer, str(ours.get("ccci_dep") or ""))
    for result in answer.get("results") or []:
        fields = dict(result)
        if test:
            fields["check"] = fields.get("id")
            fields["id"] = test
        fields.setdefault("start", round(began, 3))
        fields.setdefault("end", round(time.time(), 3))
        events.append(run_dir, "result", **{"tier": tier, **fields})
    for wait in answer.get("waits") or []:
        events.append(run_dir, "wait", tier=tier, **wait)
    for name, value in (answer.get("facts") or {}).items():
        events.append(run_dir, "fact", tier=tier, name=name, value=value)
    for moment in answer.get("timeline") or []:
        events.append(run_dir, "timeline", tier=tier, **moment)
    for artefact in answer.get("artefacts") or []:
        events.append(run_dir, "artefact", tier=tier, **artefact)


def of_dep(answer: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A module's answer about a dep: its key is in ids, services (as the teardown names their logs) and facts. Pure.

    A dep that fails is an error: nothing is known about the recipe under test, which has no part in it.
    """
    if not key:
        return dict(answer)
    facts = {name if name in SHARED_FACTS else f"{key}.{name}": value
             for name, value in (answer.get("facts") or {}).items()}  # fmt: skip
    if "resources" in facts:
        facts["resources"] = {f"{key}-{service}": use for service, use in facts["resources"].items()}
    return {
        **answer,
        "results": [_result_of_dep(result, key) for result in answer.get("results") or []],
        "facts": facts,
        "timeline": [
            moment if moment.get("what") in PULLS else {**moment, "service": f"{key}-{moment.get('service')}"}
            for moment in answer.get("timeline") or []
        ],
    }


def _result_of_dep(result: Mapping[str, Any], key: str) -> dict[str, Any]:
    tier, _, rest = str(result.get("id")).partition(".")
    service = {"service": f"{key}-{result['service']}"} if result.get("service") else {}
    outcome = "error" if result.get("outcome") == "fail" else result.get("outcome")
    return {**result, "id": f"{tier}.{key}.{rest}", "outcome": outcome, **service}


def told_of(ours: Mapping[str, Any], text: str) -> str:
    return f"dep {ours['ccci_dep']}: {text}" if ours.get("ccci_dep") else text


def named_for(ours: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
    """The secrets of a dep bear its key: those of two apps may have one name."""
    prefix = f"{ours['ccci_dep']}." if ours.get("ccci_dep") else ""
    return {f"{prefix}{name}": value for name, value in secrets.items()}


def hand_over(arguments: dict[str, Any], ours: Mapping[str, Any], run_dir: Path | None) -> None:
    """Fills in what the run's deps provided: for `facts_of: <key>` the `facts`, or of these only what the `stdin_facts`
    of checks name, as `stdin` {id of the check: text}; and `secret_values` of an app whose secrets have a `value_from`.
    CcciError when it is not there."""
    facts_of, secrets = arguments.pop("facts_of", None), arguments.get("secrets")
    wanted = isinstance(secrets, Mapping) and any(how.get("value_from") for how in secrets.values())
    if run_dir is None or not (facts_of or wanted):
        return
    facts = dep_facts.load(run_dir)
    if facts_of:
        known = dep_facts.of_dep(facts, str(facts_of))
        reading = [check for check in arguments.get("checks") or [] if check.get("stdin_facts")]
        if reading:
            arguments["stdin"] = {check["id"]: dep_facts.stdin(known, check["stdin_facts"]) for check in reading}
        else:
            arguments["facts"] = known
    if wanted:
        plan = json.loads((run_dir / "plan.json").read_text())
        values = dep_facts.secret_values(plan, facts, str(ours.get("ccci_dep") or dep_facts.APP))
        redaction.add_secrets(run_dir, named_for(ours, values))
        arguments["secret_values"] = values


_OF_APP = ("ccci_ingress_address", "ccci_ca_file", "ccci_spki_file", "inventory_hostname", "ansible_inventory_sources")


def app_context(
    templar: Any, task_vars: dict[str, Any], run_dir: Path, plan: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the fixture `app` of the run knows (src/ccci/testing/context.py), or that of the dep of `plan`."""
    known = {name: templar.template(task_vars[name]) for name in _OF_APP if name in task_vars}
    plan = plan or json.loads((run_dir / "plan.json").read_text())
    sources = known.get("ansible_inventory_sources") or [""]
    return {
        "recipe": plan["recipe"]["name"], "domain": plan["app"]["domain"], "stack": plan["app"]["stack"],
        "url": f"https://{plan['app']['domain']}", "version": plan["head"]["version"], "run_dir": str(run_dir),
        "ingress_address": known.get("ccci_ingress_address") or "", "ca_file": known.get("ccci_ca_file") or "",
        "spki_file": known.get("ccci_spki_file") or "", "inventory": sources[0],
        "node": known["inventory_hostname"], "scope": plan["scope"],
    }  # fmt: skip


def own_variables(templar: Any, task_vars: dict[str, Any]) -> dict[str, Any]:
    """The variables that an action plugin reads itself. Ansible hands it the variables of a task as they are written,
    templates and all; what came out of a plan is no template for it and stays as it is."""
    return {name: templar.template(task_vars[name]) for name in OWN_VARIABLES if name in task_vars}


def run_dir_of(ours: dict[str, Any]) -> Path | None:
    """`ccci_run_dir` is set by play.yml and clean.yml; without it (ad hoc use of a module) nothing is recorded."""
    run_dir = ours.get("ccci_run_dir")
    return Path(str(run_dir)) if run_dir else None
