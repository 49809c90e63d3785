"""What Synapse is for: people talk to each other in rooms."""

import secrets
import time
from urllib.parse import quote

from matrix_synapse_client import join, make_room, read, say

LIMIT = 60  # seconds until a message must have come
SYNC = "/_matrix/client/v3/sync"


def kitchen(owner, guest) -> str:
    """A private room with these two."""
    room = make_room(owner, name="Kitchen", invite=[guest.id])
    join(guest, room)
    return room


def wait_for(person, room, since, event):
    """The event as it comes to that person, who waits for news as clients do."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        answer = person.http.get(SYNC, params={"since": since, "timeout": 5000})
        assert answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}"
        since = answer.json()["next_batch"]
        news = answer.json().get("rooms", {}).get("join", {}).get(room, {}).get("timeline", {}).get("events", [])
        for one in news:
            if one["event_id"] == event:
                return one
    raise AssertionError(f"{event} did not come to {person.name} within {LIMIT} s")


def test_a_message_reaches_the_other(people):
    anna, ben = people("anna", "ben")
    room = kitchen(anna, ben)
    before = ben.http.get(SYNC).json()["next_batch"]
    text = f"Soup is ready, märked ✓ {secrets.token_hex(8)}"
    event = say(anna, room, text)
    came = wait_for(ben, room, before, event)
    assert (came["sender"], came["content"]["body"]) == (anna.id, text)

    answer = say(ben, room, f"Coming, {text}")
    assert read(anna, room) == {event: text, answer: f"Coming, {text}"}


def test_a_private_room_is_closed_to_others(app, people):
    anna, ben, cleo = people("anna", "ben", "cleo")
    room = kitchen(anna, ben)
    say(anna, room, "Nobody else hears this")
    path = f"/_matrix/client/v3/rooms/{quote(room)}/messages?dir=b"
    for person, status, code in ((cleo.http, 403, "M_FORBIDDEN"), (app.http(), 401, "M_MISSING_TOKEN")):
        refused = person.get(path)
        assert (refused.status_code, refused.json()["errcode"]) == (status, code)
    entered = cleo.http.post(f"/_matrix/client/v3/join/{quote(room)}", json={})
    assert (entered.status_code, entered.json()["errcode"]) == (403, "M_FORBIDDEN"), "a stranger joins a private room"


def test_a_password_opens_one_account(app, people):
    (anna,) = people("anna")

    def log_in(password):
        who = {"type": "m.id.user", "user": anna.name}
        body = {"type": "m.login.password", "identifier": who, "password": password}
        return app.http(retry_for=90).post("/_matrix/client/v3/login", json=body)

    refused = log_in(secrets.token_hex(8))
    assert (refused.status_code, refused.json()["errcode"]) == (403, "M_FORBIDDEN")
    opened = log_in(app.password(anna.name))
    assert opened.status_code == 200, f"{opened.status_code} {opened.text[:300]}"
    headers = {"Authorization": f"Bearer {opened.json()['access_token']}"}
    assert app.http().get("/_matrix/client/v3/account/whoami", headers=headers).json()["user_id"] == anna.id
