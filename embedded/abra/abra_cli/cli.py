"""The command line: which commands there are, which flags each takes, and what they call. Flags may stand anywhere."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from .errors import FatalError

VERSION = "0.13.0-embedded"
GLOBAL = {"no-input": "n", "offline": "o", "debug": "d", "help": "h"}
CHAOS = {"chaos": "C"}
MACHINE = {"machine": "m"}
FORCE = {"force": "f"}
DEPLOY = {**FORCE, **CHAOS, "no-converge-checks": "c", "no-domain-checks": "D", "ignore-env-version": "i"}


@dataclass(frozen=True)
class Command:
    """`call` is `module:function`; `usage` names the arguments; `flags` and `options` are {long name: letter or ""}."""

    call: str
    usage: str
    least: int
    most: int
    flags: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """What was asked for. `rest` is what stood behind `--`."""

    arguments: list[str]
    flags: frozenset[str]
    options: dict[str, str]
    rest: list[str]
    out: TextIO = sys.stdout

    def has(self, flag: str) -> bool:
        return flag in self.flags

    def say(self, text: str) -> None:
        self.out.write(f"{text}\n")

    def warn(self, text: str) -> None:
        sys.stderr.write(f"WARN {text}\n")

    def debug(self, text: str) -> None:
        if self.has("debug"):
            sys.stderr.write(f"DEBU {text}\n")


ANY = 1000
SECRET = {**CHAOS, **MACHINE}
COMMANDS = {
    ("app", "new"): Command(
        "new:new", "RECIPE [VERSION]", 1, 2, {**CHAOS, "secrets": "S"}, {"server": "s", "domain": "D"}
    ),
    ("app", "deploy"): Command("deployment:deploy", "DOMAIN [VERSION]", 1, 2, {**DEPLOY, "deploy-latest": "l"}),
    ("app", "upgrade"): Command("deployment:upgrade", "DOMAIN [VERSION]", 1, 2, DEPLOY),
    ("app", "rollback"): Command("deployment:rollback", "DOMAIN [VERSION]", 1, 2, DEPLOY),
    ("app", "undeploy"): Command("deployment:undeploy", "DOMAIN", 1, 1, CHAOS),
    ("app", "remove"): Command("new:remove", "DOMAIN", 1, 1, FORCE),
    ("app", "ls"): Command(
        "listings:apps", "", 0, 0, {**MACHINE, "status": "S"}, {"server": "s", "recipe": "r"}
    ),
    ("app", "ps"): Command("listings:services", "DOMAIN", 1, 1, {**MACHINE, **CHAOS}),
    ("app", "secret", "generate"): Command(
        "app_secrets:generate", "DOMAIN [NAME VERSION | --all]", 1, 3, {**SECRET, "all": "a"}
    ),
    ("app", "secret", "insert"): Command(
        "app_secrets:insert", "DOMAIN NAME VERSION VALUE|FILE", 4, 4, {**CHAOS, "file": "f", "trim": "t"}
    ),
    ("app", "secret", "list"): Command("app_secrets:listing", "DOMAIN", 1, 1, SECRET),
    ("app", "secret", "remove"): Command("app_secrets:remove", "DOMAIN [NAME | --all]", 1, 2, {**CHAOS, "all": "a"}),
    ("app", "volume", "list"): Command("volumes:listing", "DOMAIN", 1, 1, MACHINE),
    ("app", "volume", "remove"): Command("volumes:remove", "DOMAIN [VOLUME]", 1, 2, FORCE),
    ("app", "run"): Command(
        "containers:run", "DOMAIN SERVICE COMMAND…", 3, ANY, {"no-tty": "t"}, {"user": "u"}
    ),
    ("app", "cmd"): Command(
        "containers:command", "DOMAIN SERVICE FUNCTION [-- ARGUMENTS]", 2, ANY, {**CHAOS, "local": "l"}, {"user": "u"}
    ),
    ("app", "backup", "create"): Command("containers:backup_create", "DOMAIN", 1, 1, CHAOS, {"retries": "r"}),
    ("app", "backup", "snapshots"): Command("containers:backup_snapshots", "DOMAIN", 1, 1, {**CHAOS, **MACHINE}),
    ("app", "backup", "list"): Command(
        "containers:backup_list", "DOMAIN", 1, 1, {**CHAOS, **MACHINE}, {"snapshot": "s"}
    ),
    ("app", "restore"): Command("containers:restore", "DOMAIN", 1, 1, {**CHAOS, "hooks": ""}, {"snapshot": "s"}),
    ("recipe", "fetch"): Command("recipe_commands:fetch", "RECIPE", 1, 1, FORCE),
    ("recipe", "versions"): Command("recipe_commands:versions", "RECIPE", 1, 1, MACHINE),
    ("recipe", "ls"): Command("recipe_commands:recipes", "", 0, 0, MACHINE),
    ("recipe", "lint"): Command("recipe_commands:lint", "RECIPE", 1, 1, CHAOS),
    ("server", "add"): Command("listings:add_server", "[--local]", 0, 1, {"local": "l"}),
    ("server", "ls"): Command("listings:list_servers", "", 0, 0, MACHINE),
}  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Runs one command; the return code is 0, or 1 with `FATA …` on stderr (or that of a command in a container)."""
    try:
        return run(arguments)
    except FatalError as error:
        message = str(error)
    except KeyboardInterrupt:
        message = "interrupted"
    except BrokenPipeError:
        return 1
    except Exception as error:
        # What the modules that we share raise: its text says what happened. Anything else is a bug of ours, and its
        # traceback the only thing that helps.
        if type(error).__name__ not in ("ComposeError", "DockerError", "NoContainer", "LimitReached", "OSError"):
            raise
        message = str(error)
    sys.stdout.flush()
    sys.stderr.write(f"FATA {message}\n")
    return 1


