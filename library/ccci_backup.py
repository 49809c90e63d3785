#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_backup
short_description: Back an app up and judge the snapshot
description:
  - Checks the marker, says which services are backed up and how, waits until the stack is at rest, creates a backup
    with abra, and looks into the snapshot and into the small dumps in it.
  - The whole backup is run again, three times at most, while something is missing that ought to be there.
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
  expect_paths:
    description: What the snapshot must hold besides, as C(<volume>/<path in it>) or as an absolute path.
    type: list
    elements: str
    default: []
  limit:
    description: Seconds for everything together.
    type: int
    default: 300
attributes:
  check_mode:
    support: none
    description: The later tiers need the snapshot.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Create a backup and verify the snapshot
  ccci_backup:
    scope: "{{ ccci_scope }}"
    marker: "{{ ccci_plan.marker }}"
    expect_paths: [postgres/backup.sql]
"""

RETURN = r"""
ccci:
  description: The results C(backup.marker_present), C(backup.survey), C(backup.snapshot) and C(backup.paths); the fact
    C(backup_survey) says for each service what is backed up and how, C(backup_tries) what each try came to.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import backup, lock
from ansible.module_utils.ccci_host.abra_call import AbraError
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client
from ansible.module_utils.ccci_host.marker_stores import Misplaced

ARGUMENT_SPEC = {
    "scope": {"type": "dict", "required": True},
    "marker": {"type": "dict", "required": True},
    "expect_paths": {"type": "list", "elements": "str", "default": []},
    "limit": {"type": "int", "default": 300},
}
OPERATIONS = ("backup.survey", "backup.snapshot")


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=False)
    given = module.params

    def work() -> None:
        client, answer = Client(), Answer()
        lock.renew(client, given["scope"], given["limit"] + 60)
        try:
            backup.back_up(client, given["scope"], given["marker"], given["expect_paths"], given["limit"], answer)
        except (AbraError, backup.BackupTrouble, Misplaced) as error:
            answer.result("backup.snapshot", "error", expected="abra makes a snapshot", observed=str(error))
        answer.leave(module, operation=OPERATIONS, changed=True)

    guarded(module, work, id="backup.snapshot")


if __name__ == "__main__":
    main()
