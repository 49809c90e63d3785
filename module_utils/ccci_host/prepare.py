"""Before anything is deployed: the checkout, abra's folders, and a judgement of both sides' compose files.

A recipe's files are data here: they are read out of git as blobs, nothing of them is run.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import bounded, checkout, node, policy
from .abra_call import abra_dir
from .answer import Answer, counted
from .checkout import Tree
from .compose import ComposeError
from .docker import Client
from .policy import Finding, Port
from .sides import OVERLAY, Side, Wishes, env_before_upgrade, read_side, sample_of, undefined_dependencies
from .traefik_labels import app_of

VALID, POLICY = OPERATIONS = ("prepare.compose_valid", "prepare.policy")
TRUSTED_KINDS = (
    "main",
    "version",
)  # what the recipe's own maintainers have given out; everything else may be a stranger's
LISTEN, UDP_BOUND, EPHEMERAL = "0A", "07", 32768


@dataclass(frozen=True)
class Order:
    """What is prepared. `base` is None when no version was ever published; `overlay` is a text, `inside` as the plan
    has it; `nodes` is how many the swarm has. Without files of its own the head has those of the base."""

    scope: Mapping[str, Any]
    bundle: str
    base: Mapping[str, Any] | None
    head: Mapping[str, Any]
    env: Mapping[str, str]
    env_from_upgrade: Mapping[str, str]
    compose_files: Sequence[str] | None
    overlay: str | None
    policy: Mapping[str, Any]
    inside: Mapping[str, Any] | None = None
    compose_files_from_upgrade: Sequence[str] | None = None
    nodes: int = 1

    @property
    def wishes(self) -> Wishes:
        return Wishes(
            domain=str(self.scope["domain"]), stack=str(self.scope["stack"]), env=self.env,
            compose_files=self.compose_files, overlay=self.overlay, ipvs=node.has_ipvs(),
            inside=node.inside_of(self.inside),
        )  # fmt: skip


@dataclass(frozen=True)
class Sides:
    """`head` is the head as the upgrade meets it, `fresh` as a first deploy of it would."""

    base: Side | None
    head: Side
    fresh: Side

    def images(self) -> dict[str, list[str]]:
        base = self.base.deployed.images if self.base else []
        return {"base": base, "head": list(dict.fromkeys([*self.head.deployed.images, *self.fresh.deployed.images]))}


def recipe_folder(scope: Mapping[str, Any]) -> Path:
    """The checkout. Deps of one recipe share it: they are all at its newest version."""
    return Path(abra_dir(scope)) / "recipes" / str(scope["recipe"])


def overlay_file(scope: Mapping[str, Any]) -> Path:
    return Path(str(scope["node_dir"])) / "overlays" / str(scope["stack"]) / OVERLAY


def prepare(order: Order, taken: Mapping[Port, str], answer: Answer, dry: bool = False) -> None:
    """Makes the run's folders and judges. `taken`: what `ports_in_use` says; `dry`: from a clone that is gone then."""
    if dry:
        with tempfile.TemporaryDirectory(prefix="ccci-prepare-") as folder:
            checkout.clone(order.bundle, f"{folder}/recipe")
            _judge(order, taken, Path(folder) / "recipe", answer)
        return
    bundle = Path(str(order.scope["node_dir"])) / "bundles" / f"{order.scope['recipe']}.bundle"
    bundle.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(order.bundle, bundle)
    target = recipe_folder(order.scope)
    shutil.rmtree(target, ignore_errors=True)  # of a try that was broken off
    checkout.clone(str(bundle), str(target))
    if _judge(order, taken, target, answer):
        _make_abra_dir(order, target)


def _make_abra_dir(order: Order, folder: Path) -> None:
    root = Path(abra_dir(order.scope))
    (root / "servers" / str(order.scope.get("server", "default"))).mkdir(parents=True, exist_ok=True)
    (root / "catalogue").mkdir(exist_ok=True)
    (root / "catalogue" / "recipes.json").write_text(
        "{}\n"
    )  # abra reads versions from the tags; it only wants the file
    if order.overlay is not None:
        overlay_file(order.scope).parent.mkdir(parents=True, exist_ok=True)
        overlay_file(order.scope).write_text(order.overlay)
    checkout.check_out(str(folder), str((order.base or order.head)["commit"]))


