"""recipe.yml: read, validated, and with every default in one place. Pure but for `load_recipe_settings`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ccci import yaml_file
from ccci.errors import UsageError
from ccci.plan import dep_settings
from ccci.schemas import check

FILE = "recipe.yml"
NEWEST = "newest-before-head"
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


@dataclass(frozen=True)
class Health:
    kind: str = "http"
    path: str = "/"
    status: tuple[int, ...] = (200,)
    json: Mapping[str, Any] | None = None
    text: str | None = None
    content_type: str | None = None
    port: int | None = None
    host: str | None = None
    since: str = "base"  # `from` in the file: base, or upgrade when the base version cannot be judged this way


@dataclass(frozen=True)
class Probe:
    """What must hold `successes` times in a row: an address (`url` …), a port (`tcp` {port, host} or, inside the app's
    network, {port, service}), or a `command` in a `service`. `within` is in seconds; None: the limit of the tier that
    asks."""

    url: str | None = None
    status: tuple[int, ...] = (200,)
    json: Mapping[str, Any] | None = None
    text: str | None = None
    content_type: str | None = None
    tcp: Mapping[str, Any] | None = None
    command: tuple[str, ...] = ()
    service: str | None = None
    stdout: str | None = None
    successes: int = 1
    within: int | None = None
    since: str = "base"

    def told(self) -> str:
        """In words, for people."""
        if self.tcp is not None:
            inside = f"service {self.tcp['service']}" if "service" in self.tcp else None
            return f"port {self.tcp['port']} of {inside or self.tcp.get('host', 'the app')}"
        return self.url or f"`{' '.join(self.command)}` in {self.service}"


@dataclass(frozen=True)
class Dep:
    """Another recipe, known here as `name` and asked for the facts of a `kind`. `wants` is not rendered yet. With
    `for_tests` it is left out where the recipe that names it is itself a dep."""

    recipe: str
    name: str
    kind: str
    wants: Mapping[str, Any] = field(default_factory=dict)
    for_tests: bool = False


@dataclass(frozen=True)
class Login:
    """A login through the dep of this name. Steps as in ccci_assert_browser, with `{{ user.* }}` not rendered yet."""

    through: str
    path: str = "/"
    start: tuple[Mapping[str, Any], ...] = ()
    then: tuple[Mapping[str, Any], ...] = ()
    logout: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Timeouts:
    """Seconds."""

    deploy: int = 300
    upgrade: int = 300
    http: int = 60
    backup: int = 300
    custom: int = 600


@dataclass(frozen=True)
class RecipeSettings:
    """What differs from recipe to recipe. `place` says where a key was written, for messages."""

    health: Health = Health()
    ready: tuple[Probe, ...] = ()
    pre_upgrade: tuple[Probe, ...] = ()
    deps: tuple[Dep, ...] = ()
    login: Login | None = None
    embedded_not_run: str | None = None  # why it cannot be played on the embedded platform
    env: Mapping[str, str] = field(default_factory=dict)
    env_from_upgrade: Mapping[str, str] = field(default_factory=dict)
    compose_files: tuple[str, ...] | None = None
    compose_files_from_upgrade: tuple[str, ...] | None = None
    secrets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    base_version: str = NEWEST
    base_chaos: bool = False
    timeouts: Timeouts = Timeouts()
    marker: Mapping[str, str] | None = None
    python: tuple[str, ...] = ()  # names of packages that its tests and its marker import
    expect_paths: tuple[str, ...] = ()
    backup_not_applicable: str | None = None
    memory: int | None = None  # bytes
    disk: int | None = None  # bytes
    skip: Mapping[str, str] = field(default_factory=dict)  # tier -> reason
    pr_tests: bool | None = None  # None: the inventory decides alone
    compose_trust: str = "strict"
    file: yaml_file.YamlFile = field(default_factory=lambda: yaml_file.YamlFile(FILE, {}, {}))

    def place(self, *path: str | int) -> str:
        return self.file.place(*path)


def load_recipe_settings(tests_dir: Path | None) -> RecipeSettings:
    """The settings in a recipe's folder; all defaults when there is no folder or no recipe.yml in it."""
    if tests_dir is None or not (tests_dir / FILE).exists():
        if tests_dir is not None and (tests_dir / "recipe.yaml").exists():
            raise UsageError(f"{tests_dir}/recipe.yaml is not read", next_step="Rename it to recipe.yml")
        return RecipeSettings()
    return settings_of(yaml_file.read(tests_dir / FILE))


