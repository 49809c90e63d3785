#!/usr/bin/python
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_assert_browser
short_description: Judge an app in a real browser
description:
  - Runs on the controller (delegate it to C(ccci_controller)), with the distribution's Chromium.
  - With O(url) alone, the page must load. With O(steps), every step must succeed, in this order.
  - A page on which nothing was done yet is loaded again now and then while something is looked for. Every retry is in
    the evidence.
  - Errors in the page's console are counted as warnings in the evidence; they fail nothing.
options:
  id:
    description: The id of the result.
    type: str
    default: browser
  url:
    description: A page to load first.
    type: str
  steps:
    description:
      - Each one is a mapping with one key.
      - V(goto) an address; V(fill) C({selector, value}); V(press) C({selector, key}); V(click) a selector.
      - V(expect_text) a text that is shown, V(expect_selector) an element that is visible, in any frame.
      - V(frame) the name of a frame, or a part of its address, to which later steps are confined; C(main) ends that.
      - V(fresh_context) a browser without cookies and storage; V(screenshot) a path in the run's folder.
    type: list
    elements: dict
    default: []
  screenshot:
    description: Where to put a screenshot of the end, relative to O(run_dir).
    type: str
  retry_for:
    description: Seconds for all of it. Pages are loaded again, and elements waited for, until then.
    type: float
    default: 60
  ingress_address:
    description: Where to connect to, whatever a host resolves to.
    type: str
  spki_file:
    description: A file with the base64 SHA-256 of the ingress' public key, if no public authority vouches for it.
    type: str
  run_dir:
    description: The run's folder on the controller. Without it no screenshot is kept.
    type: str
attributes:
  check_mode:
    support: full
    description: Looks as usual.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Assert that a note survives in a fresh browser
  ccci_assert_browser:
    id: note
    url: "{{ ccci_url }}"
    steps:
      - fill: {selector: "input[name=title]", value: Shopping}
      - click: button[type=submit]
      - fresh_context: true
      - goto: "{{ ccci_url }}"
      - expect_text: Shopping
  delegate_to: ccci_controller
"""

RETURN = r"""
ccci:
  description: One result as docs/architecture.md has it, and the screenshots as artefacts.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ccci_host.answer import Answer

ARGUMENT_SPEC = {
    "id": {"type": "str", "default": "browser"},
    "url": {"type": "str"},
    "steps": {"type": "list", "elements": "dict", "default": []},
    "screenshot": {"type": "str"},
    "retry_for": {"type": "float", "default": 60.0},
    "ingress_address": {"type": "str"},
    "spki_file": {"type": "str"},
    "run_dir": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True, required_one_of=[("url", "steps")])
    from ansible.module_utils.ccci_probe import steps

    arguments = module.params
    story = [{"goto": arguments["url"]}] if arguments["url"] else []
    story += arguments["steps"]
    story += [{"screenshot": arguments["screenshot"]}] if arguments["screenshot"] else []
    wrong = steps.wrong_steps(story)
    if wrong:
        module.fail_json(msg=wrong)
    answer = Answer()
    expected = "the page loads" if not arguments["steps"] else f"{len(story)} steps succeed"

    def play(chromium: object, deadline: float) -> steps.Story:
        return steps.Stage(chromium, arguments["run_dir"], deadline, arguments["id"]).play(story)

    steps.judge(answer, arguments, expected, play)
    answer.leave(module)


if __name__ == "__main__":
    main()
