"""Catches every mail: SMTP on port 1025; GET /messages on port 1080 lists what came, the newest last."""

import email
import json
import signal
import sys
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller

KEPT = 100  # messages
messages = []


class Catcher:
    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802
        parsed = email.message_from_bytes(envelope.content, policy=default)
        body = parsed.get_body()
        messages.append(
            {
                "sender": envelope.mail_from,
                "recipients": envelope.rcpt_tos,
                "subject": parsed["subject"],
                "text": body.get_content() if body else "",
            }
        )
        del messages[:-KEPT]
        return "250 OK"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        raw = json.dumps(messages).encode()
        self.send_response(200 if self.path == "/messages" else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the first process of a container ignores it by default
Controller(Catcher(), hostname="0.0.0.0", port=1025).start()  # noqa: S104
ThreadingHTTPServer(("", 1080), Handler).serve_forever()
