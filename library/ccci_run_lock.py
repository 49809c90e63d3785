#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_run_lock
short_description: Take the node for one run, or list the runs that the node knows
description:
  - V(held) takes the node's lock, checks that the node is fit for the run, and writes the run's journal, its folder and
    the inventory before the first change. It waits for a live run and takes the lock over from a dead one.
  - V(listed) reads the journals and the lock.
options:
  state:
    description: What to do.
    type: str
    choices: [held, listed]
    default: held
  scope:
    description: What belongs to the run on the node (see docs/architecture.md). Needed for V(held).
    type: dict
  run:
    description: The id of the run. Needed for V(held).
    type: str
  wait:
    description: Seconds to wait for another run to end.
    type: int
    default: 600
  backupbot:
    description: Whether the run makes a backup, so that the node needs a backup service.
    type: bool
    default: true
  verify_names:
    description: Whether the names below the wildcard domain must lead to the node, because the inventory names no other
      way to its ingress.
    type: bool
    default: false
  address:
    description: By which address the controller reaches the node; for O(verify_names).
    type: str
    default: ""
  clock:
    description: The controller's time, in seconds since the epoch. Filled in by the action plugin at each call.
    type: float
  resources:
    description: What the recipe needs, C(memory) and C(disk) in bytes.
    type: dict
    default: {}
  warm:
    description:
      - The warm deps that the run uses, each with the bytes of memory that it needs, or none. Others are stopped when
        the recipe needs their memory, and started again by the teardown.
    type: dict
    default: {}
  holder:
    description: The process that plays the run. Filled in by the action plugin.
    type: dict
    default: {}
  gone:
    description: Runs whose holder is dead on the controller. Filled in by the action plugin.
    type: list
    elements: str
    default: []
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
    description: Seconds that all slices may take. Filled in by the action plugin from O(wait).
    type: int
    default: 630
attributes:
  check_mode:
    support: full
    description: Checks the node and says who holds it; takes nothing.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Take the node
  ccci_run_lock:
    state: held
    scope: "{{ ccci_scope }}"
    run: "{{ ccci_plan.run.id }}"
    wait: 600
"""

RETURN = r"""
ccci:
  description:
    - For V(held) the result C(prepare.node), and the fact C(stale), the scopes of dead runs to be taken away first.
    - For V(listed) the facts C(dead), C(live), C(kept) and C(warm), each a list of scopes.
  returned: always
  type: dict
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import engine, inventory, journal, lock, preflight, processes, teardown, warm
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client
from ansible.module_utils.ccci_host.docker_errors import DockerError, is_outage

ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["held", "listed"], "default": "held"},
    "scope": {"type": "dict"},
    "run": {"type": "str"},
    "wait": {"type": "int", "default": 600},
    "backupbot": {"type": "bool", "default": True},
    "verify_names": {"type": "bool", "default": False},
    "address": {"type": "str", "default": ""},
    "clock": {"type": "float"},
    "resources": {"type": "dict", "default": {}},
    "warm": {"type": "dict", "default": {}},
    "holder": {"type": "dict", "default": {}},
    "gone": {"type": "list", "elements": "str", "default": []},
    "cursor": {"type": "dict", "default": {}},
    "slice_seconds": {"type": "int", "default": 2},
    "expired": {"type": "bool", "default": False},
    "limit": {"type": "int", "default": 630},
}
RESULT = "prepare.node"
POLL_SECONDS = 0.3
RUNS_DIR = "/var/lib/ccci/runs"
STRAY_SECONDS = 5.0  # for a module of a dead run that is just about to write the run's journal


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC, supports_check_mode=True, required_if=[("state", "held", ("scope", "run"))]
    )
    if module.params["state"] == "listed":
        guarded(module, lambda: list_patiently(module))
    else:
        guarded(module, lambda: hold(module), id=RESULT)


def hold(module: AnsibleModule) -> None:
    arguments = module.params
    scope, cursor, client = arguments["scope"], arguments["cursor"], Client()
    answer = Answer("prepare", cursor)
    since = cursor.setdefault("since", time.time())
    observed = "taken"
    if module.check_mode:
        held = lock.read(client)
        age = held.age(client.system_time()) if held else 0.0
        observed = f"check mode: {lock.described(lock.Attempt(False, other=held, age=age))}"
    else:
        with answer.waiting("docker"):
            attempt = acquire(client, arguments, since)
        if not attempt.held:
            told = lock.described(attempt)
            if time.time() - since < arguments["wait"] and not arguments["expired"]:
                answer.slice(
                    module, {**cursor, "holders": {attempt.other.run: attempt.other.holder}}, f"waiting: {told}"
                )
            answer.result(
                RESULT, "error", expected=f"the node is free within {arguments['wait']} s", observed=told,
                hint="Wait for that run, or play on another node; `ccci clean --dry-run` shows what the node knows",
            )  # fmt: skip
            answer.leave(module, operation=[RESULT])
    prepare(module, client, answer, scope, observed)


def acquire(client: Client, arguments: dict, since: float) -> lock.Attempt:
    """Tries for one slice. The lock is a run's own from the first call on, whatever that call's answer was."""
    deadline = time.monotonic() + min(arguments["slice_seconds"], max(since + arguments["wait"] - time.time(), 0))
    here = processes.identity()
    while True:
        attempt = lock.acquire(
            client, arguments["run"], arguments["holder"] or here, arguments["scope"].get("lease", lock.DEFAULT_LEASE),
            gone=arguments["gone"], here=here,
        )  # fmt: skip
        if attempt.held or time.monotonic() >= deadline:
            return attempt
        time.sleep(POLL_SECONDS)


