"""What the controller makes of a module that gave no answer."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure

from ccci.actions import _demand_node

# As Ansible 2.19 hands on what `docker exec` left.
GONE = {"failed": True, "rc": 1, "module_stdout": "", "msg": "MODULE FAILURE",
        "module_stderr": "Error response from daemon: Container 55c3b1 is not running"}  # fmt: skip
KILLED = {"failed": True, "rc": 137, "module_stdout": "", "module_stderr": "", "msg": "MODULE FAILURE"}


def test_a_node_that_went_away_is_unreachable_and_named() -> None:
    with pytest.raises(AnsibleConnectionFailure, match=r"the node went away during the run: .*55c3b1 is not running"):
        _demand_node(dict(GONE))
    with pytest.raises(AnsibleConnectionFailure, match="the node was restarted"):
        _demand_node(dict(KILLED))


@pytest.mark.parametrize(
    "answer",
    [
        {"ccci": {"results": []}},
        {"failed": True, "msg": "x", "ccci": {"results": []}, "rc": 137},  # it has spoken: that is its own word
        {"failed": True, "msg": "missing required arguments: scope"},
        {"failed": True, "rc": 1, "module_stderr": "Traceback (most recent call last): …", "msg": "MODULE FAILURE"},
    ],
)
def test_every_other_failure_stays_what_it_is(answer: dict[str, Any]) -> None:
    _demand_node(answer)
