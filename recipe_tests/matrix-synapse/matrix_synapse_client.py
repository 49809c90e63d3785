"""What the tests of Synapse share: people, made as an operator makes them, and requests inside the container."""

import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

SYNAPSE = "http://localhost:8008"
REGISTER = "/_synapse/admin/v1/register"
PAUSE = 1.0  # seconds between two tries


@dataclass(frozen=True)
class Answer:
    """What Synapse said inside the container; the status is 0 when it said nothing."""

    status: int
    text: str

    def json(self) -> Any:
        return json.loads(self.text)

    def __str__(self) -> str:
        return f"status {self.status}: {self.text[:300]}"


@dataclass(frozen=True)
class Person:
    """Somebody with an account; `http` goes through the ingress and has the token in its headers."""

    name: str
    id: str
    token: str
    http: Any


def inside(app: Any, method: str, path: str, body: Any = None, token: str = "") -> Answer:
    """One request that never leaves the container of Synapse. All of it is on curl's standard input: what is secret in
    it is in no argument."""
    options = {"url": SYNAPSE + path, "request": method, "max-time": "30", "write-out": "\n%{http_code}"}
    headers = [f"Authorization: Bearer {token}"] if token else []
    if body is not None:
        options["data-raw"] = json.dumps(body)
        headers.append("Content-Type: application/json")
    lines = [f"{name} = {_quoted(value)}" for name, value in options.items()]
    lines += [f"header = {_quoted(header)}" for header in headers]
    done = app.exec_in("app", ["curl", "--silent", "--show-error", "--config", "-"], stdin="\n".join([*lines, ""]))
    text, _, status = done.stdout.rpartition("\n")
    return Answer(int(status), text) if done.rc == 0 else Answer(0, f"curl ended with {done.rc}: {done.stderr}")


def _quoted(text: str) -> str:
    """As curl reads it in its configuration."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def register(app: Any, name: str, admin: bool = False, retry_for: float = 90.0) -> Person:
    """Makes an account with the shared secret, which only the container's own interface takes.

    After a restore Synapse finds its database's connections ended, and answers 500 for some seconds: that is asked
    again, with a nonce of its own each time. What it refuses (4xx) counts at once.
    """
    deadline = time.monotonic() + retry_for
    while True:
        answer = _register_once(app, name, admin)
        if 0 < answer.status < 500 or time.monotonic() + PAUSE > deadline:
            break
        time.sleep(PAUSE)
    assert answer.status == 200, f"no account for {name} within {retry_for:g} s: {answer}"
    made = answer.json()
    http = app.http(retry_for=90)
    http.session.headers["Authorization"] = f"Bearer {made['access_token']}"
    return Person(name, made["user_id"], made["access_token"], http)


def _register_once(app: Any, name: str, admin: bool) -> Answer:
    given = inside(app, "GET", REGISTER)
    if given.status != 200:
        return given
    nonce, password = given.json()["nonce"], app.password(name)
    fields = [nonce, name, password, "admin" if admin else "notadmin"]
    key = app.secret("registration_shared_secret").encode()
    mac = hmac.new(key, "\0".join(fields).encode(), hashlib.sha1).hexdigest()
    body = {"nonce": nonce, "username": name, "password": password, "admin": admin, "mac": mac}
    return inside(app, "POST", REGISTER, body)


def new_name(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(4)}"


def make_room(person: Person, **wishes: Any) -> str:
    """The id of a new room that nobody else is in."""
    answer = person.http.post("/_matrix/client/v3/createRoom", json={"preset": "private_chat", **wishes})
    assert answer.status_code == 200, f"no room was made: {answer.status_code} {answer.text[:300]}"
    return str(answer.json()["room_id"])


def join(person: Person, room: str) -> None:
    answer = person.http.post(f"/_matrix/client/v3/join/{quote(room)}", json={})
    assert answer.status_code == 200, f"{person.name} cannot join: {answer.status_code} {answer.text[:300]}"


def say(person: Person, room: str, text: str) -> str:
    """The id of the event. A request that is sent again says the same thing only once."""
    path = f"/_matrix/client/v3/rooms/{quote(room)}/send/m.room.message/{secrets.token_hex(8)}"
    answer = person.http.put(path, json={"msgtype": "m.text", "body": text})
    assert answer.status_code == 200, f"{person.name} cannot speak: {answer.status_code} {answer.text[:300]}"
    return str(answer.json()["event_id"])


def read(person: Person, room: str) -> dict[str, str]:
    """`{event: text}` of the room's newest messages."""
    answer = person.http.get(f"/_matrix/client/v3/rooms/{quote(room)}/messages", params={"dir": "b", "limit": 100})
    assert answer.status_code == 200, f"{person.name} cannot read: {answer.status_code} {answer.text[:300]}"
    events = [event for event in answer.json()["chunk"] if event["type"] == "m.room.message"]
    return {event["event_id"]: event["content"].get("body", "") for event in events}