def settings_of(file: yaml_file.YamlFile) -> RecipeSettings:
    """UsageError with file, line and the nearest key for what the schema does not know."""
    data = {} if file.data is None else file.data
    found = check.problems("recipe", data)
    if found:
        lines = [f"{file.place(*path)}: {what}" for path, what in found]
        raise UsageError("\n".join(lines), next_step="The format is described by src/ccci/schemas/recipe.json")
    settings = _settings(data, file)
    _cross_checks(settings)
    dep_settings.check_settings(settings)
    return settings


def _settings(data: Mapping[str, Any], file: yaml_file.YamlFile) -> RecipeSettings:
    limits = dict(data.get("timeouts", {}))
    if "deploy" in limits:
        limits.setdefault("upgrade", limits["deploy"])
    base, backup, trust = data.get("base", {}), data.get("backup", {}), data.get("trust", {})
    resources = data.get("resources", {})
    return RecipeSettings(
        health=Health(**_judged(data.get("health", {}))),
        ready=tuple(Probe(**_judged(probe)) for probe in data.get("ready", [])),
        pre_upgrade=tuple(Probe(**_judged(probe)) for probe in data.get("gates", {}).get("pre_upgrade", [])),
        deps=tuple(_dep(dep) for dep in data.get("deps", [])),
        login=_login(data["login"]) if "login" in data else None,
        embedded_not_run=data.get("embedded", {}).get("not_run"),
        env=_env(data.get("env", {})),
        env_from_upgrade=_env(data.get("env_from_upgrade", {})),
        compose_files=_files(data.get("compose_files")),
        compose_files_from_upgrade=_files(data.get("compose_files_from_upgrade", data.get("compose_files"))),
        secrets=data.get("secrets", {}),
        base_version=base.get("version", NEWEST),
        base_chaos=base.get("chaos", False),
        timeouts=Timeouts(**limits),
        marker=data.get("marker"),
        python=tuple(data.get("python", ())),
        expect_paths=tuple(backup.get("expect_paths", [])),
        backup_not_applicable=backup.get("not_applicable"),
        memory=_bytes(resources.get("memory")),
        disk=_bytes(resources.get("disk")),
        skip={entry["tier"]: entry["reason"] for entry in data.get("skip", [])},
        pr_tests=trust.get("pr_tests"),
        compose_trust=trust.get("compose", "strict"),
        file=file,
    )


def _cross_checks(settings: RecipeSettings) -> None:
    for index, probe in enumerate(settings.pre_upgrade):
        if probe.since == "upgrade":
            raise UsageError(
                f"{settings.place('gates', 'pre_upgrade', index)}: a gate before the upgrade asks the base version",
                observed="from: upgrade", next_step="Put it under `ready`, which is asked again after the upgrade",
            )  # fmt: skip
    for index, path in enumerate(settings.expect_paths):
        parts = [part for part in path.split("/") if part]
        if not parts or {".", ".."} & {*parts}:
            raise UsageError(
                f"{settings.place('backup', 'expect_paths', index)}: the path {path!r} names nothing of a snapshot's",
                expected="<volume>/<path in it> or an absolute path, with a name in it and without `.` and `..`",
                next_step="Name the file or folder that must be there, for example mysql/backup.sql.gz",
            )


def _dep(written: Mapping[str, Any]) -> Dep:
    name = written.get("as", written["recipe"])
    return Dep(
        written["recipe"], name, written.get("kind", name), written.get("wants", {}), written.get("for_tests", False)
    )


def _login(written: Mapping[str, Any]) -> Login:
    steps = {name: tuple(written.get(name, ())) for name in ("start", "then", "logout")}
    return Login(written["through"], written.get("path", "/"), **steps)


def _judged(written: Mapping[str, Any]) -> dict[str, Any]:
    values = {("since" if key == "from" else key): value for key, value in written.items()}
    if "status" in values:
        values["status"] = tuple(values["status"])
    if "command" in values:
        values["command"] = tuple(values["command"])
    return values


def _env(written: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in written.items()}


def _files(written: list[str] | None) -> tuple[str, ...] | None:
    return None if written is None else tuple(written)


def _bytes(text: str | None) -> int | None:
    if text is None:
        return None
    number, unit = re.findall(r"[0-9.]+|[A-Za-z]+", text)
    return int(float(number) * _UNITS[unit])
