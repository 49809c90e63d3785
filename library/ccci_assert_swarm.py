#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_assert_swarm
short_description: Judge services of the app's stack as swarm has them
description:
  - Looks once at the stack and judges a list of checks, each of them one result.
options:
  scope:
    description: What belongs to the run on the node (see docs/architecture.md).
    type: dict
    required: true
  checks:
    description: What to look at. Only what a check names is compared.
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
      replicas:
        description: How many tasks shall run.
        type: int
      running:
        description: How many tasks do run.
        type: int
      image:
        description: The image with its tag, with or without the registry in front.
        type: str
      labels:
        description: Labels of the service or of its containers, with their values.
        type: dict
      env:
        description: Environment variables, with their values.
        type: dict
attributes:
  check_mode:
    support: full
    description: It only looks.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Assert that the worker runs twice
  ccci_assert_swarm:
    scope: "{{ ccci_scope }}"
    checks:
      - {id: two_workers, service: worker, replicas: 2, running: 2}
      - {id: backed_up, service: app, labels: {backupbot.backup: "true"}}
"""

RETURN = r"""
ccci:
  description: One result per check, in the shape of docs/architecture.md.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import lock, swarm_checks, watch
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client
from ansible.module_utils.ccci_host.snapshot import read

ARGUMENT_SPEC = {
    "scope": {"type": "dict", "required": True},
    "checks": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "id": {"type": "str", "required": True},
            "service": {"type": "str", "required": True},
            "replicas": {"type": "int"},
            "running": {"type": "int"},
            "image": {"type": "str"},
            "labels": {"type": "dict"},
            "env": {"type": "dict"},
        },
    },
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    scope = module.params["scope"]

    def work() -> None:
        client, answer = Client(), Answer("custom")
        lock.renew(client, scope)
        frame = watch.frame(client, scope["stack"])
        raw = {one["ID"]: one for one in frame["services"]}
        stack = [swarm_checks.Deployed(one, raw[one.id]) for one in read(frame, scope["stack"]).services]
        for check in module.params["checks"]:
            one = swarm_checks.judge(check, stack)
            answer.result(one.id, one.outcome, expected=one.expected, observed=one.observed,
                          failure_id=one.failure_id, service=one.service)  # fmt: skip
        answer.leave(module)

    guarded(module, work)


if __name__ == "__main__":
    main()
