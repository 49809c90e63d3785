#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_warm
short_description: Borrow a provider that outlives the run, and give it back
description:
  - A warm dep has a journal, a folder and a scope of its own; runs use it one after the other, under their own lock.
  - V(lent) says whether it can be used. It starts one that was stopped for another run, waits until its services are
    up, and writes down what will be made in it. One that cannot be used is no failure; the fact C(why) says why not.
  - V(begun) and V(kept) stand around the making of a new one. V(returned) crosses a loan out.
  - V(judged) says whether its services stayed up since it was lent, and reads their logs. V(doubted) has the next run
    make it anew.
options:
  state:
    description: What to do.
    type: str
    choices: [lent, begun, kept, judged, doubted, returned]
    required: true
  scope:
    description: That of the warm dep.
    type: dict
    required: true
  digest:
    description: What the dep has to be made from. Needed for V(lent) and V(kept).
    type: str
    default: ""
  name:
    description: What everything is called that is made in it for the run. Without it, V(lent) only looks.
    type: str
    default: ""
  key:
    description: What the dep is called in the run, for the names of its logs.
    type: str
    default: dep
  cursor:
    description: Where the last slice ended.
    type: dict
    default: {}
  slice_seconds:
    description: Seconds after which an unfinished call answers.
    type: int
    default: 2
  expired:
    description: Whether the time is over. Filled in by the action plugin.
    type: bool
    default: false
  limit:
    description: Seconds that all slices may take. Read by the action plugin.
    type: int
    default: 300
attributes:
  check_mode:
    support: none
    description: Whether it can be used is seen by starting it.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Borrow the dep
  ccci_warm:
    state: lent
    scope: "{{ ccci_scope }}"
    digest: "{{ ccci_plan.warm.digest }}"
    name: 20261125-162501-cust-c12afe-sso
"""

RETURN = r"""
ccci:
  description:
    - For V(lent) the facts C(there), C(why) (not), and C(owed), the names of what was made for runs that are gone; one
      that can be used is the result C(prepare.warm), and its secrets come along.
  returned: always
  type: dict
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import engine, journal, lock, processes, state, stayed, teardown, warm, watch
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client

ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["lent", "begun", "kept", "judged", "doubted", "returned"], "required": True},
    "scope": {"type": "dict", "required": True},
    "digest": {"type": "str", "default": ""},
    "name": {"type": "str", "default": ""},
    "key": {"type": "str", "default": "dep"},
    "cursor": {"type": "dict", "default": {}},
    "slice_seconds": {"type": "int", "default": 2},
    "expired": {"type": "bool", "default": False},
    "limit": {"type": "int", "default": 300},
}
RESULT = "prepare.warm"


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=False)
    guarded(module, lambda: work(module), id=RESULT)


def work(module: AnsibleModule) -> None:
    arguments, client, answer = module.params, Client(), Answer("prepare", module.params["cursor"])
    scope = arguments["scope"]
    lock.renew(client, {"run": processes.caller(scope)})  # of the caller: Docker may be another since it was made
    if arguments["state"] == "begun":
        warm.begin(client, scope)
    elif arguments["state"] == "kept":
        warm.keep(client, scope, arguments["digest"])
    elif arguments["state"] == "judged":
        judge(client, answer, scope, arguments["key"])
    elif arguments["state"] == "doubted":
        warm.doubt(scope)
    elif arguments["state"] == "returned":
        warm.take_back(scope, arguments["name"])
    else:
        lend(module, client, answer)
    answer.leave(module, changed=True)


def judge(client: Client, answer: Answer, scope: dict, key: str) -> None:
    """The results of the scope's stack are the dep's, but its logs lie among those of the whole run."""
    there = {scope["stack"]} if client.services(scope["stack"]) else set()
    stayed.judge(client, scope, {scope["stack"]: ""}, there, answer)
    named = {**scope, "stack": "", "apps": [{**app, "name": key} for app in scope["apps"]]}
    teardown.read_logs(client, named, teardown.Progress(), answer.files)


def lend(module: AnsibleModule, client: Client, answer: Answer) -> None:
    arguments = module.params
    scope, cursor = arguments["scope"], arguments["cursor"]
    why = "" if cursor else warm.unusable(client, scope, arguments["digest"])
    if not why:
        if not cursor:
            engine.remember(scope)
            warm.restore(client, scope)
        seen = watch.watch(client, scope["stack"], cursor.get("watch") or {}, arguments["slice_seconds"])
        if not seen.over and not arguments["expired"]:
            answer.slice(module, {"watch": seen.memory.to_json()}, f"warm: {seen.decision.progress}")
        if not seen.over:
            why = f"it was not up after {arguments['limit']} s: {seen.decision.progress}"
        elif seen.decision.outcome != "pass":
            why = seen.decision.findings[0].sentence
    answer.facts = {"there": not why, "why": why, "owed": []}
    if why:
        answer.leave(module)
    run, it = processes.caller(scope), warm.known(scope)
    answer.facts["owed"] = warm.owed(it, {run, *(one.run for one in journal.read_all(client))})
    if arguments["name"]:
        warm.lend(scope, arguments["name"], run)
    stayed.remember(scope, time.time())
    answer.secrets.update(state.load(scope).get(warm.SECRETS) or {})
    since = time.strftime("%Y-%m-%d %H:%M", time.gmtime(it.get("since", 0)))
    answer.result(RESULT, "pass", expected="a provider that is up", observed=f"made {since} UTC")


if __name__ == "__main__":
    main()