def _judge(order: Order, taken: Mapping[Port, str], folder: Path, answer: Answer) -> bool:
    side = "base"
    try:
        base = Tree(str(folder), str(order.base["commit"])) if order.base else None
        side = "head"
        head = Tree(str(folder), str(order.head["commit"]))
    except bounded.TooMuch as error:
        answer.result(
            VALID, "fail", expected="a recipe whose files can be listed and checked out", observed=f"{side}: {error}"
        )
        return False
    outside = [*_outside(base, "base"), *_outside(head, "head")]
    sides = None if outside else _read_sides(order, base, head, answer)
    if outside:  # such a tree is not looked into any further
        answer.result(VALID, "skip", evidence="the recipe has links that lead out of it: see prepare.policy")
        _refused(answer, outside, ())
        return False
    if sides is None:
        return False
    answer.facts["images"] = sides.images()
    return judge_policy(order, sides, taken, answer)


def _outside(tree: Tree | None, side: str) -> list[Finding]:
    found = tree.escapes() if tree else []
    return [Finding("file-outside", f"the {side} has a link to {one.target}", one.path, 1) for one in found]


def _read_sides(order: Order, base: Tree | None, head: Tree, answer: Answer) -> Sides | None:
    """Both sides, or None after a result that says what is wrong with which."""
    wishes = order.wishes
    later = replace(
        wishes, env={**wishes.env, **order.env_from_upgrade},
        compose_files=order.compose_files_from_upgrade or order.compose_files,
    )  # fmt: skip
    side, label = "base", str((order.base or {}).get("version") or "base")
    try:
        read_base = read_side(base, sample_of(base), wishes) if base is not None else None
        side, label = "head", str(order.head.get("label") or "head")
        fresh = read_side(head, sample_of(head), later)
        upgraded = read_side(head, env_before_upgrade(base, head), later) if base is not None else fresh
    except bounded.TooMuch as error:
        answer.result(VALID, "fail", expected="compose files of a sensible size", observed=f"{side} ({label}): {error}")
        return None
    except ComposeError as error:
        own = order.overlay is not None and error.file.startswith(OVERLAY.removesuffix(".yml"))
        answer.result(
            VALID, "error" if own else "fail", expected="compose files that Docker takes",
            observed=f"{side} ({label}): {error}",
            hint="This file belongs to the recipe's tests" if own else f"Correct {error.file} in line {error.line}",
        )  # fmt: skip
        return None
    found = Sides(read_base, upgraded, fresh)
    named = (("head", upgraded), ("head", fresh), ("base", read_base))
    twice = next(((name, *one) for name, side in named if side for one in _twice(side, order.nodes)), None)
    if twice is not None:
        name, service, words = twice
        answer.result(
            VALID, "fail", expected="no port of the node is published twice", observed=f"{name}: {words}",
            service=service, failure_id="port-taken", hint="Let one of the two have another port, or none",
        )  # fmt: skip
        return None
    told = [f"{name}: {', '.join(one.files)} with {counted(len(one.deployed.services), 'service')}"
            for name, one in (("base", read_base), ("head", upgraded)) if one]  # fmt: skip
    notes = [f"{name}: {note}" for name, one in (("base", read_base), ("head", upgraded), ("head", fresh)) if one
             for note in undefined_dependencies(one.deployed)]  # fmt: skip
    answer.result(
        VALID, "pass", expected="compose files that Docker takes", observed="; ".join(told),
        evidence="\n".join(dict.fromkeys(notes)) or None,
    )  # fmt: skip
    return found


def judge_policy(order: Order, sides: Sides, taken: Mapping[Port, str], answer: Answer) -> bool:
    """The result prepare.policy. Pure, but that it looks whether mounted paths of the node exist."""
    rules = list(order.policy.get("allow") or [])
    unknown = policy.unknown_rules(rules)
    if unknown:
        answer.result(
            POLICY, "error", expected=f"rules that can be allowed: {', '.join(policy.ALLOWABLE)}",
            observed=", ".join(unknown), hint="Correct ccci_compose_allow in the inventory",
        )  # fmt: skip
        return False
    base = sides.base.recipe if sides.base else None
    app = app_of(str(order.scope["stack"]), str(order.scope["domain"]), {**order.env, **order.env_from_upgrade})
    # Without the upgrade tier it is the fresh head that is deployed, with values that the upgraded one never has.
    verdicts = [
        policy.judge(
            base, head.recipe, app=app, mode=str(order.policy.get("mode") or "strict"), allow=rules, taken=taken,
            published=order.head.get("kind") in TRUSTED_KINDS,
        )
        for head in (sides.head, sides.fresh)
    ]  # fmt: skip
    verdict = policy.Verdict(
        tuple(dict.fromkeys(finding for one in verdicts for finding in one.refused)),
        tuple(dict.fromkeys(finding for one in verdicts for finding in one.noted)),
    )
    if verdict.refused:
        _refused(answer, verdict.refused, verdict.noted)
        return False
    return _node_has(sides, taken, answer) and _accepted(answer, verdict.noted, sides.base is not None)


