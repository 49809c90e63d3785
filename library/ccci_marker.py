#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_marker
short_description: Write the marker of a run, or judge what a restore made of it
description:
  - The marker is a random value that must survive the upgrade, and that a restore must bring back.
  - V(seeded) writes a fresh one and makes sure that the check can say no before it says yes.
  - V(judged) looks for the value that was backed up, then whether the data can be written again. Writes are retried for
    90 seconds, each failed try is in the evidence.
options:
  state:
    description: What to do.
    type: str
    choices: [seeded, judged]
    required: true
  id:
    description: The id of the result of V(seeded).
    type: str
    default: upgrade.marker_seeded
  scope:
    description: What belongs to the run on the node (see docs/architecture.md).
    type: dict
    required: true
  marker:
    description: The marker of plan.json, of kind V(file), V(postgres), V(mysql), V(sqlite) or V(none).
    type: dict
    required: true
attributes:
  check_mode:
    support: none
    description: A marker that was not written could not be judged later.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Write the marker
  ccci_marker:
    state: seeded
    scope: "{{ ccci_scope }}"
    marker: {kind: file, service: app, path: /usr/share/nginx/html/.ccci-marker}
"""

RETURN = r"""
ccci:
  description: The results as docs/architecture.md has them; O(id) when seeded, C(restore.marker_back) and
    C(restore.write_ready) when judged.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import lock, marker, restore, state
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client
from ansible.module_utils.ccci_host.marker_stores import Misplaced

ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["seeded", "judged"], "required": True},
    "id": {"type": "str", "default": "upgrade.marker_seeded"},
    "scope": {"type": "dict", "required": True},
    "marker": {"type": "dict", "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=False)
    arguments = module.params
    scope, settings = arguments["scope"], arguments["marker"]
    first_id = arguments["id"] if arguments["state"] == "seeded" else "restore.marker_back"

    def work() -> None:
        client, answer = Client(), Answer()
        lock.renew(client, scope)
        try:
            judge(client, answer)
        except Misplaced as error:
            answer.result(first_id, "fail", observed=str(error), hint="Correct `marker` in the recipe's recipe.yml")
        answer.leave(module, operation=[first_id] if arguments["state"] == "seeded" else [], changed=True)

    def judge(client: Client, answer: Answer) -> None:
        if arguments["state"] == "seeded":
            with answer.waiting("docker"):
                marker.report(answer, first_id, marker.seed(client, scope, settings))
        elif settings.get("kind") == "none":
            answer.result("restore.write_ready", "skip", evidence=settings.get("reason") or "no service keeps data")
        else:
            with answer.waiting("docker"):
                lost = restore.lost_why(state.load(scope), settings)
                verdict = marker.compare(client, scope, settings)
                hint = restore.HINTS.get(lost or "", "")
                marker.report(answer, first_id, verdict, unlike="fail", failure_id=lost, hint=hint)
                marker.report(answer, "restore.write_ready", marker.write_ready(client, scope, settings), unlike="fail")

    guarded(module, work, id=first_id)


if __name__ == "__main__":
    main()
