"""The domain of a run: short, of fixed length, and the same for the same recipe, ref, pull request and parent. Pure."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

from ccci.errors import UsageError

LONGEST_STACK = 45  # abra cuts longer names, and two cut names could be one


def app_prefix(recipe: str, label: str, pr: int | None, parent: str = "") -> str:
    """`cust-c12afe`: four letters of the recipe and six hex digits of what tells this run from others.

    `label` names the ref without its commit, so that every push to a pull request plays on the same domain.
    """
    letters = (re.sub(r"[^a-z0-9]", "", recipe.lower()) + "xxxx")[:4]
    identity = "\n".join((recipe, label, str(pr or ""), parent))
    return f"{letters}-{hashlib.sha256(identity.encode()).hexdigest()[:6]}"


def app_domain(prefix: str, wildcard: str) -> str:
    """`wildcard` is the domain below which every name points to the node; a leading `*.` is fine."""
    return f"{prefix}.{wildcard.removeprefix('*').strip('.').lower()}"


def stack_name(domain: str) -> str:
    """abra's rule. UsageError when it gets too long for swarm object names."""
    stack = domain.replace(".", "_")
    if len(stack) > LONGEST_STACK:
        raise UsageError(
            f"The domain {domain} makes a stack name of {len(stack)} characters",
            expected=f"at most {LONGEST_STACK}",
            next_step="Give the inventory a shorter ccci_wildcard_domain",
        )
    return stack


def run_id(created: datetime, prefix: str) -> str:
    """`20261124-162501-cust-c12afe`; `created` in UTC."""
    return f"{created:%Y%m%d-%H%M%S}-{prefix}"
