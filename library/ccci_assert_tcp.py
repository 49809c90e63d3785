#!/usr/bin/python
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_assert_tcp
short_description: Judge whether a port of an app accepts connections
description:
  - Runs on the controller (delegate it to C(ccci_controller)), against the app's public address.
  - With O(scope) it runs on the node instead and asks services inside the app's network, whose ports need not be
    published.
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
        description: The host; this or O(checks[].service).
        type: str
      service:
        description: The service, with O(scope). It is asked at its own address, so one that listens on its loopback
          device alone does not pass.
        type: str
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
  scope:
    description: What belongs to the run on the node (see docs/architecture.md), for checks of services.
    type: dict
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

- name: Assert that it listens where no port is published
  ccci_assert_tcp:
    scope: "{{ ccci_scope }}"
    checks:
      - {id: voice_inside, service: app, port: 64738}
"""

RETURN = r"""
ccci:
  description: The results as docs/architecture.md has them, one for each check.
  returned: always
  type: dict
"""

import functools

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import inside, lock
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.command_checks import GONE
from ansible.module_utils.ccci_host.docker import Client
from ansible.module_utils.ccci_host.docker_errors import DockerError, NoContainer, NoService

CHECK = {
    "id": {"type": "str", "required": True},
    "host": {"type": "str"},
    "service": {"type": "str"},
    "port": {"type": "int", "required": True},
    "text": {"type": "str"},
    "successes": {"type": "int", "default": 1},
    "timeout": {"type": "float", "default": 5.0},
    "within": {"type": "float"},
}
ARGUMENT_SPEC = {
    "checks": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": CHECK,
        "mutually_exclusive": [("host", "service")],
        "required_one_of": [("host", "service")],
    },
    "retry_for": {"type": "float", "default": 60.0},
    "operation": {"type": "bool", "default": False},
    "purpose": {"type": "str", "choices": ["test", "boot", "gate"], "default": "test"},
    "scope": {"type": "dict"},
    "ingress_address": {"type": "str"},
    "sign_file": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    from ansible.module_utils.ccci_probe import polling, tcp

    arguments, answer, scope = module.params, Answer(), module.params["scope"]
    if any(bool(check["service"]) != bool(scope) for check in arguments["checks"]):
        module.fail_json(msg="checks of services need `scope`, and are not mixed with checks of hosts")
    client = Client() if scope else None

    def attempt(check: dict) -> polling.Seen:
        what = (check["port"], check["text"], check["timeout"])
        if client is None:
            return tcp.attempt(arguments["ingress_address"] or check["host"], *what)
        service = check["service"]
        try:
            pid, address = inside.place_of(client, scope["stack"], service)
            return inside.in_network(pid, lambda: tcp.attempt(address, *what))
        except NoService as error:  # no wait makes a service
            return polling.Seen("fail", str(error), failure_id="wrong-service", service=service, final=True)
        except NoContainer as error:
            return polling.Seen("fail", str(error), service=service)
        except DockerError as error:
            if error.status not in GONE:
                raise
            return polling.Seen("fail", f"the container of {service} went away: {error.message}", service=service)
        except OSError as error:
            # The container has just ended, or we may not go there.
            outcome = "fail" if isinstance(error, FileNotFoundError) else "error"
            return polling.Seen(outcome, f"the network of {service} cannot be entered: {error}", service=service)

    def work() -> None:
        if client is not None:
            lock.renew(client, scope)
        series = polling.Series(arguments["retry_for"], arguments["operation"])
        for check in arguments["checks"]:
            where = f"service {check['service']}" if scope else check["host"]
            tell = polling.sign(arguments["sign_file"], f"{check['id']}: {where} port {check['port']}")
            with answer.waiting("app"):
                polled = polling.poll(
                    functools.partial(attempt, check), series.deadline(check["within"]), check["successes"], tell
                )  # fmt: skip
            series.add(polled)
            says = f" and says {check['text']!r}" if check["text"] else ""
            often = f" {check['successes']} times in a row" if check["successes"] > 1 else ""
            answer.result(
                check["id"], polled.seen.outcome,
                expected=f"{where} port {check['port']} accepts connections{says}{often}",
                observed=polled.seen.observed + polled.tries_told, evidence=polled.evidence or None,
                failure_id=polling.failure_id(polled.seen, arguments["purpose"]), hint=polled.seen.hint or None,
                service=polled.seen.service or None,
            )  # fmt: skip
        ids = [check["id"] for check in arguments["checks"]]
        answer.leave(module, operation=ids if arguments["operation"] else [])

    guarded(module, work)


if __name__ == "__main__":
    main()
