"""What hooks/post_install.yml left. In a whole life it was upgraded, backed up, taken away, and restored."""

import hashlib
from urllib.parse import quote

from matrix_synapse_client import join


def test_a_file_of_the_first_version_is_there(app, people):
    (anna,) = people("anna")
    found = anna.http.get(f"/_matrix/client/v3/directory/room/{quote(f'#keepsake:{app.domain}')}")
    assert found.status_code == 200, f"{found.status_code} {found.text[:300]}"
    room = found.json()["room_id"]
    join(anna, room)
    messages = anna.http.get(f"/_matrix/client/v3/rooms/{quote(room)}/messages", params={"dir": "b", "limit": 20})
    (told,) = [event["content"] for event in messages.json()["chunk"] if event["content"].get("msgtype") == "m.file"]
    place = told["url"].removeprefix("mxc://")
    content = anna.http.get(f"/_matrix/client/v1/media/download/{place}")
    assert content.status_code == 200, f"{content.status_code} {content.text[:300]}"
    assert len(content.content) == told["info"]["size"]
    assert hashlib.sha256(content.content).hexdigest() == told["info"]["sha256"]
