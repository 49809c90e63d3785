#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_assert_command
short_description: Run commands inside services of the app and judge what they say
description:
  - Runs each command in the newest running container of its service, without a terminal, and judges return code and
    standard output. A service that does not exist is an error that names the real ones.
options:
  scope:
    description: What belongs to the run on the node (see docs/architecture.md).
    type: dict
    required: true
  checks:
    description: The commands, each of them one result.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: The id of the result.
        type: str
        required: true
      service:
        description: Name of the service, as the compose file has it.
        type: str
        required: true
      argv:
        description: The command and its arguments. No shell reads them.
        type: list
        elements: str
        required: true
      rc:
        description: The return code that it must have.
        type: int
        default: 0
      stdout_contains:
        description: Text that its standard output must hold.
        type: str
      stdout_equals:
        description: What its standard output must be, line ends at the end aside.
        type: str
      user:
        description: Who runs it inside the container; the image's own user when absent.
        type: str
      limit:
        description: Seconds after which it has failed.
        type: int
        default: 60
attributes:
  check_mode:
    support: none
    description: A command may change what it runs on.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Assert that the database answers
  ccci_assert_command:
    scope: "{{ ccci_scope }}"
    checks:
      - {id: tables, service: db, argv: [psql, -U, notes, -tAc, "select 1"], stdout_equals: "1"}
"""

RETURN = r"""
ccci:
  description: One result per check, in the shape of docs/architecture.md.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import command_checks, lock
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client

ARGUMENT_SPEC = {
    "scope": {"type": "dict", "required": True},
    "checks": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "id": {"type": "str", "required": True},
            "service": {"type": "str", "required": True},
            "argv": {"type": "list", "elements": "str", "required": True},
            "rc": {"type": "int", "default": 0},
            "stdout_contains": {"type": "str"},
            "stdout_equals": {"type": "str"},
            "user": {"type": "str"},
            "limit": {"type": "int", "default": 60},
        },
    },
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=False)
    scope = module.params["scope"]

    def work() -> None:
        client, answer = Client(), Answer("custom")
        lock.renew(client, scope)
        for check in module.params["checks"]:
            with answer.waiting("app"):
                one, evidence = command_checks.run(client, scope["stack"], check)
            answer.result(one.id, one.outcome, expected=one.expected, observed=one.observed, evidence=evidence or None,
                          failure_id=one.failure_id, service=one.service)  # fmt: skip
        answer.leave(module, changed=True)

    guarded(module, work)


if __name__ == "__main__":
    main()
