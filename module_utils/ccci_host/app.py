"""The app's deploys through abra: made once at its first version, then redeployed in place at the commit under test.

The calls and their order are those of the reference sequence for abra 0.10 and later. abra's own wait for convergence
is off: the watcher sees more, and sooner.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import checkout, node, resources, state, upgrade_checks, warm
from .abra_call import AbraError, Done, abra, abra_dir, fatal_words, is_nodes_fault, shown
from .answer import Answer, counted
from .app_secrets import NoValue, provide, steps
from .checkout import Tree
from .compose import ComposeError, parse_env_sample, secrets_of
from .docker import Client
from .env_file import with_new_keys
from .prepare import overlay_file, recipe_folder
from .sides import Side, Wishes, read_side, sample_of

VERSION_LIMIT = 20  # seconds
HINTS = {
    "secret not inserted": "Describe the secret in recipe.yml: secrets: {NAME: {hex: 32}}",
    "secret not generated": "Its version variable must be in .env.sample: SECRET_NAME_VERSION=v1",
    "only updates to labels are allowed": "A config's file changed, but not its version: raise NAME_VERSION in abra.sh",
    "r014": "Publish the version with an annotated tag (git tag -a)",
    "config not found": "Declare it in the compose file, so that the deploy makes it",
    "secret not found": "Its version variable must be in .env.sample: SECRET_NAME_VERSION=v1",
}
# What `docker stack deploy` says of a service that names an object which nobody made.
NOT_FOUND = re.compile(r"(?:service (\S+): )?\b(?:secret|config|network) not found: ", re.IGNORECASE)


class StepFailed(Exception):  # noqa: N818 - says what happened
    """A call of abra that ended badly: which, and abra's words."""

    def __init__(self, argv: Sequence[str], words: str, evidence: str) -> None:
        super().__init__(words)
        self.step = " ".join(argv[:3])
        self.words = words
        self.evidence = evidence


@dataclass(frozen=True)
class Order:
    """One deploy. `version` is the published version of `commit`, if it has one; `limit` is in seconds. `secret_values`
    {name: value} are those of `secrets` that come from a dep; `inside` is as the plan has it."""

    scope: Mapping[str, Any]
    tier: str
    commit: str
    version: str | None
    chaos: bool
    env: Mapping[str, str]
    compose_files: Sequence[str] | None
    secrets: Mapping[str, Mapping[str, Any]]
    limit: int
    secret_values: Mapping[str, str] = field(default_factory=dict, repr=False)
    inside: Mapping[str, Any] | None = None

    @property
    def domain(self) -> str:
        return str(self.scope["domain"])

    @property
    def stack(self) -> str:
        return str(self.scope["stack"])

    @property
    def server(self) -> str:
        return str(self.scope.get("server", "default"))

    @property
    def env_path(self) -> Path:
        return Path(abra_dir(self.scope)) / "servers" / self.server / f"{self.domain}.env"

    @property
    def id(self) -> str:
        return f"{self.tier}.deploy"


