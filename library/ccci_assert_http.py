#!/usr/bin/python
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_assert_http
short_description: Judge what an app answers over HTTP
description:
  - Runs on the controller (delegate it to C(ccci_controller)), against the app's public address.
  - Each check is asked again until its characteristic answer comes, or until O(retry_for) is over.
  - A write (any method but GET, HEAD and OPTIONS) is sent again only after a transport error or a status of 500 and
    more; any other answer counts at once. Every retry is in the evidence.
  - The checks of one call share their cookies, so that one can log in and the next one can use it.
options:
  checks:
    description: What to ask, in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: The id of the result.
        type: str
        required: true
      url:
        description: The address.
        type: str
        required: true
      method:
        description: The method.
        type: str
        default: GET
      headers:
        description: Headers to send.
        type: dict
      body:
        description: A text to send.
        type: str
      body_json:
        description: Data to send as JSON.
        type: raw
      form:
        description: Fields to send as a form.
        type: dict
      status:
        description: The status codes that are right.
        type: list
        elements: int
        default: [200]
      json:
        description: Data that the JSON answer must hold; objects may have more keys, lists more items.
        type: raw
      text:
        description: Text that the answer must hold.
        type: str
      not_text:
        description: Text that the answer must not hold.
        type: str
      content_type:
        description: How the content type must begin.
        type: str
      response_headers:
        description: Headers of the answer, and text that each must hold.
        type: dict
      body_equals:
        description: The body, byte by byte.
        type: str
      sha256:
        description: The SHA-256 of the body, in hex.
        type: str
      redirect_to:
        description: Where the answer must redirect to; name the status too.
        type: str
      follow:
        description: Whether to follow redirects and judge the last answer.
        type: bool
        default: false
      tls:
        description: What the certificate must be like. Alone, only the certificate is judged.
        type: dict
        suboptions:
          name:
            description: The host that it must be for; default is the URL's.
            type: str
          issuer:
            description: Text that its issuer must hold.
            type: str
      successes:
        description: How often in a row the answer must be right.
        type: int
        default: 1
      timeout:
        description: Seconds for one try.
        type: float
        default: 10
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
    description:
      - What the checks are for, which gives a failure its name. V(test) judges.
      - V(boot) asks whether the app has come up; the right status with other content until the end is
        C(boot-placeholder). V(gate) must hold before the app is redeployed; what does not is C(subservice-race).
    type: str
    choices: [test, boot, gate]
    default: test
  ingress_address:
    description: Where to connect to, whatever the URL's host resolves to.
    type: str
  ca_file:
    description: The authority to trust instead of the public ones; a file on the controller.
    type: str
  sign_file:
    description: A file on the controller in which the action plugin looks for what was seen last; it sets this itself.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Asks as usual, which changes nothing unless the checks send something.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Assert that the API answers
  ccci_assert_http:
    checks:
      - id: settings
        url: "{{ ccci_url }}/rest/settings"
        content_type: application/json
        json: {data: {defaultLocale: en}}
    retry_for: 60
  delegate_to: ccci_controller
"""

RETURN = r"""
ccci:
  description: The results as docs/architecture.md has them, one for each check.
  returned: always
  type: dict
answers:
  description: By check id, the last answer's C(status), C(headers), C(json) and the beginning of C(text).
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host.answer import Answer, summary

CHECK = {
    "id": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "method": {"type": "str", "default": "GET"},
    "headers": {"type": "dict"},
    "body": {"type": "str"},
    "body_json": {"type": "raw"},
    "form": {"type": "dict"},
    "status": {"type": "list", "elements": "int", "default": [200]},
    "json": {"type": "raw"},
    "text": {"type": "str"},
    "not_text": {"type": "str"},
    "content_type": {"type": "str"},
    "response_headers": {"type": "dict"},
    "body_equals": {"type": "str"},
    "sha256": {"type": "str"},
    "redirect_to": {"type": "str"},
    "follow": {"type": "bool", "default": False},
    "tls": {"type": "dict", "options": {"name": {"type": "str"}, "issuer": {"type": "str"}}},
    "successes": {"type": "int", "default": 1},
    "timeout": {"type": "float", "default": 10.0},
    "within": {"type": "float"},
}
ARGUMENT_SPEC = {
    "checks": {"type": "list", "elements": "dict", "required": True, "options": CHECK},
    "retry_for": {"type": "float", "default": 60.0},
    "operation": {"type": "bool", "default": False},
    "purpose": {"type": "str", "choices": ["test", "boot", "gate"], "default": "test"},
    "ingress_address": {"type": "str"},
    "ca_file": {"type": "str"},
    "sign_file": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    from ansible.module_utils.ccci_probe import connection, http, polling

    arguments = module.params
    answer, answers = Answer(), {}
    address, ca_file = arguments["ingress_address"] or None, arguments["ca_file"] or None
    session = connection.session(address, ca_file)
    series = polling.Series(arguments["retry_for"], arguments["operation"])
    for options in arguments["checks"]:
        check, deadline = http.HttpCheck(**wanted(options)), series.deadline(options["within"])
        tell = polling.sign(arguments["sign_file"], f"{check.id}: {check.method} {check.url}")
        with answer.waiting("app"):
            polled = polling.poll(
                lambda c=check: http.attempt(c, session, address, ca_file), deadline, check.successes, tell
            )  # fmt: skip
        series.add(polled)
        seen = polled.seen
        answers[check.id] = seen.data
        answer.result(
            check.id, seen.outcome, expected=check.expectation(), observed=seen.observed + polled.tries_told,
            evidence=polled.evidence or None, failure_id=polling.failure_id(seen, arguments["purpose"]),
            hint=seen.hint or None,
        )  # fmt: skip
    wrong = [one for one in answer.results if one["outcome"] != "pass"]
    told = {"results": answer.results, "waits": answer.waits, "facts": answer.facts}
    if arguments["operation"] and wrong:
        module.fail_json(msg="; ".join(map(summary, wrong)), ccci=told, answers=answers)
    module.exit_json(changed=False, ccci=told, answers=answers)


def wanted(options: dict) -> dict:
    """The options of a check without those that were not given, and without its limit."""
    given = {name: value for name, value in options.items() if value is not None and name != "within"}
    given["status"] = tuple(given["status"])
    if "tls" in given:
        given["tls"] = {name: value for name, value in given["tls"].items() if value}
    return given


if __name__ == "__main__":
    main()