def prepare(module: AnsibleModule, client: Client, answer: Answer, scope: dict, observed: str) -> None:
    """Under the lock: looks at the node, and writes down what is there before anything changes."""
    arguments = module.params
    journals = [one for one in journal.read_all(client) if one.run != arguments["run"]]
    objects = inventory.snapshot(client, teardown.node_dir(scope) / "abra")
    resources = arguments["resources"]
    memory = (resources.get("memory") or 0) + to_come(arguments["warm"], journals)
    need = preflight.Need(memory, resources.get("disk") or 0, arguments["backupbot"])
    if not module.check_mode:
        dead = [one.run for one in journal.dead(journals, alive=arguments["run"])]
        warm.adopt(journals, dead, arguments["run"])
        others = [one.scope for one in warm.warm(journals) if one.run not in arguments["warm"]]
        stopped = warm.make_room(client, memory, others, arguments["run"])
        observed += f"; {', '.join(stopped)} (warm) stopped for the memory" if stopped else ""
    seen = preflight.Seen(arguments["verify_names"], arguments["address"], arguments["clock"])
    found = preflight.problems(client, scope, need, seen, objects, journals)
    if found:
        answer.result(
            RESULT, "error", expected="; ".join(one.expected for one in found),
            observed="; ".join(one.observed for one in found), hint="; ".join(dict.fromkeys(one.hint for one in found)),
            evidence="\n".join(f"expected {one.expected}; observed {one.observed}. {one.hint}" for one in found),
            failure_id=next((one.failure_id for one in found if one.failure_id), None),
        )  # fmt: skip
        answer.leave(module, operation=[RESULT])
    stale = [one.scope for one in journal.dead(journals, alive=arguments["run"])]
    for gone in stale:  # they will be gone when we are; their absence must not look like somebody else's doing
        objects = inventory.without(objects, gone)
    if not module.check_mode:
        journal.write(client, scope)
        folder = teardown.node_dir(scope)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        teardown.save_before(scope, objects)
        engine.remember(scope)
    answer.facts["stale"] = stale
    told = f", {len(stale)} dead run(s) to take away first" if stale else ""
    answer.result(RESULT, "pass", observed=observed + told)
    answer.leave(module, operation=[RESULT], changed=not module.check_mode)


def to_come(used: dict, journals: list[journal.Journal]) -> int:
    """Bytes of memory that warm deps of the run will take, which do not run now."""
    running = {one.run for one in warm.warm(journals) if not warm.known(one.scope).get("shed")}
    return sum(int(memory or 0) for run, memory in used.items() if run not in running)


def list_patiently(module: AnsibleModule) -> None:
    """After a restart of the node its Docker needs a while."""
    try:
        list_runs(module)
    except DockerError as error:
        if not is_outage(error) or module.params["expired"]:
            raise
        time.sleep(1)
        Answer().slice(module, {}, f"waiting for Docker: {error.message}")


def list_runs(module: AnsibleModule) -> None:
    arguments, client, answer = module.params, Client(), Answer()
    since = arguments["cursor"].get("since") or time.time()
    # The lock is read last: whoever wrote a journal has held it since before that. The other way round, a run that
    # takes the node just now would look dead.
    strays = processes.marks()
    folders = set(os.listdir(RUNS_DIR) if os.path.isdir(RUNS_DIR) else [])
    journals = journal.read_all(client)
    held, here = lock.read(client), processes.identity()
    alive = ""
    if held and not held.released and not lock.may_take(held, client.system_time(), "", {}, arguments["gone"], here):
        alive = held.run
        if "holders" not in arguments["cursor"]:
            # Perhaps its holder lived on the controller, which then knows better than we do.
            answer.slice(module, {"since": since, "holders": {held.run: held.holder}}, "")
    known = {one.run for one in journals}
    forgotten = (({held.run} if held else set()) | folders) - known - {alive, ""}
    unexplained = strays - known - forgotten - {alive}
    if unexplained and time.time() - since < STRAY_SECONDS and not arguments["expired"]:
        # A run that waits for the node, or the last act of a dead one.
        time.sleep(0.3)
        answer.slice(module, {"since": since}, "")
    dead = [one.scope for one in journal.dead(journals, alive)]
    # A folder, or a lock, of a run that died before its journal or after it: there is nothing else of such a run.
    dead += [bare_scope(run) for run in sorted(forgotten)]
    answer.facts = {
        "dead": dead,
        "live": [one.scope for one in journals if one.run == alive],
        "kept": [one.scope for one in journals if one.state == journal.KEPT and one.run != alive],
        "warm": [one.scope for one in warm.warm(journals)],
    }
    answer.leave(module)


def bare_scope(run: str) -> dict:
    return {"run": run, "recipe": "", "domain": "", "stack": "", "node_dir": f"{RUNS_DIR}/{run}", "server": "default",
            "apps": [], "lease": lock.DEFAULT_LEASE, "deploys": 0}  # fmt: skip


if __name__ == "__main__":
    main()
