#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_sidecar
short_description: Run one command in a throwaway container beside a service
description:
  - Judges nothing; this is behind the fixture C(app.sidecar) of tests in Python.
  - The container lives in the network namespace of a running container of O(service), because the networks of a stack
    are not attachable. It is taken away at the end, in any case.
options:
  scope:
    description: What belongs to the run on the node (see docs/architecture.md).
    type: dict
    required: true
  image:
    description: The image. It is pulled when the node does not have it.
    type: str
    required: true
  argv:
    description: The whole command; the image's entrypoint is not used.
    type: list
    elements: str
    required: true
  service:
    description: The service whose network it shares.
    type: str
    default: app
  limit:
    description: Seconds after which the command has failed. A pull has a limit of its own.
    type: int
    default: 60
  credentials:
    description: File on the node with accounts of registries, as in M(ccci_prepull).
    type: str
    default: ""
attributes:
  check_mode:
    support: none
    description: A command may change what it talks to.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Ask the database with its own client
  ccci_sidecar:
    scope: "{{ ccci_scope }}"
    image: postgres:15
    argv: [pg_isready, -h, db]
  register: __answer
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
  sample: {rc: 0, stdout: YWNjZXB0aW5nIGNvbm5lY3Rpb25zCg==, stderr: ""}
failure_id:
  description: The failure's id in the catalogue.
  returned: when there is one
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import exec_answer, lock, sidecar
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client
from ansible.module_utils.ccci_host.registry_credentials import CredentialsError

ARGUMENT_SPEC = {
    "scope": {"type": "dict", "required": True},
    "image": {"type": "str", "required": True},
    "argv": {"type": "list", "elements": "str", "required": True},
    "service": {"type": "str", "default": "app"},
    "limit": {"type": "int", "default": 60},
    "credentials": {"type": "str", "default": "", "no_log": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=False)
    given = module.params

    def work() -> None:
        client, answer = Client(), Answer("custom")
        lock.renew(client, given["scope"])
        try:
            with exec_answer.failures(module), answer.waiting("app"):
                done = sidecar.run(
                    client, given["scope"], given["image"], given["argv"], given["service"], given["limit"],
                    given["credentials"],
                )  # fmt: skip
        except CredentialsError as error:
            module.fail_json(msg=f"{error}. {error.hint}")
        exec_answer.leave(module, answer, done)

    guarded(module, work)


if __name__ == "__main__":
    main()
