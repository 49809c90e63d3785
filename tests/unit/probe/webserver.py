"""A little web server with TLS, whose certificate comes from an authority made for the test."""

from __future__ import annotations

import base64
import datetime
import hashlib
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "*.ci.test"
PAGE = b"""<!doctype html><title>A page</title><h1>Hello</h1>
<form action="/sent"><input name="who"><button>Send</button></form>
<iframe name="inner" src="/frame"></iframe>"""


@dataclass
class Site:
    """`answers`: path → (status, headers, body), or a function of the number of earlier requests for that path."""

    port: int
    ca_file: str
    spki_file: str
    answers: dict[str, Any] = field(default_factory=dict)
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "app.ci.test") -> str:
        return f"https://{host}:{self.port}{path}"


def _authority(folder: Path) -> tuple[Path, Path, Path]:
    now = datetime.datetime.now(datetime.UTC)
    key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ccci test authority")])

    def begin(subject: x509.Name, public: Any) -> x509.CertificateBuilder:
        begun = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
        begun = begun.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        return begun.not_valid_after(now + datetime.timedelta(days=2))

    ca = begin(issuer, key.public_key()).add_extension(x509.BasicConstraints(True, None), True)
    ca = ca.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False).sign(key, hashes.SHA256())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    leaf = begin(subject, leaf_key.public_key())
    leaf = leaf.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), False)
    signed = leaf.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (folder / "ca.crt").write_bytes(ca.public_bytes(pem))
    plain = leaf_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "leaf.pem").write_bytes(signed.public_bytes(pem) + plain)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = leaf_key.public_key().public_bytes(serialization.Encoding.DER, form)
    (folder / "leaf-spki").write_text(base64.b64encode(hashlib.sha256(public).digest()).decode() + "\n")
    return folder / "ca.crt", folder / "leaf.pem", folder / "leaf-spki"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    return _authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def site(authority: tuple[Path, Path, Path]) -> Iterator[Site]:
    ca_file, leaf, spki = authority
    counts: dict[str, int] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            made.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            path = self.path.partition("?")[0]
            given: Any = made.answers.get(path, (404, {"Content-Type": "text/plain"}, b"404 page not found"))
            if isinstance(given, Callable):  # type: ignore[arg-type]
                given = given(counts.get(path, 0))
            counts[path] = counts.get(path, 0) + 1
            if given is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, headers, content = given
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815 - the names that the server looks for

        def log_message(self, *arguments: Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *arguments: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made = Site(server.server_address[1], str(ca_file), str(spki))
    made.answers["/"] = (200, {"Content-Type": "text/html; charset=utf-8"}, PAGE)
    made.answers["/frame"] = (200, {"Content-Type": "text/html"}, b"<p id=deep>Inside the frame</p>")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
