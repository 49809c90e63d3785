#!/usr/bin/python
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_assert_oidc
short_description: Judge an OpenID Connect provider, and that an app sends strangers to it
description:
  - Runs on the controller (delegate it to C(ccci_controller)), against public addresses, as the client and the user
    that the dep has given to its parent.
  - Signatures are verified against the provider's published keys with the algorithms that its discovery document names,
    never C(none), nor one whose key both sides know.
  - Each refusal is only judged after the same thing, done right, has been accepted.
  - Transport errors and statuses of 500 and more are asked again until O(retry_for) is over; any other answer counts.
options:
  facts_of:
    description: The key of the dep of kind sso. Its facts are filled in by ccci, and never shown.
    type: str
  facts:
    description: The facts themselves, where nothing fills them in; as C(src/ccci/schemas/provides/sso.json) has them.
    type: dict
  checks:
    description:
      - What to look at; each is one result.
      - V(discovery) compares the discovery document with the facts. V(password) and V(client_credentials) ask for
        tokens and judge signature, C(iss), C(aud) or C(azp), C(exp), C(iat) and C(typ). V(userinfo) must speak of the
        person in the token.
      - V(wrong_secret), V(wrong_audience), V(tampered) and V(expired) must be refused.
    type: list
    elements: str
    choices: [discovery, password, client_credentials, userinfo, wrong_secret, wrong_audience, tampered, expired]
    default: [discovery, password, client_credentials, userinfo, wrong_secret, wrong_audience, tampered, expired]
  url:
    description: The app's address.
    type: str
  app_path:
    description: A path below O(url) that only people who are logged in may see. It must redirect to the provider, as
      this client; the result is C(redirect).
    type: str
  retry_for:
    description: Seconds for all of it.
    type: float
    default: 60
  ingress_address:
    description: Where to connect to, whatever a host resolves to.
    type: str
  ca_file:
    description: The authority to trust instead of the public ones; a file on the controller.
    type: str
attributes:
  check_mode:
    support: full
    description: Asks as usual, which opens a few sessions at the provider.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Assert that the provider and the app know each other
  ccci_assert_oidc:
    facts_of: sso
    url: "{{ ccci_url }}"
    app_path: /dashboard
  delegate_to: ccci_controller
"""

RETURN = r"""
ccci:
  description: The results as docs/architecture.md has them, one for each check.
  returned: always
  type: dict
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host.answer import Answer

CHECKS = [
    "discovery",
    "password",
    "client_credentials",
    "userinfo",
    "wrong_secret",
    "wrong_audience",
    "tampered",
    "expired",
]
ARGUMENT_SPEC = {
    "facts_of": {"type": "str"},
    # Not no_log, which would blot out every name in the results; what is secret in it is hidden by its value.
    "facts": {"type": "dict", "no_log": False},
    "checks": {"type": "list", "elements": "str", "choices": CHECKS, "default": CHECKS},
    "url": {"type": "str"},
    "app_path": {"type": "str"},
    "retry_for": {"type": "float", "default": 60.0},
    "ingress_address": {"type": "str"},
    "ca_file": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC, supports_check_mode=True, required_by={"app_path": ["url"]}
    )  # fmt: skip
    from ansible.module_utils.ccci_probe import connection, oidc

    arguments = module.params
    facts, app_path = arguments["facts"], arguments["app_path"]
    if not facts:
        module.fail_json(msg="there are no facts: name the dep in facts_of")
    address, ca_file = arguments["ingress_address"] or None, arguments["ca_file"] or None
    answer, deadline = Answer(), time.monotonic() + arguments["retry_for"]
    examination = oidc.Examination(facts, connection.session(address, ca_file), deadline)
    for name, expected in oidc.titles(arguments["checks"]).items():
        with answer.waiting("app"):
            seen = examination.look(name)
        answer.result(
            name, seen.outcome, expected=expected, observed=seen.observed, failure_id=seen.failure_id or None
        )  # fmt: skip
    if app_path:
        url = arguments["url"].rstrip("/") + app_path
        with answer.waiting("app"):
            seen = oidc.redirect(url, facts, connection.session(address, ca_file), deadline)
        answer.result(
            "redirect", seen.outcome, expected=f"{url} sends a stranger to {facts['issuer']}", observed=seen.observed
        )  # fmt: skip
    answer.leave(module)


if __name__ == "__main__":
    main()
