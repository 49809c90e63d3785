#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_restore
short_description: Change the marker and restore the newest backup
description:
  - The marker is changed first, so that a restore that does nothing and one that merges are found out. What came back
    is judged later, by M(ccci_marker), when the stack has converged again.
  - Not sliced, because one call of abra cannot be; the lock's lease covers O(limit).
options:
  scope:
    description: What belongs to the run on the node (see docs/architecture.md).
    type: dict
    required: true
  marker:
    description: The marker of plan.json.
    type: dict
    required: true
  limit:
    description: Seconds for the restore.
    type: int
    default: 300
attributes:
  check_mode:
    support: none
    description: What is judged later would not have happened.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Change the marker and restore the backup
  ccci_restore:
    scope: "{{ ccci_scope }}"
    marker: "{{ ccci_plan.marker }}"
"""

RETURN = r"""
ccci:
  description: The results C(restore.mutated), unless the marker is of kind V(api), and C(restore.run); the
    fact C(lost), the failure id of a marker that is not back.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import lock, restore, state
from ansible.module_utils.ccci_host.abra_call import AbraError
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client
from ansible.module_utils.ccci_host.marker_stores import Misplaced

ARGUMENT_SPEC = {
    "scope": {"type": "dict", "required": True},
    "marker": {"type": "dict", "required": True},
    "limit": {"type": "int", "default": 300},
}
OPERATIONS = ("restore.mutated", "restore.run")


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=False)
    given = module.params

    def work() -> None:
        client, answer = Client(), Answer()
        lock.renew(client, given["scope"], given["limit"] + 60)
        try:
            restore.restore(client, given["scope"], given["marker"], given["limit"], answer)
        except (AbraError, Misplaced) as error:
            answer.result("restore.run", "error", expected="abra restores the newest snapshot", observed=str(error))
        answer.facts["lost"] = restore.lost_why(state.load(given["scope"]), given["marker"])
        answer.leave(module, operation=OPERATIONS, changed=True)

    guarded(module, work, id="restore.run")


if __name__ == "__main__":
    main()
