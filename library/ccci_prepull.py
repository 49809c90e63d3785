#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_prepull
short_description: Pull every image of base and head before any deploy
description:
  - Asks each image's registry for its current digest and pulls what the node does not have with that digest.
  - An image that exists only on this node is fine. One that its registry does not have (any more) is the recipe's
    fault, in the registry's own words; a limit or a registry that cannot be reached is not.
  - Sliced. A process of its own pulls, up to three images at once; it ends with the run.
options:
  scope:
    description: What belongs to the run on the node (see docs/architecture.md).
    type: dict
    required: true
  images:
    description: Images by side, C(base) and C(head).
    type: dict
    required: true
  limit:
    description: Seconds for all pulls together.
    type: int
    default: 1800
  cursor:
    description: What the slice before left.
    type: dict
    default: {}
  slice_seconds:
    description: Seconds after which a slice answers at the latest.
    type: int
    default: 2
  expired:
    description: Whether the limit is over; the module then says what is still missing.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Says what would be pulled.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Pull what is not there yet
  ccci_prepull:
    scope: "{{ ccci_scope }}"
    images: {base: ["example/web:1"], head: ["example/web:2"]}
"""

RETURN = r"""
ccci:
  description: The result C(prepare.images_pulled); the fact C(pulled) with images and bytes when something was pulled.
  returned: when done
  type: dict
ccci_slice:
  description: Whether it is done, the cursor, and one line about the pulls.
  returned: while it is not done
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import lock, prepull
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client

ARGUMENT_SPEC = {
    "scope": {"type": "dict", "required": True},
    "images": {"type": "dict", "required": True},
    "limit": {"type": "int", "default": 1800},
    "cursor": {"type": "dict", "default": {}},
    "slice_seconds": {"type": "int", "default": 2},
    "expired": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    given = module.params

    def work() -> None:
        client, answer = Client(), Answer("prepare", given["cursor"])
        if not module.check_mode:
            lock.renew(client, given["scope"])
        scope, images, limit = given["scope"], given["images"], given["limit"]
        cursor = dict(given["cursor"]) or prepull.begin(client, scope, images, limit, answer, dry=module.check_mode)
        if cursor:
            line = prepull.go_on(client, scope, images, cursor, given["slice_seconds"], limit, given["expired"], answer)
            if line is not None:
                answer.slice(module, cursor, line)
        answer.leave(module, operation=[prepull.ID], changed="pulled" in answer.facts)

    guarded(module, work, id=prepull.ID)


if __name__ == "__main__":
    main()
