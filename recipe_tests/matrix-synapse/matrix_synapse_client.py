"""What the tests of Synapse share: people, made as an operator makes them, and requests inside the container."""

import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

SYNAPSE = "http://localhost:8008"
# Run inside the container, with what is secret on its standard input.
REGISTER = """
import hashlib, hmac, json, sys, time
from http.client import HTTPConnection, HTTPException

def ask(method, body=None):
    try:
        connection = HTTPConnection("localhost", 8008, timeout=30)
        connection.request(method, "/_synapse/admin/v1/register", body and json.dumps(body))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, HTTPException) as error:
        return 0, repr(error)

def register(name, password, admin):
    status, text = ask("GET")
    if status != 200:
        return status, text
    nonce = json.loads(text)["nonce"]
    fields = [nonce, name, password, "admin" if admin else "notadmin"]
    mac = hmac.new(given["secret"].encode(), "\\0".join(fields).encode(), hashlib.sha1).hexdigest()
    return ask("POST", {"nonce": nonce, "username": name, "password": password, "admin": admin, "mac": mac})

given, made = json.load(sys.stdin), []
deadline, tries = time.monotonic() + given["seconds"], 0
for person in given["people"]:
    while (tried := register(*person))[0] != 200:
        tries += 1
        if 400 <= tried[0] < 500 or time.monotonic() > deadline:
            sys.exit(f"status {tried[0]} at try {tries}: {tried[1][:300]}")
        time.sleep(1)
    made.append(json.loads(tried[1]))
print(json.dumps(made))
"""


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


def register(app: Any, *kinds: str, retry_for: float = 90.0) -> list[Person]:
    """Makes an account for each of them, with the shared secret, which only the container's own interface takes.
    An `operator` is an administrator.

    After a restore Synapse finds its database's connections ended, and answers 500 for some seconds: that is asked
    again, with a nonce of its own each time. What it refuses (4xx) counts at once.
    """
    names = [f"{kind}-{secrets.token_hex(4)}" for kind in kinds]
    people = [(name, app.password(name), name.startswith("operator-")) for name in names]
    given = {"secret": app.secret("registration_shared_secret"), "people": people, "seconds": retry_for}
    done = app.exec_in("app", ["python", "-c", REGISTER], stdin=json.dumps(given), limit=retry_for + 60)
    assert done.rc == 0, f"no account was made: {done.stderr.strip()[-400:]}"
    return [Person(name, made["user_id"], made["access_token"], _client(app, made["access_token"]))
            for name, made in zip(names, json.loads(done.stdout), strict=True)]  # fmt: skip


def _client(app: Any, token: str) -> Any:
    http = app.http(retry_for=90)
    http.session.headers["Authorization"] = f"Bearer {token}"
    return http


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
