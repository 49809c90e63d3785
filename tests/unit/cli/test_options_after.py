"""What may follow `--` in `ccci play`: nothing that would make the plan untrue, however it is spelt."""

from __future__ import annotations

import pytest

from ccci.errors import UsageError
from ccci.run import refuse_own_options


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["-v"],
        ["-vvvv", "--diff", "-D"],
        ["--forks", "5", "-T", "30"],
        ["--forks=5", "--timeout=30"],
        ["--private-key", "/keys/node", "-u", "root", "--become"],
        ["--ssh-common-args=-o ProxyJump=gate"],
    ],
)
def test_how_ansible_connects_and_speaks_may_be_said(words):
    refuse_own_options(words)


@pytest.mark.parametrize(
    "words",
    [
        ["-t", "custom"],
        ["-tcustom"],
        ["--tags=custom"],
        ["--tag", "custom"],  # argparse takes abbreviations
        ["--ta=custom"],
        ["--skip", "teardown"],
        ["--start-at-task", "x"],
        ["--step"],
        ["-e", "ccci_plan=x"],
        ["-eccci_plan=x"],
        ["--extra-vars=@file"],
        ["-i", "other"],
        ["-iother"],
        ["-l", "nobody"],
        ["-C"],
        ["--check"],
        ["--list-tasks"],
        ["-M", "/tmp"],
        ["-c", "local"],
        ["-vtcustom"],  # and short options glued together
        ["-Dtcustom"],
        ["-f5"],
        ["other.yml"],  # a second playbook
        ["--", "other.yml"],
        ["--forks", "-tcustom"],  # Ansible would not take that as the value
        ["--forks"],
        ["-D=x"],
        ["--diff=x"],
    ],
)
def test_everything_else_is_refused(words):
    with pytest.raises(UsageError, match="after --"):
        refuse_own_options(words)


def test_a_refusal_names_the_flag_of_ccci():
    with pytest.raises(UsageError, match="Give --tags to ccci itself"):
        refuse_own_options(["-tcustom"])
    with pytest.raises(UsageError, match="Variables belong into the inventory"):
        refuse_own_options(["-e", "x=1"])
