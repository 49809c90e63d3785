#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_app
short_description: Deploy an app with abra, or upgrade it in place
description:
  - C(deployed) makes the app, sets its C(.env), provides its secrets and deploys it once.
  - C(upgraded) writes down what the stack is, checks the commit out, adds what is new in its C(.env.sample), provides
    new secrets and redeploys in place.
  - Where overlays are needed (of the recipe's tests, or because the kernel has no IPVS) they are put into the checkout,
    and the base is deployed as chaos at its version's commit.
  - Returns when Docker has accepted the stack; M(ccci_converge) waits for it.
options:
  state:
    description: What to do.
    type: str
    choices: [deployed, upgraded]
    required: true
  tier:
    description: The tier that the result belongs to.
    type: str
    required: true
  scope:
    description: What belongs to the run on the node (see docs/architecture.md).
    type: dict
    required: true
  commit:
    description: The commit to deploy, in full.
    type: str
    required: true
  version:
    description: The published version of that commit.
    type: str
  chaos:
    description: Deploy the commit as it is checked out, even where a version could be deployed.
    type: bool
    default: false
  env:
    description: What to set in the app's C(.env); the values are taken literally.
    type: dict
    default: {}
  compose_files:
    description: The compose files; without it, those that C(COMPOSE_FILE) of the sample or of O(env) names.
    type: list
    elements: str
  secrets:
    description: "Secrets that abra must not generate: C({NAME: {hex: 32}}), C({NAME: {length: 24}}), or
      C({NAME: {value_from: deps.DEP.FACT}}) with its value in O(secret_values)."
    type: dict
    default: {}
  secret_values:
    description: "The values of secrets that come from deps, C({NAME: VALUE}). Filled in by the action plugin."
    type: dict
    default: {}
  inside:
    description: "How containers reach the run's own domains, C({hosts, ca}); without it, as anybody does."
    type: dict
  limit:
    description: Seconds for everything together; also the app's C(TIMEOUT).
    type: int
    default: 300
attributes:
  check_mode:
    support: none
    description: Whatever follows needs the deployed app.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Make the app and deploy it
  ccci_app:
    state: deployed
    tier: install
    scope: "{{ ccci_scope }}"
    commit: "{{ ccci_plan.base.commit }}"
    version: "{{ ccci_plan.base.version }}"
    secrets: {signing_key: {hex: 32}}
"""

RETURN = r"""
ccci:
  description: The result C(<tier>.deploy); the fact C(deploys) counts the first deploys of each stack, C(abra)
    is its version.
  returned: always
  type: dict
ccci_secrets:
  description: Every secret that was made, by its name in the compose files; the action plugin takes them out.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import lock
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.app import Deployer, Order
from ansible.module_utils.ccci_host.docker import Client

ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["deployed", "upgraded"], "required": True},
    "tier": {"type": "str", "required": True},
    "scope": {"type": "dict", "required": True},
    "commit": {"type": "str", "required": True},
    "version": {"type": "str"},
    "chaos": {"type": "bool", "default": False},
    "env": {"type": "dict", "default": {}},
    "compose_files": {"type": "list", "elements": "str"},
    "secrets": {"type": "dict", "default": {}, "no_log": False},  # how to make them, no values
    "secret_values": {"type": "dict", "default": {}, "no_log": True},
    "inside": {"type": "dict"},
    "limit": {"type": "int", "default": 300},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=False)
    given = dict(module.params)
    wanted = given.pop("state")
    order = Order(**given)

    def work() -> None:
        client, answer = Client(), Answer(order.tier)
        lock.renew(client, order.scope, order.limit + 60)
        deployer = Deployer(client, order, answer)
        getattr(deployer, wanted)()
        answer.leave(module, operation=[order.id], changed=True)

    guarded(module, work, id=order.id)


if __name__ == "__main__":
    main()
