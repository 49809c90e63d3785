#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_converge
short_description: Wait until a stack is up and stable, or until it is certain that it won't be
description:
  - Looks at services, tasks, health and updates of the stack in slices, when Docker tells that something happened and
    every second, and ends as soon as the outcome is certain.
  - A service counts as up when all of its tasks run what is asked for now, healthy, or for a little while where nothing
    checks their health; when its update is over; and when no older task is left.
  - Ends early, with the cause, on tasks that are unhealthy, that end again and again in the same way, that cannot be
    started or placed, and on updates that swarm paused or rolled back. It waits on while another service of the stack
    that the failing one may need is itself still starting.
options:
  scope:
    description: What belongs to the run on the node (see docs/architecture.md).
    type: dict
    required: true
  tier:
    description: Which tier the results belong to.
    type: str
    required: true
  assert_restarts:
    description: Also say how often services restarted before they stayed up (C(install.no_restart_loop)).
    type: bool
    default: false
  limit:
    description: Seconds that the caller waits in total; named in the result when they are over.
    type: int
    default: 300
  slice_seconds:
    description: Seconds after which an unfinished look answers.
    type: int
    default: 2
  cursor:
    description: What the slice before had seen.
    type: dict
    default: {}
  expired:
    description: The limit is over, so say what was still missing.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: It only looks.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Wait until the stack has converged
  ccci_converge:
    scope: "{{ ccci_scope }}"
    tier: install
    assert_restarts: true
    limit: 300
"""

RETURN = r"""
ccci:
  description: The results as docs/architecture.md has them, V(<tier>.converged) first, and the moments of each service.
  returned: when the outcome is known
  type: dict
ccci_slice:
  description: The cursor and the progress of an unfinished look.
  returned: while the outcome is not known
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import lock, resources, state, stayed, watch
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client

ARGUMENT_SPEC = {
    "scope": {"type": "dict", "required": True},
    "tier": {"type": "str", "required": True},
    "assert_restarts": {"type": "bool", "default": False},
    "limit": {"type": "int", "default": 300},
    "slice_seconds": {"type": "int", "default": 2},
    "cursor": {"type": "dict", "default": {}},
    "expired": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    arguments = module.params
    operation = f"{arguments['tier']}.converged"

    def work() -> None:
        client, answer = Client(), Answer(arguments["tier"], arguments["cursor"])
        lock.renew(client, arguments["scope"])
        seen = watch.watch(client, arguments["scope"]["stack"], arguments["cursor"], arguments["slice_seconds"])
        if not seen.over and not arguments["expired"]:
            answer.slice(module, seen.memory.to_json(), seen.decision.progress)
        here = state.load(arguments["scope"]).get(state.PREPULLED) or []
        watch.report(answer, seen, arguments["limit"], arguments["assert_restarts"], here)
        if seen.decision.outcome == "pass" and not module.check_mode:
            stayed.remember(arguments["scope"], seen.snapshot.at)
        resources.note(client, arguments["scope"]["stack"], answer)
        answer.leave(module, operation=[operation])

    guarded(module, work, id=operation)


if __name__ == "__main__":
    main()
