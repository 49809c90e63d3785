"""What other servers and strangers get from this one."""

import base64
import json
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from matrix_synapse_client import inside

USERS = "/_synapse/admin/v2/users?limit=1"

# Reads the configuration as Synapse does when it starts; settings from standard input win over those of the file.
READ = """
import sys, tempfile
from synapse.config import ConfigError
from synapse.config.homeserver import HomeServerConfig
with tempfile.NamedTemporaryFile("w") as more:
    more.write("report_stats: false\\n" + sys.stdin.read())
    more.flush()
    try:
        read = HomeServerConfig.load_config("", ["-c", "/etc/synapse/homeserver.yaml", "-c", more.name])
        print("read, and open to everybody:", read.registration.enable_registration)
    except ConfigError as error:
        print("refused:", error)
"""


def unpadded(text):
    return base64.b64decode(text + "=" * (-len(text) % 4))


def test_other_servers_are_told_version_and_address(app):
    told = app.http().get("/_matrix/federation/v1/version").json()["server"]
    runs = app.exec_in("app", ["python", "-c", "import synapse; print(synapse.__version__)"])
    assert runs.rc == 0, runs.stderr[-300:]
    assert (told["name"], told["version"]) == ("Synapse", runs.stdout.strip())
    assert app.http().get("/.well-known/matrix/server").json() == {"m.server": f"{app.domain}:443"}
    client = app.http().get("/.well-known/matrix/client")
    assert client.json()["m.homeserver"]["base_url"] == f"https://{app.domain}"
    assert client.headers["Access-Control-Allow-Origin"] == "*", "no client in a browser may read it"


def test_the_server_signs_with_the_key_of_its_volume(app):
    """Other servers believe what is signed with the keys of this document, which it signs itself."""
    document = app.http().get("/_matrix/key/v2/server").json()
    kept = app.exec_in("app", ["cut", "-d ", "-f1,2", f"/data/{app.domain}.signing.key"])
    assert kept.rc == 0, kept.stderr[-300:]
    key_id = ":".join(kept.stdout.split())
    assert document["server_name"] == app.domain
    assert document["valid_until_ts"] > time.time() * 1000
    assert list(document["verify_keys"]) == [key_id]
    signature = document.pop("signatures")[app.domain][key_id]
    signed = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    key = Ed25519PublicKey.from_public_bytes(unpadded(document["verify_keys"][key_id]["key"]))
    key.verify(unpadded(signature), signed)  # raises InvalidSignature


def test_the_admin_interface_is_not_public(app, people):
    (admin,) = people("operator")
    assert inside(app, "GET", USERS, token=admin.token).status == 200, "the token opens nothing at all"
    for path in (USERS, "/_synapse/admin/v1/register"):
        answer = admin.http.get(path)
        assert answer.status_code == 404, f"{path}: {answer.status_code} {answer.text[:200]}"
        assert "errcode" not in answer.text, f"{path} came through to Synapse"
    # Paths that a client would tidy up before it sends them.
    for path in ("//_synapse/admin/v1/register", "/_matrix/../_synapse/admin/v1/register"):
        status, text = as_it_is(app, path)
        assert status >= 300, f"{path}: {status} {text[:200]}"
        assert "errcode" not in text, f"{path} came through to Synapse"


def as_it_is(app, path: str) -> tuple[int, str]:
    """Status and words of the answer to a request for this very path."""
    with app.connect(443, tls=True) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {app.domain}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode("utf-8", "replace")
    return int(answer.split(" ", 2)[1]), answer


def test_nobody_registers(app):
    body = {"username": "stranger", "password": app.password("stranger"), "auth": {"type": "m.login.dummy"}}
    refused = app.http().post("/_matrix/client/v3/register", json=body)
    assert (refused.status_code, refused.json()["errcode"]) == (403, "M_FORBIDDEN")
    assert inside(app, "GET", "/_matrix/client/v3/profile/@stranger:" + app.domain).status == 404


def test_it_does_not_start_open_to_everybody(app):
    """With the first setting alone Synapse's start ends where it reads its configuration."""

    def start(*settings):
        done = app.exec_in("app", ["python", "-c", READ], stdin="\n".join((*settings, "")), user="synapse")
        assert done.rc == 0, done.stderr[-500:]
        return done.stdout

    first, second = "enable_registration: true", "enable_registration_without_verification: true"
    assert start() == "read, and open to everybody: False\n"
    assert "open registration without any verification" in start(first)
    # Control: with both it would.
    assert start(first, second) == "read, and open to everybody: True\n"
