"""Whose word counts when a backup is to be judged."""

from __future__ import annotations

from ccci.plan.markers import choose_marker
from ccci.plan.stack import Mount, Service, Stack, trusted_labels

TWO_VOLUMES = Stack((Service("app", mounts=(Mount("content", "/content"), Mount("cache", "/cache"))),))
BASE = {"app": {"backupbot.backup": "true"}}


def test_a_head_cannot_move_the_marker_out_of_a_volume_that_it_leaves_out():
    head = {"app": {"backupbot.backup": "true", "backupbot.backup.volumes.content": "false"}}
    marker = choose_marker(TWO_VOLUMES, trusted_labels(BASE, head))
    assert (marker.kind, marker.fields["volume"]) == ("file", "content")


def test_a_head_that_drops_every_label_is_judged_by_the_base():
    assert trusted_labels(BASE, {}) == BASE


def test_a_head_may_add_a_dump():
    dump = {"db": {"backupbot.backup.pre-hook": "dump"}}
    assert trusted_labels(BASE, dump) == {**BASE, **dump}


def test_without_a_backup_in_the_base_the_heads_labels_are_all_there_is():
    head = {"app": {"backupbot.backup": "true", "backupbot.backup.volumes.cache": "false"}}
    assert trusted_labels({}, head) == head
