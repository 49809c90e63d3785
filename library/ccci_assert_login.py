#!/usr/bin/python
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_assert_login
short_description: Judge that a person can log in to an app through its provider, and out again
description:
  - Runs on the controller (delegate it to C(ccci_controller)), in a browser that has never been there.
  - A stranger visits the app, comes to the provider's own page, gives the credentials of the dep's user there, is back
    in the app, where O(then) proves that it is that user, logs out, and visits the app again, where O(then) must fail.
  - A screenshot is kept of each stage; the password is in none, and in no text.
options:
  id:
    description: The id of the result.
    type: str
    default: login
  facts_of:
    description: The key of the dep of kind sso. Its facts are filled in by ccci, and never shown.
    type: str
  facts:
    description: The facts themselves, where nothing fills them in; as C(src/ccci/schemas/provides/sso.json) has them.
    type: dict
  url:
    description: The app's address.
    type: str
    required: true
  path:
    description: Where a stranger begins.
    type: str
    default: /
  start:
    description: Steps of M(ccci_assert_browser) until the provider's page shows; none when the app redirects by itself.
    type: list
    elements: dict
    default: []
  then:
    description: Steps that succeed for that user only. May use C({{ user.username }}), C(user.email) and C(user.name).
    type: list
    elements: dict
    required: true
  logout:
    description: Steps that log the user out. Without them, nothing is judged after the login, which the result says.
    type: list
    elements: dict
    default: []
  retry_for:
    description: Seconds for all of it.
    type: float
    default: 120
  ingress_address:
    description: Where to connect to, whatever a host resolves to.
    type: str
  spki_file:
    description: A file with the base64 SHA-256 of the ingress' public key, if no public authority vouches for it.
    type: str
  run_dir:
    description: The run's folder on the controller. Without it no screenshot is kept.
    type: str
attributes:
  check_mode:
    support: full
    description: Looks as usual, which opens a session.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Assert that a person logs in through the provider
  ccci_assert_login:
    facts_of: sso
    url: "{{ ccci_url }}"
    start:
      - click: a.openidConnect
    then:
      - click: .user-menu
      - expect_text: "{% raw %}{{ user.username }}{% endraw %}"
    logout:
      - click: a[href="/logout"]
  delegate_to: ccci_controller
"""

RETURN = r"""
ccci:
  description: One result as docs/architecture.md has it, and the screenshots as artefacts.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host.answer import Answer

ARGUMENT_SPEC = {
    "id": {"type": "str", "default": "login"},
    "facts_of": {"type": "str"},
    # Not no_log, which would blot out every name in the results; what is secret in it is hidden by its value.
    "facts": {"type": "dict", "no_log": False},
    "url": {"type": "str", "required": True},
    "path": {"type": "str", "default": "/"},
    "start": {"type": "list", "elements": "dict", "default": []},
    "then": {"type": "list", "elements": "dict", "required": True},
    "logout": {"type": "list", "elements": "dict", "default": []},
    "retry_for": {"type": "float", "default": 120.0},
    "ingress_address": {"type": "str"},
    "spki_file": {"type": "str"},
    "run_dir": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    from ansible.module_utils.ccci_probe import login, steps

    arguments = module.params
    facts = arguments["facts"]
    if not facts:
        module.fail_json(msg="there are no facts: name the dep in facts_of")
    try:
        story = {name: login.with_user(arguments[name], facts["user"]) for name in ("start", "then", "logout")}
    except ValueError as error:
        module.fail_json(msg=str(error))
    for name, part in story.items():
        wrong = steps.wrong_steps(part) or (None if part or name != "then" else "there are none")
        if wrong:
            module.fail_json(msg=f"{name}: {wrong}")
    answer = Answer()
    expected = f"{facts['user']['username']} logs in through {facts['issuer']}, and out again"

    def play(chromium: object, deadline: float) -> steps.Story:
        stage = login.Login(chromium, arguments["run_dir"], deadline, arguments["id"], facts, arguments["url"])
        return stage.tell(arguments["path"], **story)

    steps.judge(answer, arguments, expected, play)
    answer.leave(module)


if __name__ == "__main__":
    main()
