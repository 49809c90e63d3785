"""What an operator does to keep a server small: purge history, compress state, limit the complexity of rooms."""

import json
import time
from urllib.parse import quote

import pytest
from matrix_synapse_client import inside, join, make_room, read, say

LIMIT = 60  # seconds for what Synapse does behind the scenes

# A request of a server: signed with this server's own key, which stays in the container.
SIGNED_GET = """
import sys, urllib.request
from signedjson.key import read_signing_keys
from signedjson.sign import sign_json
server, path = sys.argv[1:]
key = read_signing_keys(open(f"/data/{server}.signing.key"))[0]
signed = sign_json({"method": "GET", "uri": path, "origin": server, "destination": server}, server, key)
(key_id, signature), = signed["signatures"][server].items()
header = f'X-Matrix origin="{server}",destination="{server}",key="{key_id}",sig="{signature}"'
request = urllib.request.Request("http://localhost:8008" + path, headers={"Authorization": header})
print(urllib.request.urlopen(request, timeout=30).read().decode())
"""
CONFIGURED = """
import json
from synapse.config.homeserver import HomeServerConfig
limit = HomeServerConfig.load_config("", ["-c", "/etc/synapse/homeserver.yaml"]).server.limit_remote_rooms
print(json.dumps({"enabled": limit.enabled, "complexity": limit.complexity}))
"""


def market(app, admin) -> str:
    """A room that anybody may join, of somebody who may speak as often as they like."""
    free = {"messages_per_second": 0, "burst_count": 0}
    path = f"/_synapse/admin/v1/users/{quote(admin.id)}/override_ratelimit"
    assert inside(app, "POST", path, free, admin.token).status == 200
    return make_room(admin, preset="public_chat")


def set_topic(person, room, topic):
    answer = person.http.put(f"/_matrix/client/v3/rooms/{quote(room)}/state/m.room.topic", json={"topic": topic})
    assert answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}"
    return answer.json()["event_id"]


def state_at(person, room, event):
    """The room's state when that event happened, `{(type, key): event}`."""
    answer = person.http.get(f"/_matrix/client/v3/rooms/{quote(room)}/context/{quote(event)}", params={"limit": 0})
    assert answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}"
    return {(one["type"], one["state_key"]): one["event_id"] for one in answer.json()["state"]}


def complexity(app, room):
    path = f"/_matrix/federation/unstable/rooms/{quote(room)}/complexity"
    done = app.exec_in("app", ["python", "-c", SIGNED_GET, app.domain, path], user="synapse")
    assert done.rc == 0, done.stderr[-500:]
    return json.loads(done.stdout)["v1"]


def test_purged_history_is_gone(app, people):
    admin, anna = people("operator", "anna")
    room = market(app, admin)
    join(anna, room)
    old = [say(admin, room, f"Old news {number}") for number in range(5)]
    last = say(admin, room, "Today's news")
    assert set(read(anna, room)) == {*old, last}
    path = f"/_synapse/admin/v1/purge_history/{quote(room)}/{quote(last)}"
    begun = inside(app, "POST", path, {"delete_local_events": True}, admin.token)
    assert begun.status == 200, begun
    status = f"/_synapse/admin/v1/purge_history_status/{begun.json()['purge_id']}"
    deadline = time.monotonic() + LIMIT
    while (state := inside(app, "GET", status, token=admin.token).json()["status"]) == "active":
        assert time.monotonic() < deadline, f"the purge did not end within {LIMIT} s"
        time.sleep(0.5)
    assert state == "complete"
    assert read(anna, room) == {last: "Today's news"}
    gone = anna.http.get(f"/_matrix/client/v3/rooms/{quote(room)}/event/{quote(old[0])}")
    assert gone.status_code == 404, f"{gone.status_code} {gone.text[:300]}"
    # The room lives on.
    assert say(anna, room, "What was it?") in read(admin, room)


def test_compressed_state_is_the_same_state(app, people):
    (admin,) = people("operator")
    room = market(app, admin)
    topics = [set_topic(admin, room, f"Topic {number}") for number in range(30)]
    asked = (topics[0], topics[15], topics[-1])
    before = [state_at(admin, room, event) for event in asked]
    assert [state["m.room.topic", ""] for state in before] == list(asked)

    done = app.exec_in("app", ["synapse-db", "compress"], user="synapse", limit=120)
    assert done.rc == 0, done.stderr[-500:]
    # The compressor's own book: how far it has come in this room.
    query = "SELECT last_compressed FROM state_compressor_progress WHERE room_id = :'room'"
    book = app.exec_in("db", ["psql", "-U", "synapse", "-tA", "-v", f"room={room}"], stdin=query)
    assert book.rc == 0, book.stderr[-300:]
    assert int(book.stdout or 0) > 0, "the compressor did not look at this room"
    # Synapse keeps much in memory; a server that has just started reads it from the database.
    assert [state_at(admin, room, event) for event in asked] == before
    assert state_at(admin, room, set_topic(admin, room, "After all this"))["m.room.create", ""]


def test_other_servers_are_told_how_complex_a_room_is(app, people):
    (admin,) = people("operator")
    room = market(app, admin)
    at_first = complexity(app, room)
    for number in range(25):
        path = f"/_matrix/client/v3/rooms/{quote(room)}/state/org.example.note/{number}"
        assert admin.http.put(path, json={"number": number}).status_code == 200
    known = inside(app, "GET", f"/_synapse/admin/v1/rooms/{quote(room)}", token=admin.token).json()
    told = complexity(app, room)
    assert told == round(known["state_events"] / 500, 2)
    assert told == pytest.approx(at_first + 25 / 500, abs=0.011)


def test_the_complexity_of_other_servers_rooms_is_limited(app):
    done = app.exec_in("app", ["python", "-c", CONFIGURED], user="synapse")
    assert done.rc == 0, done.stderr[-500:]
    assert json.loads(done.stdout) == {"enabled": True, "complexity": 10.0}
