"""A small HTTP server on a unix socket that answers for images as the engine does. It pulls by asking the registry.

What the real engine makes of all this is tested with the mark `docker`; here are the answers that it gives rarely.
"""

from __future__ import annotations

import json
import socketserver
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from registry_server import RegistryServer

from ccci_host.docker import Client


@dataclass
class EngineServer:
    """`images` {name or repository@digest: what inspect says}; `refusals` are what the next pulls are answered."""

    client: Client
    root: str
    registry: RegistryServer
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    pulled: list[str] = field(default_factory=list)
    tagged: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)

    def have(self, repository: str, tag: str, digest: str, layers: list[str] | None = None, size: int = 1000) -> None:
        entry = {"Id": f"sha256:id-{repository}-{digest}", "RepoDigests": [f"{repository}@{digest}"], "Size": size,
                 "RootFS": {"Layers": layers or []}}  # fmt: skip
        self.images[f"{repository}@{digest}"] = entry
        self.images[entry["Id"]] = entry
        if tag:
            self.images[f"{repository}:{tag}"] = entry


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    def address_string(self) -> str:
        return "unix"

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer()

    def answer(self) -> None:
        engine: EngineServer = self.server.engine
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        path = parts.path.removeprefix("/v1.44")
        if path == "/_ping":
            self.send(200, {})
        elif path == "/info":
            self.send(200, {"DockerRootDir": engine.root})
        elif path == "/version":
            self.send(200, {"Os": "linux", "Arch": "amd64"})
        elif path == "/images/json":
            self.send(200, list({one["Id"]: one for one in engine.images.values()}.values()))
        elif path == "/images/create":
            self.pull(engine, query)
        elif path.endswith("/tag"):
            engine.tagged.append(f"{query['repo']}:{query['tag']}")
            engine.images[engine.tagged[-1]] = engine.images[path[len("/images/") : -len("/tag")]]
            self.send(201, {})
        elif path.startswith("/images/"):
            found = engine.images.get(path[len("/images/") : -len("/json")])
            self.send(200 if found else 404, found or {"message": "No such image"})
        else:
            self.send(500, {"message": "dial tcp: connect: connection refused"})

    def pull(self, engine: EngineServer, query: dict[str, str]) -> None:
        repository, tag = query["fromImage"], query["tag"]
        engine.credentials.append(self.headers.get("X-Registry-Auth", ""))
        if engine.refusals:
            self.send(200, {"error": engine.refusals.pop(0)})
            return
        path = repository.partition("/")[2]
        digest = tag if ":" in tag else engine.registry.tags[f"{path}:{tag}"]
        engine.pulled.append(f"{repository}:{tag}")
        layers = engine.registry.layers_of(digest)
        engine.have(repository, "" if tag == digest else tag, digest, size=3 * sum(layers))
        events = [{"id": str(size), "status": "Downloading", "progressDetail": {"current": size // 2, "total": size}}
                  for size in layers]  # fmt: skip
        self.send(200, *events, *({"id": str(size), "status": "Download complete"} for size in layers))

    def send(self, status: int, *documents: Any) -> None:
        body = "\n".join(map(json.dumps, documents)).encode()
        self.send_response(status)
        self.send_header("Api-Version", "1.44")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextmanager
def running(folder: Path, registry: RegistryServer) -> Iterator[EngineServer]:
    path = str(folder / "engine.sock")
    server = Server(path, Handler)
    engine = EngineServer(Client(path, timeout=10), str(folder), registry)
    server.engine = engine  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield engine
    finally:
        server.shutdown()
        server.server_close()
