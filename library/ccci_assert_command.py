#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_assert_command
short_description: Run commands inside services of the app and judge what they say
description:
  - Runs each command in the newest running container of its service, without a terminal, and judges return code and
    standard output. A service that does not exist fails at once, with the names of the real ones.
  - With O(retry_for), or a check's own C(within), it is run again until it says what it must. Every retry is in the
    evidence. A command that was still running after its limit goes on in the container; the Docker API cannot end it.
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
      stdin_facts:
        description:
          - Facts of the dep O(facts_of) that the command reads, for example C(client_secret) or C(user.email), each on
            a line of its own. So a secret is in no argument, file or log.
        type: list
        elements: str
      user:
        description: Who runs it inside the container; the image's own user when absent.
        type: str
      limit:
        description: Seconds after which one try has failed, with the id C(interactive-hang).
        type: int
        default: 60
      successes:
        description: How often in a row it must succeed.
        type: int
        default: 1
      within:
        description: Seconds for this check alone, instead of its share of O(retry_for).
        type: float
  facts_of:
    description: The key of the dep whose facts the checks' C(stdin_facts) name.
    type: str
  stdin:
    description: What commands read, by the id of their check. Filled in by ccci, and never shown.
    type: dict
  retry_for:
    description: Seconds for all checks together; each one is tried at least once.
    type: float
    default: 0
  operation:
    description: Whether a check that does not pass fails the task, which ends the life.
    type: bool
    default: false
  purpose:
    description: What the checks are for, as in M(ccci_assert_http).
    type: str
    choices: [test, boot, gate]
    default: test
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

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import command_checks, lock
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client
from ansible.module_utils.ccci_probe import polling

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
            "stdin_facts": {"type": "list", "elements": "str"},
            "user": {"type": "str"},
            "limit": {"type": "int", "default": 60},
            "successes": {"type": "int", "default": 1},
            "within": {"type": "float"},
        },
    },
    "facts_of": {"type": "str"},
    "stdin": {"type": "dict", "no_log": True},
    "retry_for": {"type": "float", "default": 0.0},
    "operation": {"type": "bool", "default": False},
    "purpose": {"type": "str", "choices": ["test", "boot", "gate"], "default": "test"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=False)
    arguments = module.params
    scope, stdin = arguments["scope"], arguments["stdin"] or {}
    if any(check["stdin_facts"] and check["id"] not in stdin for check in arguments["checks"]):
        module.fail_json(msg="stdin_facts of what? Name the dep in facts_of")

    def work() -> None:
        client, answer = Client(), Answer("custom")
        lock.renew(client, scope)
        series = polling.Series(arguments["retry_for"], arguments["operation"])
        for check in arguments["checks"]:
            deadline = series.deadline(check["within"])
            with answer.waiting("app"):
                polled = polling.poll(lambda c=check: attempt(client, c), deadline, check["successes"])
            series.add(polled)
            seen = polled.seen
            if seen.outcome == "pass" and arguments["purpose"] == "boot":
                answer.timeline.append({"at": round(time.time(), 3), "service": check["service"], "what": "ready"})
            often = f", {check['successes']} times in a row" if check["successes"] > 1 else ""
            answer.result(
                check["id"], seen.outcome, expected=f"{seen.data}{often}", observed=seen.observed + polled.tries_told,
                evidence=polled.evidence or None, failure_id=polling.failure_id(seen, arguments["purpose"]),
                service=seen.service or None,
            )  # fmt: skip
        ids = [one["id"] for one in answer.results]
        answer.leave(module, operation=ids if arguments["operation"] else [], changed=True)

    def attempt(client: Client, check: dict) -> polling.Seen:
        one, evidence = command_checks.run(client, scope["stack"], {**check, "stdin": stdin.get(check["id"])})
        final = one.failure_id == "wrong-service"  # no wait makes a service
        return polling.Seen(one.outcome, one.observed, evidence, data=one.expected, failure_id=one.failure_id or "",
                            service=one.service or "", final=final)  # fmt: skip

    guarded(module, work)


if __name__ == "__main__":
    main()
