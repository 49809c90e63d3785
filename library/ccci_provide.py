#!/usr/bin/python
# GNU General Public License v3.0 or later: see LICENSE
from __future__ import annotations

DOCUMENTATION = r"""
module: ccci_provide
short_description: Ask a dep's provider for what its parent needs
description:
  - Calls C(provide(app, wants)) of a file of the provider's folder, in a process of its own on the controller. C(app)
    is what the fixture of that name is in tests, for the dep; besides it has C(hide(name, value)), for secrets that
    the function makes. C(wants) is what the parent asks for, and C(name), which all that is made for it is called.
  - The facts that the function returns must be of the kind's shape (C(src/ccci/schemas/provides)), and are compared
    with what the provider itself says. Only then they count.
  - They are kept in C(deps.json) of the run's folder, where nobody else can read them; none is shown.
  - To be called for a dep, with C(ccci_dep) and C(ccci_dep_plan). The function must be idempotent.
  - With the variable C(ccci_withdraw), a name, it calls C(withdraw(app, wants)) instead, which takes away what was made
    under that name in a provider that outlives the run.
options:
  kind:
    description: The kind of facts.
    type: str
    choices: [forge, postgres, s3, smtp, sso]
    required: true
  file:
    description: The Python file, on the controller.
    type: path
    required: true
  wants:
    description: What the parent asks for; the shape belongs to the kind.
    type: dict
    default: {}
  limit:
    description: Seconds.
    type: int
    default: 180
attributes:
  check_mode:
    support: none
    description: Whatever follows needs the facts.
author: ["ccci"]
"""

EXAMPLES = r"""
- name: Make a realm, a client and a user for the parent
  ccci_provide:
    kind: sso
    file: "{{ ccci_dep_plan.recipe.tests_dir }}/provides/sso.py"
    wants: "{{ ccci_dep_plan.wants }}"
"""

RETURN = r"""
ccci:
  description: One result as docs/architecture.md has it, C(<tier>.provided) or C(<tier>.withdrawn).
  returned: always
  type: dict
"""

# The action plugin of the same name does it all: there is nothing to do on a node.
