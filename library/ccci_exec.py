#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_exec
short_description: Run one command inside a service and give back what it said
description:
  - Judges nothing. Task files use M(ccci_assert_command); this is behind the fixture C(app.exec_in) of tests in Python.
options:
  scope:
    description: What belongs to the run on the node (see docs/architecture.md).
    type: dict
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
  stdin:
    description: What the command reads, in base64.
    type: str
  user:
    description: Who runs it inside the container; the image's own user when empty.
    type: str
    default: ""
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
- name: List the web root
  ccci_exec:
    scope: "{{ ccci_scope }}"
    service: app
    argv: [ls, /usr/share/nginx/html]
  register: __listing
"""

RETURN = r"""
ccci:
  description: No result, for nothing is judged; only how long the command was waited for.
  returned: when the command ended
  type: dict
ccci_exec:
  description: The return code, and the end of each output in base64.
  returned: when the command ended
  type: dict
  sample: {rc: 0, stdout: aW5kZXguaHRtbAo=, stderr: ""}
failure_id:
  description: The failure's id in the catalogue.
  returned: when there is one
  type: str
"""

import base64

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import exec_answer, lock
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client, running_container

ARGUMENT_SPEC = {
    "scope": {"type": "dict", "required": True},
    "service": {"type": "str", "required": True},
    "argv": {"type": "list", "elements": "str", "required": True},
    "stdin": {"type": "str"},
    "user": {"type": "str", "default": ""},
    "limit": {"type": "int", "default": 60},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=False)
    arguments = module.params

    def work() -> None:
        client, answer = Client(), Answer("custom")
        lock.renew(client, arguments["scope"])
        stdin = base64.b64decode(arguments["stdin"]) if arguments["stdin"] else None
        with exec_answer.failures(module), answer.waiting("app"):
            container = running_container(client, arguments["scope"]["stack"], arguments["service"])
            done = client.exec(
                container["Id"], arguments["argv"], stdin=stdin, user=arguments["user"], limit=arguments["limit"]
            )
        exec_answer.leave(module, answer, done)

    guarded(module, work)


if __name__ == "__main__":
    main()
