#!/usr/bin/env python3
"""A registry in front of the node's own: it hands everything on, but for the images that it is told to refuse.

    front.py PORT RULES      RULES as JSON: [{"path": regular expression, "times": N, "retry_after": seconds}]

It answers 429 `toomanyrequests` to the first N requests that a rule fits. Each request is one JSON line on stdout:
{"at", "method", "path", "status", "bytes"}. It ends with its standard input. Standard library only, for the node.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEHIND = ("127.0.0.1", 5000)
# Docker Hub's own words.
WORDS = "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"
rules = json.loads(sys.argv[2])
turn = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        rule = self.refused()
        if rule is not None:
            body = json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": WORDS}]}).encode()
            headers = {"Content-Type": "application/json", "Retry-After": str(rule["retry_after"])}
            self.reply(429, headers, body)
            return
        behind = http.client.HTTPConnection(*BEHIND, timeout=60)
        # All of them: for the first alone, the registry would translate its manifests into an older form.
        behind.request(
            self.command, self.path, headers={"Accept": ", ".join(self.headers.get_all("Accept") or ["*/*"])}
        )
        answer = behind.getresponse()
        body = answer.read()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in ("date", "connection")}
        self.reply(answer.status, headers, body)
        behind.close()

    def do_HEAD(self):
        self.do_GET()

    def refused(self):
        with turn:
            for rule in rules:
                if rule["times"] > 0 and re.search(rule["path"], self.path):
                    rule["times"] -= 1
                    return rule
        return None

    def reply(self, status, headers, body):
        with turn:
            line = {
                "at": time.time(),
                "method": self.command,
                "path": self.path,
                "status": status,
                "bytes": len(body),
            }
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write('{"ready": true}\n')
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
