#!/usr/bin/python
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_api_marker
short_description: Write or judge a marker that only the app itself can keep
description:
  - For markers of kind V(api). Calls C(seed(app, value)), C(check(app, value)) and C(destroy(app, value)) of the
    recipe's C(marker.py), in a process of its own on the controller.
  - V(seeded) writes a fresh value, and makes sure that the check can say no before it says yes. V(survived) and
    V(present) look for it, V(present) writes another one when it is gone, so that the restore can be judged by itself.
  - V(changed) destroys it after the backup and writes another one. V(judged) wants the first back and the other gone,
    and then writes a third, for which an app has 90 seconds.
  - The values are in C(marker.json) of the run's folder.
options:
  state:
    description: What to do.
    type: str
    choices: [seeded, survived, present, changed, judged]
    required: true
  file:
    description: The recipe's marker.py, on the controller.
    type: path
    required: true
  lost:
    description: The failure id of a marker that a restore does not bring back.
    type: str
  limit:
    description: Seconds for all calls together.
    type: int
    default: 300
attributes:
  check_mode:
    support: none
    description: A marker that was not written could not be judged later.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Write the marker
  ccci_api_marker:
    state: seeded
    file: "{{ ccci_plan.marker.file }}"
"""

RETURN = r"""
ccci:
  description: The results as docs/architecture.md has them, with the ids that other kinds of markers have.
  returned: always
  type: dict
"""

# The action plugin of the same name does it all: there is nothing to do on a node.
