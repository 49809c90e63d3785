"""Run inside the container of Synapse: a room with a file, which upgrade, backup and restore must leave as it is.

Nobody needs the account afterwards, so its password is known to nobody.
"""

import hashlib
import hmac
import json
import os
import secrets
import sys
from http.client import HTTPConnection
from pathlib import Path

token = ""


def ask(method: str, path: str, body: object = None, kind: str = "application/json") -> dict:
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
    connection = HTTPConnection("localhost", 8008, timeout=30)
    connection.request(method, path, data, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status != 200:
        sys.exit(f"{method} {path.partition('?')[0]}: status {answer.status}: {text[:300]}")
    return json.loads(text)


key = Path("/run/secrets/registration_shared_secret").read_text().strip()
nonce = ask("GET", "/_synapse/admin/v1/register")["nonce"]
person = {"nonce": nonce, "username": f"keeper-{secrets.token_hex(4)}", "password": secrets.token_hex(16)}
fields = [*person.values(), "notadmin"]
person["mac"] = hmac.new(key.encode(), "\0".join(fields).encode(), hashlib.sha1).hexdigest()
token = ask("POST", "/_synapse/admin/v1/register", person)["access_token"]

content = secrets.token_bytes(100_000)
url = ask("POST", "/_matrix/media/v3/upload?filename=keepsake.bin", content, "application/octet-stream")["content_uri"]
room = ask("POST", "/_matrix/client/v3/createRoom", {"preset": "public_chat", "room_alias_name": "keepsake"})["room_id"]
info = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
message = {"msgtype": "m.file", "body": "keepsake.bin", "url": url, "info": info}
ask("PUT", f"/_matrix/client/v3/rooms/{room}/send/m.room.message/1", message)
sys.stdout.write(f"kept in #keepsake:{os.environ['DOMAIN']}\n")
