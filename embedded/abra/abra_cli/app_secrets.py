"""`app secret …`: names as SEC-1 says, values made as SEC-4 says. A value is printed once, and never stored by us."""

from __future__ import annotations

import base64
import json
import secrets
import string
import sys
from pathlib import Path

from ccci_host.compose import SecretSpec, secrets_of
from ccci_host.docker import Client, DockerError

from .apps import App, find
from .cli import Call
from .errors import FatalError
from .listings import table

DEFAULT_LENGTH = 32  # where a charset is named without a length
WORDS_IN_PASSPHRASE = 8
_CHARSETS = {
    "default": string.ascii_letters + string.digits,
    "hex": "0123456789abcdef",
    "special": "!@#$%^&*_-+=",
    "safespecial": "!@#%^&*_-+=",
}
_CONSONANTS, _VOWELS = "bdfghjklmnprstvwz", "aeiou"


def generate(call: Call) -> None:
    app = find(call.arguments[0])
    if call.has("all") == (len(call.arguments) > 1):
        raise FatalError("secret generate takes either NAME VERSION or --all")
    wanted = None if call.has("all") else call.arguments[1]
    values = make(call, app, wanted, (call.arguments[2:] or [""])[0])
    if not values:
        raise FatalError("no secrets generated: all of them exist already, or are not for generating")
    print_values(call, values)


def make(call: Call, app: App, wanted: str | None, version: str = "") -> dict[str, str]:
    """Stores every missing secret that may be generated (or only `wanted`); `{compose id: value}`."""
    client = Client()
    there = set(stored(client, app.stack))
    made = {}
    for spec in _specs(app, wanted):
        name = _named(spec, app.stack, version)
        if name in there:
            call.warn(f"secret {spec.name} exists already ({name})")
        elif spec.generate:
            made[spec.name] = value_for(spec)
            _store(client, name, made[spec.name].encode())
        elif wanted:
            raise FatalError(f"{spec.name} is never generated (generate=false): insert it")
        else:
            call.warn(f"{spec.name} is not generated (generate=false): insert it")
    return made


def print_values(call: Call, values: dict[str, str]) -> None:
    rows = [{"name": name, "value": value} for name, value in values.items()]
    call.say(json.dumps(rows) if call.has("machine") else table(rows))
    if not call.has("machine"):
        call.warn("these values are shown this one time only")


def insert(call: Call) -> None:
    app = find(call.arguments[0])
    name, version, given = call.arguments[1:]
    spec = _specs(app, name)[0]
    if call.has("file"):
        try:
            value = Path(given).read_bytes() if given != "-" else sys.stdin.buffer.read()
        except OSError as error:
            raise FatalError(f"cannot read {given}: {error.strerror}") from error
    else:
        value = given.encode()
    if call.has("trim"):
        value = value.strip()
    full = _named(spec, app.stack, version)
    _store(Client(), full, value)
    call.say(f"{full} inserted")


def listing(call: Call) -> None:
    app = find(call.arguments[0])
    there = set(stored(Client(), app.stack))
    rows = [
        {"name": spec.name, "version": spec.version, "generated name": spec.full_name,
         "created on server": str(spec.full_name in there).lower()}
        for spec in secrets_of(app.read(), app.lines)
    ]  # fmt: skip
    if not rows and not call.has("machine"):
        call.warn(f"{app.name} has no secrets")
    call.say(json.dumps(rows) if call.has("machine") else table(rows))


def remove(call: Call) -> None:
    app, client = find(call.arguments[0]), Client()
    if call.has("all") == (len(call.arguments) > 1):
        raise FatalError("secret remove takes either NAME or --all")
    there = stored(client, app.stack)
    if call.has("all"):
        chosen = there
    else:
        wanted = _specs(app, call.arguments[1])[0].full_name
        chosen = [name for name in there if name == wanted]
        if not chosen:
            raise FatalError(f"{wanted} does not exist on the server")
    if not chosen:
        call.warn("no secrets to remove")
    for name in chosen:
        client.delete(f"/secrets/{name}")
        call.say(f"{name} removed")


def stored(client: Client, stack: str) -> list[str]:
    """The names of the stack's secrets in the swarm; the filter is a prefix, and other stacks may share it."""
    found = client.get("/secrets", filters={"name": [f"{stack}_"]}) or []
    return sorted(one["Spec"]["Name"] for one in found if one["Spec"]["Name"].startswith(f"{stack}_"))


def value_for(spec: SecretSpec) -> str:
    """SEC-4: random characters where a length or charset is named, else a passphrase of made-up words."""
    if spec.length is None and spec.charset == "default":
        return "-".join(_word() for _ in range(WORDS_IN_PASSPHRASE))
    alphabet = "".join(dict.fromkeys("".join(_CHARSETS.get(name.strip(), "") for name in spec.charset.split(","))))
    alphabet = alphabet or _CHARSETS["default"]
    return "".join(secrets.choice(alphabet) for _ in range(spec.length or DEFAULT_LENGTH))


def _word() -> str:
    """Three syllables, 19 bits."""
    return "".join(secrets.choice(_CONSONANTS) + secrets.choice(_VOWELS) for _ in range(3))


def _specs(app: App, wanted: str | None) -> list[SecretSpec]:
    found = secrets_of(app.read(), app.lines)
    if wanted is None:
        return found
    chosen = [spec for spec in found if spec.name == wanted]
    if not chosen:
        raise FatalError(
            f"{app.name} has no secret {wanted}; it has: {', '.join(spec.name for spec in found) or 'none'}"
        )
    return chosen


def _named(spec: SecretSpec, stack: str, version: str) -> str:
    """The final name; for another version than the .env's, with that version behind the same name."""
    if not version or version == spec.version:
        if not spec.version:
            raise FatalError(f"missing version for secret? ({spec.name}: {spec.full_name})")
        return spec.full_name
    return f"{spec.full_name.removesuffix('_' + spec.version)}_{version}"


def _store(client: Client, name: str, value: bytes) -> None:
    try:
        client.post("/secrets/create", {"Name": name, "Labels": {}, "Data": base64.b64encode(value).decode()})
    except DockerError as error:
        if error.status == 409:
            raise FatalError(f"secret {name} already exists (AlreadyExists): use a new version") from error
        raise
