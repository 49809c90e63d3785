"""One side of an upgrade as it will be deployed: its `.env`, its compose files with our overlays, the stack they make.

`prepare` reads both sides ahead of time and `app` writes them down, both through here, so that what was judged and
pulled is what gets deployed. Pure, but for the tree that reads its files from git.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import env_file
from .checkout import Tree
from .compose import ComposeError, Stack, abra_exports, check_raw, parse_env, read_stack
from .compose_yaml import load
from .node import BUNDLE_NAME, Inside, overlay_for_node
from .node import OVERLAY_NAME as NODE_OVERLAY

SAMPLE = ".env.sample"
OVERLAY = "compose.ccci.yml"


@dataclass(frozen=True)
class Wishes:
    """What the recipe settings ask of a side. `overlay` is the text of compose.ccci.yml of the recipe's tests."""

    domain: str
    stack: str
    env: Mapping[str, str] = field(default_factory=dict)
    compose_files: Sequence[str] | None = None
    overlay: str | None = None
    timeout: int | None = None  # seconds, for TIMEOUT
    ipvs: bool = True
    inside: Inside | None = None


@dataclass(frozen=True)
class Side:
    """`recipe` is the stack of the recipe's own files, `deployed` the one with our overlays (`{file name: text}`).
    `others` are files of ours that these need beside them."""

    commit: str
    env_text: str
    env: Mapping[str, str]
    files: Sequence[str]
    overlays: Mapping[str, str]
    recipe: Stack
    deployed: Stack
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def placed(self) -> dict[str, str]:
        """Every file of ours in the checkout."""
        return {**self.overlays, **self.others}


def sample_of(tree: Tree) -> str:
    if SAMPLE not in tree:
        raise ComposeError(SAMPLE, 1, "is missing, and abra takes no recipe without it")
    return tree[SAMPLE]


def env_before_upgrade(base: Tree | None, head: Tree) -> str:
    """The .env that the head meets: a fresh copy of its sample, or that of the base with what is new in the head's."""
    sample = sample_of(head)
    return env_file.with_new_keys(sample_of(base), sample) if base is not None else sample


def read_side(tree: Tree, own_text: str, wishes: Wishes) -> Side:
    """The side at a commit for an app whose .env is `own_text`. ComposeError with file and line for what is wrong."""
    raw = [path for path in tree if _is_compose(path)]
    tree.read([*raw, SAMPLE, "abra.sh"])
    check_raw({path: tree[path] for path in raw})
    files = env_file.compose_files(parse_env(sample_of(tree), SAMPLE), wishes.env, wishes.compose_files)
    _, env, recipe = _read(tree, own_text, files, wishes)
    _check_sources(recipe, tree)
    overlays: dict[str, str] = {}
    deployed = recipe
    if wishes.overlay is not None:
        overlays[tree.free_name(OVERLAY)] = wishes.overlay
        _, env, deployed = _read(tree.with_files(overlays), own_text, [*files, *overlays], wishes)
    version = load(tree[files[0]], files[0]).get("version")
    bundle = tree.free_name(BUNDLE_NAME)
    for_node = overlay_for_node(deployed, wishes.ipvs, str(version) if version else None, wishes.inside, bundle)
    if for_node is not None:
        overlays[tree.free_name(NODE_OVERLAY)] = for_node
    text, env, deployed = _read(tree.with_files(overlays), own_text, [*files, *overlays], wishes)
    others = {bundle: wishes.inside.bundle} if wishes.inside else {}
    return Side(tree.commit, text, env, files, overlays, recipe, deployed, others)


def undefined_dependencies(stack: Stack) -> list[str]:
    """`depends_on` that names no service, each with its place. Swarm ignores the key; other tools stop at it, and then
    do not even list the images."""
    return [
        "{}:{}: bad-depends-on: service {} depends on undefined service {!r}; swarm ignores it".format(
            *stack.line_of(("services", service.name, "depends_on", index)), service.name, needed
        )
        for service in stack.services.values()
        for index, needed in enumerate(service.raw.get("depends_on") or [])
        if needed not in stack.services
    ]


def _is_compose(path: str) -> bool:
    return path.rpartition("/")[2].startswith("compose") and path.endswith((".yml", ".yaml"))


def _read(tree: Tree, own_text: str, files: Sequence[str], wishes: Wishes) -> tuple[str, dict[str, str], Stack]:
    values = env_file.our_values(wishes.domain, wishes.stack, wishes.env, files, wishes.timeout)
    text = env_file.with_block(own_text, {**env_file.silenced(own_text), **values})
    exports = abra_exports(tree["abra.sh"]) if "abra.sh" in tree else {}
    env = {**parse_env(text), **exports, "STACK_NAME": wishes.stack}
    return text, env, read_stack(tree, files, env)


def _check_sources(stack: Stack, tree: Tree) -> None:
    """Docker says only at the deploy that a config's file is not there, and names no line."""
    for kind in ("configs", "secrets"):
        parts: Mapping[str, Any] = getattr(stack, kind)
        for name, one in parts.items():
            file = str(one.get("file") or "")
            # A path that leads out of the recipe is the policy's business.
            if file and not file.startswith(("/", "~", "../")) and file not in tree:
                what = f"{kind}.{name} needs the file {file}, which the recipe does not have"
                raise ComposeError(*stack.line_of((kind, name, "file")), what)
