"""What an office server is to Drive: a discovery document on port 9980, and slow to begin with.

Settings: OFFICE_URL (its public address), OFFICE_BOOT_SECONDS (until then the discovery is 404, while the container
runs and the port is open).
"""

import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BOOT = float(os.environ.get("OFFICE_BOOT_SECONDS", "0"))
URL = os.environ["OFFICE_URL"].rstrip("/")
BEGAN = time.monotonic()
APPS = {"writer": ("odt", "docx", "doc"), "calc": ("ods", "xlsx", "xls"), "impress": ("odp", "pptx", "ppt")}


def discovery():
    parts = []
    for app, extensions in APPS.items():
        actions = "".join(
            f'<action default="true" ext="{extension}" name="edit" urlsrc="{URL}/browser/stand-in/cool.html?"/>'
            for extension in extensions
        )
        parts.append(f'<app favIconUrl="{URL}/favicon.ico" name="{app}">{actions}</app>')
    return f'<wopi-discovery><net-zone name="external-https">{"".join(parts)}</net-zone></wopi-discovery>\n'


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        booted = time.monotonic() - BEGAN >= BOOT
        if self.path == "/hosting/discovery" and booted:
            self.answer(200, "text/xml", discovery())
        elif self.path == "/":
            self.answer(200, "text/plain", "OK")
        else:
            self.answer(404, "text/plain", "There is no such page.\n")

    def answer(self, status, kind, text):
        raw = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the first process of a container ignores it by default
ThreadingHTTPServer(("", 9980), Handler).serve_forever()