def _refused(answer: Answer, refused: Sequence[Finding], noted: Sequence[Finding]) -> None:
    answer.result(
        POLICY, "fail", expected="nothing new that reaches beyond the app's own stack",
        observed="; ".join(map(str, refused)),
        evidence="\n".join([*(f"{one}. {policy.RULES[one.rule]}." for one in refused),
                            *(f"allowed: {one}" for one in noted)]),
        hint="The inventory's ccci_compose_allow can let rules through for a recipe"
             if any(one.rule not in policy.NEVER for one in refused) else "This can never be let through",
        failure_id="port-taken" if {one.rule for one in refused} == {"port-taken"} else None,
    )  # fmt: skip


def _accepted(answer: Answer, noted: Sequence[Finding], has_base: bool) -> bool:
    answer.result(
        POLICY, "pass", expected="nothing new that reaches beyond the app's own stack",
        observed=f"{len(noted)} allowed" if noted else "nothing new" if has_base else "nothing",
        evidence="\n".join(f"allowed: {one}" for one in noted) or None,
    )  # fmt: skip
    return True


def _node_has(sides: Sides, taken: Mapping[Port, str], answer: Answer) -> bool:
    """What the recipe may ask for, but this node cannot give: the node's fault, all of it said before the deploy."""
    ports, mounts, services = list[str](), list[str](), list[str]()
    for side in (sides.base, sides.head, sides.fresh):
        if side is None:
            continue
        ports += [f"{_place(side, demand.path)}: {demand.detail}" for demand in policy.collisions(side.recipe, taken)]
        for service, source, path in policy.bind_sources(side.recipe):
            if not Path(source).exists():
                services.append(service)
                mounts.append(f"{_place(side, path)}: service {service} mounts {source}, which this node does not have")
    if not ports and not mounts:
        return True
    expected = ["free ports"] if ports else []
    hints = ["Free the port on the node, or play the recipe on another one"] if ports else []
    if mounts:
        expected.append("every path of the node that a service mounts")
        hints.append("`ccci bootstrap` makes /etc/timezone and /etc/localtime; other paths are the operator's")
    answer.result(
        POLICY, "error", expected="; ".join(expected), observed="; ".join(dict.fromkeys(ports + mounts)),
        service=services[0] if services else None, failure_id="missing-bind-source" if mounts else "port-taken",
        hint="; ".join(hints),
    )  # fmt: skip
    return False


def _twice(side: Side, nodes: int) -> Iterator[tuple[str, str]]:
    """(service, words) for every port that one stack asks for twice: no node can give it, whatever else runs there."""
    for one in policy.published_twice(side.recipe, nodes):
        port = f"{one.port[0]}/{one.port[1]}"
        first = f"service {one.others}" if one.others != one.service else "the same service"
        words = f"service {one.service} publishes port {port}, which {first} publishes as well"
        yield one.service, f"{_place(side, one.path)}: {words} ({_place(side, one.others_path)})"


def _place(side: Side, path: policy.Path) -> str:
    return "{}:{}".format(*side.recipe.line_of(path))


def ports_in_use(client: Client, own_stack: str) -> dict[Port, str]:
    """Who has which port of the node: other services, containers, and processes that listen."""
    found: dict[Port, str] = {}
    for name in ("tcp", "tcp6", "udp", "udp6"):
        found.update(dict.fromkeys(_listened(name), "a process on the node"))
    for container in client.get("/containers/json"):
        for port in container.get("Ports") or []:
            if port.get("PublicPort"):
                found[(port["PublicPort"], port["Type"])] = f"container {container['Names'][0].lstrip('/')}"
    for service in client.get("/services"):
        for port in (service.get("Endpoint") or {}).get("Ports") or []:
            if port.get("PublishedPort") and not service["Spec"]["Name"].startswith(f"{own_stack}_"):
                found[(port["PublishedPort"], port["Protocol"])] = f"service {service['Spec']['Name']}"
    return found


def _listened(table: str) -> Iterator[Port]:
    """From /proc/net: `  0: 0100007F:1388 00000000:0000 0A …`. High UDP ports are clients waiting for an answer."""
    try:
        lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    except OSError:
        return
    protocol = table.removesuffix("6")
    for line in lines:
        fields = line.split()
        port, state = int(fields[1].rpartition(":")[2], 16), fields[3]
        if state == LISTEN or (protocol == "udp" and state == UDP_BOUND and port < EPHEMERAL):
            yield port, protocol
