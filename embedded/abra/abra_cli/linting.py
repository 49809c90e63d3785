"""The error rules of `recipe lint` that need no network. Also asked before every deploy that is not chaos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ccci_host.compose import ComposeError, Stack, parse_env, read_stack

from .recipes import Recipe


@dataclass(frozen=True)
class Rule:
    ref: str
    content: str
    severity: str
    satisfied: bool
    skipped: bool
    fix: str
    detail: str


def check(recipe: Recipe) -> list[Rule]:
    """ComposeError when the compose files cannot be read: then there is nothing to lint."""
    return list(_rules(recipe))


def _rules(recipe: Recipe) -> Iterator[Rule]:
    files = recipe.files()
    sample = files.get(".env.sample")
    env = parse_env(sample, ".env.sample") if sample is not None else {}
    stack = _read(recipe, env)
    light = [tag for tag, annotated in recipe.tags().items() if not annotated]
    yield _rule("R008", ".env.sample provided", sample is not None, "add .env.sample", "it is missing")
    yield _rule("R009", "one service named 'app'", "app" in stack.services, "call the main service app",
                f"the services are {', '.join(stack.services)}")  # fmt: skip
    routed = any(service.labels.get("traefik.enable") == "true" for service in stack.services.values())
    yield _rule("R010", "traefik routing enabled", routed, "set the label traefik.enable=true",
                "no service has the label", skipped="DOMAIN" not in env)  # fmt: skip
    yield _rule("R011", "all services have images", all(service.image for service in stack.services.values()),
                "give every service an image", "one has none")  # fmt: skip
    yield _rule("R012", "config version are vendored", not stack.configs or "abra.sh" in files,
                "export the version of each config in abra.sh", "there are configs and no abra.sh")  # fmt: skip
    yield _rule("R014", "only annotated tags used for recipe version", not light, "replace them by git tag -a",
                f"lightweight: {', '.join(light[:5])}")  # fmt: skip


def _rule(ref: str, content: str, satisfied: bool, fix: str, detail: str, *, skipped: bool = False) -> Rule:
    return Rule(ref, content, "error", satisfied, skipped, fix, "" if satisfied else detail)


def _read(recipe: Recipe, env: dict[str, str]) -> Stack:
    """The files that the sample enables, under the name of an imaginary app."""
    names = [name for name in env.get("COMPOSE_FILE", "").split(":") if name] or ["compose.yml"]
    try:
        return read_stack(recipe.files(), names, {**env, "STACK_NAME": "lint_example_com"})
    except ComposeError as error:
        if "has no image" in error.what:
            raise ComposeError(error.file, error.line, f"R011: all services have images: {error.what}") from error
        raise
