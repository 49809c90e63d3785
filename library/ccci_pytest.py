#!/usr/bin/python
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_pytest
short_description: Run a recipe's tests that are written in Python
description:
  - Runs on the controller (delegate it to C(ccci_controller)), in a process of its own with ccci's pytest plugin.
  - Each test function is one result, C(<recipe>.<function>). An expected test that did not report is never green.
  - A skipped test needs a reason.
options:
  files:
    description: The files, on the controller.
    type: list
    elements: path
    required: true
  expected_ids:
    description: The ids that must have a result.
    type: list
    elements: str
    required: true
  context:
    description: What the fixtures know about the app; see C(src/ccci/testing/context.py).
    type: dict
    required: true
  limit:
    description: Seconds for all tests together.
    type: int
    default: 600
attributes:
  check_mode:
    support: none
    description: Tests may change the app.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Run the tests that are pytest files
  ccci_pytest:
    files: [/srv/ccci/recipe_tests/custom-html/tests/test_page.py]
    expected_ids: [custom-html.test_page]
    context: {recipe: custom-html, domain: app.ci.test, url: "https://app.ci.test", stack: app_ci_test, version: null}
  delegate_to: ccci_controller
"""

RETURN = r"""
ccci:
  description: The results as docs/architecture.md has them, and screenshots as artefacts.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host.answer import Answer, cut

ARGUMENT_SPEC = {
    "files": {"type": "list", "elements": "path", "required": True},
    "expected_ids": {"type": "list", "elements": "str", "required": True},
    "context": {"type": "dict", "required": True},
    "limit": {"type": "int", "default": 600},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=False)
    from ansible.module_utils.ccci_probe import pytest_run

    arguments = module.params
    if not arguments["files"]:
        module.fail_json(msg="files is empty: there is nothing to run")
    answer = Answer()
    with answer.waiting("app"):
        done = pytest_run.run(arguments["files"], arguments["context"], arguments["limit"])
    results, answer.artefacts = pytest_run.judge(done, arguments["expected_ids"], arguments["limit"])
    answer.results = [{**one, "evidence": cut(one["evidence"])} if one.get("evidence") else one for one in results]
    answer.leave(module, changed=True)


if __name__ == "__main__":
    main()
