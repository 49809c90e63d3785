#!/usr/bin/python3
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_assert_upgrade
short_description: Judge what an upgrade in place changed and what it kept
description:
  - Compares the stack with what was written down before the upgrade.
  - The commit under test runs, the update was completed without a rollback, volumes and secrets are the same objects,
    and the marker is still there. Whether images changed is said, and is never a failure.
options:
  scope:
    description: What belongs to the run on the node (see docs/architecture.md).
    type: dict
    required: true
  commit:
    description: The commit that must run, in full.
    type: str
    required: true
  marker:
    description: The marker of plan.json. Of kind V(none) or V(api) nothing is judged here.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: It only looks.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Assert identity, volumes, secrets and the marker
  ccci_assert_upgrade:
    scope: "{{ ccci_scope }}"
    commit: "{{ ccci_plan.head.commit }}"
    marker: "{{ ccci_plan.marker }}"
"""

RETURN = r"""
ccci:
  description: The results C(upgrade.commit), C(upgrade.images_changed), C(upgrade.update_completed),
    C(upgrade.volumes_kept), C(upgrade.secrets_kept) and C(upgrade.marker_survived).
  returned: always
  type: dict
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host import lock, marker, state, upgrade_checks, watch
from ansible.module_utils.ccci_host.answer import Answer, guarded
from ansible.module_utils.ccci_host.docker import Client, service_name
from ansible.module_utils.ccci_host.snapshot import read

ARGUMENT_SPEC = {
    "scope": {"type": "dict", "required": True},
    "commit": {"type": "str", "required": True},
    "marker": {"type": "dict", "default": {}},
}
IDS = ("commit", "images_changed", "update_completed", "volumes_kept", "secrets_kept")


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    arguments = module.params
    scope, stack = arguments["scope"], arguments["scope"]["stack"]

    def work() -> None:
        client, answer = Client(), Answer("upgrade")
        lock.renew(client, scope)
        before = state.load(scope).get("before_upgrade")
        if before is None:
            for id in IDS:
                answer.result(id, "error", observed="nothing was written down before the upgrade",
                              hint="play the upgrade's deploy and this judgement in one run")  # fmt: skip
        else:
            frame = watch.frame(client, stack)
            labels = {service_name(one, stack): one["Spec"].get("Labels") or {} for one in frame["services"]}
            judgements = upgrade_checks.judge(
                before, upgrade_checks.observe(client, stack), stack, arguments["commit"], labels,
                read(frame, stack).services, time.time(),
            )  # fmt: skip
            for one in judgements:
                answer.result(one.id, "pass" if one.ok else "fail", expected=one.expected, observed=one.observed,
                              service=one.service, hint=one.hint)  # fmt: skip
        if arguments["marker"].get("kind", "none") not in ("none", "api"):
            with answer.waiting("docker"):
                verdict = marker.compare(client, scope, arguments["marker"])
            answer.result(
                "marker_survived", "pass" if verdict.ok else "fail", expected=verdict.expected,
                observed=verdict.observed if verdict.ok else f"marker lost: {verdict.observed}",
                evidence=verdict.evidence, hint=verdict.hint or None,
            )  # fmt: skip
        answer.leave(module)

    guarded(module, work)


if __name__ == "__main__":
    main()
