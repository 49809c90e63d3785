"""Apps: one `.env` file each, below ABRA_DIR/servers/<server>/."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ccci_host.compose import EnvLine, Stack, abra_exports, parse_env, parse_env_sample, read_stack

from .errors import FatalError
from .recipes import Recipe, abra_dir

LONGEST_STACK = 45
DEFAULT_TIMEOUT = 50  # seconds, where the recipe has no timeout label
_RECIPE_KEY = re.compile(r"^(\s*(?:TYPE|RECIPE)=)(['\"]?)([^\s#'\":]+)(:[^\s#'\"]*)?(['\"]?)", re.MULTILINE)


@dataclass(frozen=True)
class App:
    """`name` is the domain (DIR-2), `text` its .env."""

    name: str
    server: str
    path: Path
    text: str

    @property
    def env(self) -> dict[str, str]:
        return parse_env(self.text, self.path.name)

    @property
    def lines(self) -> list[EnvLine]:
        return parse_env_sample(self.text, self.path.name)

    @property
    def stack(self) -> str:
        """CMP-1; STACK_NAME in the .env overrides."""
        return self.env.get("STACK_NAME") or stack_name(self.name)

    @property
    def recipe(self) -> Recipe:
        return Recipe(self._typed().partition(":")[0])

    @property
    def version(self) -> str:
        """What the .env pins; "" when nothing."""
        return self._typed().partition(":")[2]

    def _typed(self) -> str:
        env = self.env
        typed = env.get("TYPE") or env.get("RECIPE") or ""
        if not typed:
            raise FatalError(f"{self.path} has no TYPE=<recipe>")
        return typed

    def with_version(self, version: str) -> App:
        """The same app with `TYPE=<recipe>:<version>` written into its .env (ENV-3)."""
        text, count = _RECIPE_KEY.subn(lambda match: f"{match[1]}{match[2]}{match[3]}:{version}{match[5]}", self.text)
        app = App(self.name, self.server, self.path, text if count else f"{text}\nTYPE={self.recipe.name}:{version}\n")
        write(self.path, app.text)
        return app

    def variables(self, version: str | None = None) -> dict[str, str]:
        """What fills in the compose files: .env, the exports of abra.sh on top, STACK_NAME (CMP-3)."""
        env = self.env
        if version is not None:
            key = "TYPE" if "TYPE" in env else "RECIPE"
            env[key] = f"{self.recipe.name}:{version}"
        exports = abra_exports(self.recipe.files().get("abra.sh", ""))
        return {"DOMAIN": self.name, **env, **exports, "STACK_NAME": self.stack}

    def read(self, version: str | None = None) -> Stack:
        """The merged compose files of what is checked out."""
        variables = self.variables(version)
        names = [name for name in variables.get("COMPOSE_FILE", "").split(":") if name] or ["compose.yml"]
        return read_stack(self.recipe.files(), names, variables)


def stack_name(domain: str) -> str:
    return domain.replace(".", "_")[:LONGEST_STACK]


def servers() -> list[Path]:
    root = abra_dir() / "servers"
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def find(name: str) -> App:
    for folder in servers():
        path = folder / f"{name}.env"
        if path.is_file():
            return load(path)
    known = ", ".join(app.name for app in every()) or "none"
    raise FatalError(f"cannot find app with name {name} below {abra_dir() / 'servers'}; there is: {known}")


def every() -> list[App]:
    return [load(path) for folder in servers() for path in sorted(folder.glob("*.env"))]


def load(path: Path) -> App:
    return App(path.name.removesuffix(".env"), path.parent.name, path, path.read_text(encoding="utf-8"))


def write(path: Path, text: str) -> None:
    """As a whole or not at all; private, because people write passwords into such files."""
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