class Deployer:
    """Carries out one order and writes its one result into the answer."""

    def __init__(self, client: Client, order: Order, answer: Answer) -> None:
        self.client = client
        self.order = order
        self.answer = answer
        self.folder = str(recipe_folder(order.scope))
        self.deadline = time.monotonic() + order.limit

    def deployed(self) -> None:
        """The app's first and only deploy."""
        self._judged(self._deployed)

    def upgraded(self) -> None:
        """The same app, in place, at another commit; what it was before is written down first."""
        self._judged(self._upgraded)

    def _deployed(self) -> str:
        order = self.order
        version = abra(order.scope, ["--version"], limit=VERSION_LIMIT)
        self.answer.facts["abra"] = version.output.strip().removeprefix("abra version ")
        tree = Tree(self.folder, order.commit)
        checkout.check_out(self.folder, order.commit)
        side = self._side(tree, sample_of(tree))  # said here with file and line, before abra says it without
        chaos = order.chaos or not order.version or bool(side.overlays)
        what = ["-C"] if chaos else [str(order.version)]
        self._abra("app", "new", str(order.scope["recipe"]), *what, "--server", order.server, "--domain", order.domain)
        side = self._side(tree, self._env_text())
        self._write(side)
        self._provide_secrets(side)
        try:
            return self._deploy(side, ["-C"] if chaos else [str(order.version)])
        finally:
            self._count()

    def _upgraded(self) -> str:
        order = self.order
        resources.note(self.client, order.stack, self.answer)  # the base's containers take their peaks with them
        state.update(order.scope, before_upgrade=upgrade_checks.observe(self.client, order.stack))
        for name in self._placed().get(order.stack, []):
            checkout.remove(self.folder, name)
        checkout.check_out(self.folder, order.commit)
        tree = Tree(self.folder, order.commit)
        side = self._side(tree, with_new_keys(self._env_text(), sample_of(tree)))
        self._write(side)
        self._provide_secrets(side)
        return self._deploy(side, ["-C", "-f"])

    def _side(self, tree: Tree, own_text: str) -> Side:
        overlay = overlay_file(self.order.scope)
        wishes = Wishes(
            domain=self.order.domain, stack=self.order.stack, env=self.order.env,
            compose_files=self.order.compose_files, overlay=overlay.read_text() if overlay.is_file() else None,
            timeout=self.order.limit, ipvs=node.has_ipvs(), inside=node.inside_of(self.order.inside),
        )  # fmt: skip
        return read_side(tree, own_text, wishes)

    def _env_text(self) -> str:
        return self.order.env_path.read_text(encoding="utf-8")

    def _write(self, side: Side) -> None:
        """Our files into the checkout, and the app's .env: the one write of it that is ours."""
        for name, text in side.placed.items():
            checkout.place(self.folder, name, text)
        state.update(self.order.scope, overlays={**self._placed(), self.order.stack: list(side.placed)})
        partial = self.order.env_path.with_suffix(".new")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(side.env_text)
        partial.replace(self.order.env_path)

    def _placed(self) -> dict[str, list[str]]:
        """{stack: names of our files in its checkout}"""
        return dict(state.load(self.order.scope).get("overlays") or {})

    def _provide_secrets(self, side: Side) -> None:
        specs = secrets_of(side.deployed, parse_env_sample(side.env_text))
        if not specs:
            return
        found = self.client.get("/secrets", filters={"name": [f"{self.order.stack}_"]}) or []
        existing = {secret["Spec"]["Name"] for secret in found}
        wanted = steps(specs, self.order.secrets, existing)
        values = provide(
            wanted, self.order.domain, Path(str(self.order.scope["node_dir"])),
            lambda argv: self._abra(*argv, "-C", secret=True).stdout, self.order.secret_values,
        )  # fmt: skip
        self.answer.secrets.update(values)
        if warm.known(self.order.scope):  # runs that do not make it need them, too
            state.update(self.order.scope, **{warm.SECRETS: values})

    def _deploy(self, side: Side, what: Sequence[str]) -> str:
        order = self.order
        with self.answer.waiting("docker"):
            self._abra("app", "deploy", order.domain, *what, "-c", optional=("-D",))
        kind = "chaos deploy" if "-C" in what else "deploy"
        named = f" ({order.version})" if order.version else ""
        return f"{kind} of {order.commit[:8]}{named}, {counted(len(side.deployed.services), 'service')}"

    def _count(self) -> None:
        """A deploy counts when it reached the swarm, whatever abra said then."""
        deploys = dict(state.load(self.order.scope).get("deploys") or {})
        if self.client.services(self.order.stack):
            deploys[self.order.stack] = deploys.get(self.order.stack, 0) + 1
        state.update(self.order.scope, deploys=deploys)
        self.answer.facts["deploys"] = deploys

    def _abra(self, *argv: str, optional: Sequence[str] = (), secret: bool = False) -> Done:
        """One call, without prompts and offline. `secret`: its standard output is never shown."""
        left = max(self.deadline - time.monotonic(), 5.0)
        done = abra(self.order.scope, [*argv, "-n", "-o"], limit=left, optional=optional)
        if done.rc != 0:
            spoken = Done(done.rc, "", done.stderr) if secret else done
            raise StepFailed(argv, fatal_words(spoken), spoken.output)
        return done

    def _judged(self, steps_: Any) -> None:
        order, expected = self.order, f"abra deploys {self.order.commit[:8]}"
        try:
            observed = steps_()
        except StepFailed as error:
            hint = next((text for words, text in HINTS.items() if words in error.words.lower()), None)
            nodes_fault, unknown = is_nodes_fault(error.words), NOT_FOUND.search(error.words)
            named = {"failure_id": "missing-reference", "service": unknown[1]} if unknown and not nodes_fault else {}
            self.answer.result(
                order.id, "error" if nodes_fault else "fail", expected=expected,
                observed=f"{shown([error.step])}: {error.words}", evidence=error.evidence or None, hint=hint, **named,
            )  # fmt: skip
        except ComposeError as error:
            self.answer.result(order.id, "fail", expected=expected, observed=str(error))
        except (AbraError, NoValue) as error:
            self.answer.result(order.id, "error", expected=expected, observed=str(error))
        else:
            self.answer.result(order.id, "pass", expected=expected, observed=observed)
