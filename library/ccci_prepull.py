#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_prepull
short_description: Pull every image of base and head before any deploy
description:
  - Asks each image's registry for its current digest and pulls what the node does not have with that digest. An image
    that is here without its tag only gets the tag; several names of one digest are pulled once.
  - Before the first pull it compares what the images of base and head take together, from their manifests, with the
    free disk, and refuses with the numbers.
  - An image that exists only on this node is fine. One that its registry does not have (any more) is the recipe's
    fault, in the registry's own words; a limit or a registry that cannot be reached is not. A limit is waited for as
    long as the registry asks to, a few times and within O(limit).
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
  credentials:
    description: File on the node with accounts of registries, in the form of docker's config.json and with mode 0600.
      Empty for the docker command's own.
    type: str
    default: ""
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
  description:
    - The result C(prepare.images_pulled), and the moments C(pull) and C(pulled) of each image.
    - The fact C(pulled) when something was, with C(images), C(bytes), and C(each) with compressed C(bytes), unpacked
      C(size) and C(seconds) of each image.
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
    "credentials": {"type": "str", "default": "", "no_log": False},
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
        wish = prepull.Wish(given["scope"], given["images"], given["limit"], given["credentials"])
        cursor = dict(given["cursor"]) or prepull.begin(client, wish, answer, dry=module.check_mode)
        if cursor:
            line = prepull.go_on(client, wish, cursor, given["slice_seconds"], given["expired"], answer)
            if line is not None:
                answer.slice(module, cursor, line)
        answer.leave(module, operation=[prepull.ID], changed="pulled" in answer.facts)

    guarded(module, work, id=prepull.ID)


if __name__ == "__main__":
    main()