def run(arguments: Sequence[str]) -> int:
    words = list(arguments)
    if words in (["--version"], ["-v"], ["version"]):
        sys.stdout.write(f"abra version {VERSION}\n")
        return 0
    path, rest = _command_of(words)
    if path not in COMMANDS:
        return _help(path, asked=_wants_help(words))
    command = COMMANDS[path]
    call = _parsed(path, command, rest)
    if call.has("help"):
        sys.stdout.write(_usage(path, command))
        return 0
    count = len(call.arguments) + len(call.rest)
    if not command.least <= count or len(call.arguments) > command.most:
        raise FatalError(f"abra {' '.join(path)} takes {command.usage or 'no arguments'}")
    module, _, function = command.call.partition(":")
    code = getattr(importlib.import_module(f"{__package__}.{module}"), function)(call)
    sys.stdout.flush()
    return int(code or 0)


def _command_of(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The command's words (flags may stand before and between them) and everything else."""
    path: tuple[str, ...] = ()
    rest: list[str] = []
    prefixes = {key[:length] for key in COMMANDS for length in range(1, len(key) + 1)}
    for index, word in enumerate(words):
        if word == "--":
            return path, rest + words[index:]
        if word.startswith("-"):
            rest.append(word)
        elif path not in COMMANDS and (*path, word) in prefixes:
            path = (*path, word)
        else:
            return path, rest + words[index:]
    return path, rest


def _parsed(path: tuple[str, ...], command: Command, words: list[str]) -> Call:
    flags = {**GLOBAL, **command.flags}
    long_names = {**{name: name for name in (*flags, *command.options)}}
    letters = {letter: name for name, letter in {**flags, **command.options}.items() if letter}
    given: set[str] = set()
    options: dict[str, str] = {}
    arguments: list[str] = []
    stream: Iterator[str] = iter(words)
    for word in stream:
        if word == "--":
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if name not in long_names:
                raise FatalError(f"unknown flag: --{name}")
            if name in command.options:
                options[name] = value if equals else _next(stream, word)
            else:
                given.add(name)
        elif word.startswith("-") and len(word) > 1:
            for index, letter in enumerate(word[1:], 2):
                name = letters.get(letter, "")
                if not name:
                    raise FatalError(f"unknown shorthand flag: {letter!r} in {word}")
                if name in command.options:
                    options[name] = word[index:].removeprefix("=") or _next(stream, word)
                    break
                given.add(name)
        else:
            arguments.append(word)
    return Call(arguments, frozenset(given), options, list(stream))


def _next(stream: Iterator[str], flag: str) -> str:
    value = next(stream, None)
    if value is None:
        raise FatalError(f"flag needs an argument: {flag}")
    return value


def _wants_help(words: Sequence[str]) -> bool:
    return not words or "--help" in words or "-h" in words


def _help(path: tuple[str, ...], asked: bool) -> int:
    known = [key for key in COMMANDS if key[: len(path)] == path]
    lines = ["Usage:", *(f"  abra {' '.join(key)} {COMMANDS[key].usage}".rstrip() for key in known)]
    if asked:
        sys.stdout.write("\n".join([*lines, "  abra --version", ""]))
        return 0
    raise FatalError("unknown command\n" + "\n".join(lines))


def _usage(path: tuple[str, ...], command: Command) -> str:
    flags = {**GLOBAL, **command.flags}
    lines = [f"Usage:\n  abra {' '.join(path)} {command.usage} [flags]\n\nFlags:"]
    for name, letter in sorted({**flags, **command.options}.items()):
        short = f"-{letter}, " if letter else "    "
        lines.append(f"  {short}--{name}{' VALUE' if name in command.options else ''}")
    return "\n".join(lines) + "\n"
