"""Whatever ends a run, the node is afterwards what it was before. Three moments here; all of them in `make soak`."""

from __future__ import annotations

import signal

import killing
import pytest
from playing import Node, Player

pytestmark = pytest.mark.nested
END_LIMIT = 120.0  # seconds from the end of a play to the end of its cleaning


@pytest.mark.parametrize("tier", ["install", "backup"])
def test_kill_9_of_the_command_line_then_clean(player: Player, node: Node, tier: str):
    before = node.objects()
    killing.kill_command_line(killing.play_until(player, tier))
    assert node.objects() != before, "the kill came too late to prove anything"
    killing.clean_and_compare(player, node, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_and_takes_it_away(player: Player, node: Node, number: signal.Signals):
    before = node.objects()
    command = killing.play_until(player, "upgrade")
    command.process.send_signal(number)
    played = command.end(END_LIMIT)
    assert played.code == 130, played.out + played.err
    assert node.objects() == before
    assert played.json["verdict"] == "interrupted"


def test_kill_9_of_ansible_is_no_pass_and_leaves_nothing(player: Player, node: Node):
    before = node.objects()
    command = killing.play_until(player, "upgrade")
    assert killing.kill_ansible(command), "no ansible-playbook below the command line"
    played = command.end(END_LIMIT)
    assert played.code == 3, played.out + played.err
    assert node.objects() == before


def test_the_next_play_takes_a_dead_run_away(player: Player, node: Node):
    before = node.objects()
    killing.kill_command_line(killing.play_until(player, "restore"))
    played = player.play("custom-html", "--pr", "7")
    assert (played.code, played.json["verdict"]) == (0, "pass"), played.err
    assert node.objects() == before
