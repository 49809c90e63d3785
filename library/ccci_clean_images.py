#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_clean_images
short_description: Remove dangling images between runs
description:
  - Takes the node's lock for itself, so that no run is pulling meanwhile, and removes images that have no tag, that no
    container and no service uses, and that no recipe names. Waits for a run that holds the lock.
options:
  named:
    description: Images as the compose files of all enrolled recipes name them, variables included.
    type: list
    elements: str
    required: true
  wait:
    description: Seconds to wait for a run to end.
    type: int
    default: 600
  limit:
    description: Seconds that all slices may take. Filled in by the action plugin from O(wait).
    type: int
    default: 630
  holder:
    description: The process that cleans. Filled in by the action plugin.
    type: dict
    default: {}
  gone:
    description: Runs whose holder is dead on the controller. Filled in by the action plugin.
    type: list
    elements: str
    default: []
  cursor:
    description: Where the last slice ended.
    type: dict
    default: {}
  slice_seconds:
    description: Seconds after which an unfinished call answers.
    type: int
    default: 2
  expired:
    description: Whether the time is over. Filled in by the action plugin.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Says what would be removed, without the lock.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Remove dangling images
  ccci_clean_images:
    named: ["docker.io/library/nginx:1.27", "postgres@sha256:…"]
"""

RETURN = r"""
ccci:
  description:
    - The fact C(images_cleaned) with C(node), C(removed) (name and bytes), C(kept) (name and why) and C(bytes).
    - The result C(clean.images) when a run holds the node.
  returned: always
  type: dict
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import image_cleaning, lock, processes
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client

ARGUMENT_SPEC = {
    "named": {"type": "list", "elements": "str", "required": True},
    "wait": {"type": "int", "default": 600},
    "limit": {"type": "int", "default": 630},
    "holder": {"type": "dict", "default": {}},
    "gone": {"type": "list", "elements": "str", "default": []},
    "cursor": {"type": "dict", "default": {}},
    "slice_seconds": {"type": "int", "default": 2},
    "expired": {"type": "bool", "default": False},
}
RESULT = "clean.images"
POLL_SECONDS = 0.3


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    guarded(module, lambda: work(module), id=RESULT)


def work(module: AnsibleModule) -> None:
    arguments, client, answer = module.params, Client(), Answer(cursor=module.params["cursor"])
    cursor = {"since": time.time(), "name": f"image-cleaning-{os.urandom(4).hex()}", **arguments["cursor"]}
    if not module.check_mode:
        hold(module, client, answer, cursor)
    try:
        found = image_cleaning.clean(client, arguments["named"], dry=module.check_mode)
    finally:
        if not module.check_mode:
            lock.release(client, cursor["name"])
    answer.facts["images_cleaned"] = {"node": os.uname().nodename, **found}
    answer.leave(module, changed=bool(found["removed"]) and not module.check_mode)


def hold(module: AnsibleModule, client: Client, answer: Answer, cursor: dict) -> None:
    """Takes the lock, or ends this slice."""
    arguments, here = module.params, processes.identity()
    left = cursor["since"] + arguments["wait"] - time.time()
    deadline = time.monotonic() + min(arguments["slice_seconds"], max(left, 0))
    while True:
        attempt = lock.acquire(
            client, cursor["name"], arguments["holder"] or here, lock.DEFAULT_LEASE, gone=arguments["gone"], here=here,
            reenter=True,
        )  # fmt: skip
        if attempt.held:
            return
        if time.monotonic() >= deadline:
            break
        time.sleep(POLL_SECONDS)
    told = lock.described(attempt)
    if left > 0 and not arguments["expired"]:
        other = attempt.other
        answer.slice(module, {**cursor, "holders": {other.run: other.holder}}, f"waiting: {told}")
    answer.result(
        RESULT, "error", expected=f"no run on the node within {arguments['wait']} s", observed=told,
        hint="Images are removed between runs only: try again when that run has ended",
    )  # fmt: skip
    answer.leave(module, operation=[RESULT])


if __name__ == "__main__":
    main()
