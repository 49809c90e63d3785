#!/usr/bin/python
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_assert_tcp
short_description: Judge whether a port of an app accepts connections
description:
  - Runs on the controller (delegate it to C(ccci_controller)), against the app's public address.
  - A connection that is accepted and closed at once is a proxy without anything behind it, and no success.
options:
  checks:
    description: The ports, in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: The id of the result.
        type: str
        required: true
      host:
        description: The host.
        type: str
        required: true
      port:
        description: The port.
        type: int
        required: true
      text:
        description: Text that the server must say by itself at first.
        type: str
      successes:
        description: How often in a row it must succeed.
        type: int
        default: 1
      timeout:
        description: Seconds for one try.
        type: float
        default: 5
      within:
        description: Seconds for this check alone, instead of its share of O(retry_for).
        type: float
  retry_for:
    description: Seconds for all checks together; each one is tried at least once.
    type: float
    default: 60
  operation:
    description: Whether a check that does not pass fails the task, which ends the life.
    type: bool
    default: false
  purpose:
    description: What the checks are for, as in M(ccci_assert_http).
    type: str
    choices: [test, boot, gate]
    default: test
  ingress_address:
    description: Where to connect to, whatever the host resolves to.
    type: str
  sign_file:
    description: A file on the controller in which the action plugin looks for what was seen last; it sets this itself.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Connects as usual, and sends nothing.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Assert that the voice server listens
  ccci_assert_tcp:
    checks:
      - {id: voice, host: "{{ ccci_plan.app.domain }}", port: 64738, successes: 3}
  delegate_to: ccci_controller
"""

RETURN = r"""
ccci:
  description: The results as docs/architecture.md has them, one for each check.
  returned: always
  type: dict
"""

import functools

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host.answer import Answer

CHECK = {
    "id": {"type": "str", "required": True},
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
    "text": {"type": "str"},
    "successes": {"type": "int", "default": 1},
    "timeout": {"type": "float", "default": 5.0},
    "within": {"type": "float"},
}
ARGUMENT_SPEC = {
    "checks": {"type": "list", "elements": "dict", "required": True, "options": CHECK},
    "retry_for": {"type": "float", "default": 60.0},
    "operation": {"type": "bool", "default": False},
    "purpose": {"type": "str", "choices": ["test", "boot", "gate"], "default": "test"},
    "ingress_address": {"type": "str"},
    "sign_file": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    from ansible.module_utils.ccci_probe import polling, tcp

    arguments, answer = module.params, Answer()
    series = polling.Series(arguments["retry_for"], arguments["operation"])
    for check in arguments["checks"]:
        target = arguments["ingress_address"] or check["host"]
        listen = functools.partial(tcp.attempt, target, check["port"], check["text"], check["timeout"])
        tell = polling.sign(arguments["sign_file"], f"{check['id']}: {check['host']} port {check['port']}")
        with answer.waiting("app"):
            polled = polling.poll(listen, series.deadline(check["within"]), check["successes"], tell)
        series.add(polled)
        says = f" and says {check['text']!r}" if check["text"] else ""
        often = f" {check['successes']} times in a row" if check["successes"] > 1 else ""
        answer.result(
            check["id"], polled.seen.outcome,
            expected=f"{check['host']} port {check['port']} accepts connections{says}{often}",
            observed=polled.seen.observed + polled.tries_told, evidence=polled.evidence or None,
            failure_id=polling.failure_id(polled.seen, arguments["purpose"]), hint=polled.seen.hint or None,
        )  # fmt: skip
    answer.leave(module, operation=[check["id"] for check in arguments["checks"]] if arguments["operation"] else [])


if __name__ == "__main__":
    main()
