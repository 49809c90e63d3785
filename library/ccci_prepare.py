#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_prepare
short_description: Check a recipe out on the node and judge its compose files
description:
  - Clones the bundle into the run's own C(ABRA_DIR), and checks the base's commit out.
  - Reads the compose files of both sides as they will be deployed, each with its own C(COMPOSE_FILE), C(.env) and
    overlays, and says with file and line what is wrong.
  - Judges what the head asks of the node and the base does not. Nothing of the recipe is run.
options:
  scope:
    description: What belongs to the run on the node (see docs/architecture.md).
    type: dict
    required: true
  bundle:
    description: The git bundle with both commits and all tags. The action plugin sends it from the controller.
    type: path
    required: true
  base:
    description: The version that is deployed first, C({version, commit, …}); none when no version was published yet.
    type: dict
  head:
    description: The ref under test, C({kind, label, commit, …}).
    type: dict
    required: true
  env:
    description: What recipe.yml sets in the app's C(.env).
    type: dict
    default: {}
  env_from_upgrade:
    description: What it sets besides, from the head on.
    type: dict
    default: {}
  compose_files:
    description: The compose files; without it, those that C(COMPOSE_FILE) of the sample or of O(env) names.
    type: list
    elements: str
  compose_files_from_upgrade:
    description: The head's compose files, where they are others.
    type: list
    elements: str
  overlay:
    description: A compose.ccci.yml of the recipe's tests. The action plugin sends it from the controller.
    type: path
  policy:
    description:
      - C(mode) C(strict) or C(relaxed) (everything is noted, little is refused).
      - C(allow) rules that the inventory lets through, as C(capability) or C(capability=NET_ADMIN).
    type: dict
    default: {}
  inside:
    description: How containers reach the run's own domains, C({hosts, ca}); without it, as anybody does.
      Part of what is deployed, and no part of what is judged.
    type: dict
attributes:
  check_mode:
    support: full
    description: Judges from a clone that is gone afterwards.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Check out the recipe and judge its compose files
  ccci_prepare:
    scope: "{{ ccci_scope }}"
    bundle: "{{ ccci_plan.source.bundle }}"
    base: "{{ ccci_plan.base }}"
    head: "{{ ccci_plan.head }}"
    policy: {mode: strict, allow: [capability=NET_ADMIN]}
"""

RETURN = r"""
ccci:
  description: The results C(prepare.compose_valid) and C(prepare.policy); the fact C(images) with the images of C(base)
    and C(head).
  returned: always
  type: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import lock, prepare
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client

ARGUMENT_SPEC = {
    "scope": {"type": "dict", "required": True},
    "bundle": {"type": "path", "required": True},
    "base": {"type": "dict"},
    "head": {"type": "dict", "required": True},
    "env": {"type": "dict", "default": {}},
    "env_from_upgrade": {"type": "dict", "default": {}},
    "compose_files": {"type": "list", "elements": "str"},
    "compose_files_from_upgrade": {"type": "list", "elements": "str"},
    "overlay": {"type": "path"},
    "policy": {"type": "dict", "default": {}},
    "inside": {"type": "dict"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    given = dict(module.params)

    def work() -> None:
        client, answer = Client(), Answer("prepare")
        if not module.check_mode:
            lock.renew(client, given["scope"])
        if given["overlay"]:
            given["overlay"] = Path(given["overlay"]).read_text(encoding="utf-8")
        taken = prepare.ports_in_use(client, str(given["scope"]["stack"]))
        order = prepare.Order(**given, nodes=len(client.get("/nodes")))
        prepare.prepare(order, taken, answer, dry=module.check_mode)
        answer.leave(module, operation=prepare.OPERATIONS, changed=not module.check_mode)

    guarded(module, work, id=prepare.VALID)


if __name__ == "__main__":
    main()
