"""The tiers of a life, and what `--tags` and `--skip-tags` ask for. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ccci.errors import UsageError
from ccci.source.versions import nearest

TIERS = ("prepare", "install", "upgrade", "backup", "restore", "custom", "teardown")
CHOOSABLE = TIERS[1:-1]  # prepare and teardown always run
ALL = "all"


def run_tags(tags: Sequence[str], skip_tags: Sequence[str]) -> list[str]:
    """The tags for ansible-playbook: `["all"]`, or tiers in the order of the life. UsageError for what is no tier.

    `--skip-tags` becomes its complement, because Ansible's own would drop operations that other tiers need.
    """
    if tags and skip_tags:
        raise UsageError("--tags and --skip-tags do not go together", next_step="Name the tiers you want with --tags")
    for tag in (*tags, *skip_tags):
        if tag not in TIERS and (tag != ALL or tag in skip_tags):
            near = nearest(tag, TIERS)
            raise UsageError(
                f"{tag!r} is not a tier",
                expected=", ".join(CHOOSABLE),
                next_step=f"Did you mean {near[0]}?" if near else "",
            )
    always = set(skip_tags) - set(CHOOSABLE)
    if always:
        raise UsageError(f"{' and '.join(sorted(always))} cannot be skipped", expected=", ".join(CHOOSABLE))
    if skip_tags:
        rest = [tier for tier in CHOOSABLE if tier not in skip_tags]
        return rest or ["prepare"]
    if not tags or ALL in tags:
        return [ALL]
    return [tier for tier in TIERS if tier in tags]


def requested(tags: Sequence[str]) -> tuple[str, ...]:
    """The tiers whose verdict is wanted, from the tags of a run."""
    return TIERS if ALL in tags else tuple(tier for tier in TIERS if tier in tags or tier not in CHOOSABLE)
