"""A small real image registry on 127.0.0.1, which can also say no in the ways that registries do."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LIST = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
AMD64 = {"os": "linux", "architecture": "amd64"}


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@dataclass
class Limit:
    """Answers 429 to so many requests for a path's manifests (None: for ever), with this Retry-After."""

    times: int | None
    retry_after: str | None = None


@dataclass
class RegistryServer:
    """`account` ("user:password") makes it ask for a bearer token, whose server it is too; `basic` for a password."""

    host: str = ""
    documents: dict[str, bytes] = field(default_factory=dict)  # digest -> manifest, list or config
    kinds: dict[str, str] = field(default_factory=dict)  # digest -> content type
    tags: dict[str, str] = field(default_factory=dict)  # "path:tag" -> digest
    limits: dict[str, Limit] = field(default_factory=dict)  # path -> limit
    account: str | None = None
    anonymous: bool = True  # whether a token is given without an account
    basic: str | None = None
    realm: str | None = None
    has_head: bool = True
    redirect: str | None = None
    drips: bool = False  # answers without end, a byte now and then
    flood: bool = False  # answers with more than anybody should read
    lies: bool = False  # answers with another document than its digest says
    page: bytes | None = None  # a web server that is no registry
    asked: list[str] = field(default_factory=list)  # "GET /v2/… Bearer"

    def add(self, name: str, layers: list[int], platforms: list[dict[str, str]] | None = None,
            diffs: list[str] | None = None, seed: str = "") -> str:  # fmt: skip
        """An image whose layers have these compressed sizes; layers of one size and seed are the same one."""
        entries = [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": size,
                    "digest": digest_of(f"{seed}{size}".encode())} for size in layers]  # fmt: skip
        found = diffs if diffs is not None else [digest_of(f"diff {seed}{size}".encode()) for size in layers]
        config = self._keep({"rootfs": {"type": "layers", "diff_ids": found}, "made": f"{name}{seed}"}, "config")
        digest = self._keep({"schemaVersion": 2, "config": {"digest": config}, "layers": entries}, MANIFEST)
        if platforms is not None:
            parts = [{"digest": digest, "platform": one} for one in platforms]
            digest = self._keep({"schemaVersion": 2, "manifests": parts}, LIST)
        self.tags[name] = digest
        return digest

    def put(self, name: str, document: Any, kind: str = MANIFEST) -> None:
        self.tags[name] = self._keep(document, kind)

    def layers_of(self, digest: str) -> list[int]:
        """The sizes of an image's layers; of the first one of a list."""
        document = json.loads(self.documents[digest])
        if "manifests" in document:
            return self.layers_of(document["manifests"][0]["digest"])
        return [int(layer["size"]) for layer in document["layers"]]

    def _keep(self, document: Any, kind: str) -> str:
        body = json.dumps(document).encode()
        self.documents[digest_of(body)] = body
        self.kinds[digest_of(body)] = kind
        return digest_of(body)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        registry: RegistryServer = self.server.registry
        authorization = self.headers.get("Authorization", "")
        registry.asked.append(" ".join([self.command, self.path, authorization.partition(" ")[0]]).strip())
        if self.path.startswith("/token"):
            self.token(registry, authorization)
        elif registry.page is not None:
            self.send(200, registry.page, {"Content-Type": "text/html"})
        elif registry.drips:
            self.drip()
        elif registry.flood:
            self.send(200, b" " * (5 * 1024 * 1024), {})
        elif registry.redirect:
            self.send(307, b"", {"Location": registry.redirect + self.path})
        elif registry.basic and authorization != f"Basic {base64.b64encode(registry.basic.encode()).decode()}":
            self.no(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": 'Basic realm="here"'})
        elif registry.account and authorization != "Bearer let-me-in":
            realm = registry.realm or f"http://{registry.host}/token"
            challenge = f'Bearer realm="{realm}",service="here",scope="repository:a/b:pull"'
            self.no(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": challenge})
        elif not with_body and not registry.has_head:
            self.send(405, b"", {})
        else:
            self.document(registry)

    def token(self, registry: RegistryServer, authorization: str) -> None:
        wanted = f"Basic {base64.b64encode((registry.account or '').encode()).decode()}"
        if authorization == wanted or (not authorization and registry.anonymous):
            self.send(200, b'{"token": "let-me-in"}', {})
        else:
            self.send(401, b'{"details": "incorrect username or password"}', {})

    def document(self, registry: RegistryServer) -> None:
        path, kind, name = self.path.removeprefix("/v2/").rsplit("/", 2)
        limit = registry.limits.get(path)
        if limit and kind == "manifests" and (limit.times is None or limit.times > 0):
            limit.times = limit.times and limit.times - 1
            headers = {"Retry-After": limit.retry_after} if limit.retry_after is not None else {}
            self.no(429, "TOOMANYREQUESTS", "You have reached your pull rate limit.", headers)
            return
        digest = registry.tags.get(f"{path}:{name}", name)
        if digest not in registry.documents:
            self.no(404, "MANIFEST_UNKNOWN", "manifest unknown", {})
            return
        body = b'{"layers": []}' if registry.lies else registry.documents[digest]
        self.send(200, body, {"Docker-Content-Digest": digest, "Content-Type": registry.kinds[digest]})

    def no(self, status: int, code: str, message: str, headers: dict[str, str]) -> None:
        self.send(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), headers)

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        try:
            for _ in range(200):
                self.wfile.write(b"a")
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients that hang up are what is tested."""


@contextmanager
def serving() -> Iterator[RegistryServer]:
    server = Server(("127.0.0.1", 0), Handler)
    registry = RegistryServer(host=f"127.0.0.1:{server.server_address[1]}")
    server.registry = registry  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
