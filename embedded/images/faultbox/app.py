#!/usr/bin/env python3
"""A small web application that fails in the way its environment says: what the fault suite deploys.

    GET /          a page                       GET /healthz   {"status": "ok", "version": …}
    GET /notes     what was written             POST /notes    keeps the body as one more line → 201
    GET /frame     a page whose frame shows a button once it is warm

    faultbox serve         follows BOOT, then listens on PORT (8000)
    faultbox check         return code 0 when the running server is healthy
    faultbox do STEPS      follows steps and ends, as hooks do

BOOT and STEPS are steps separated by `;`, followed one after the other:

    say TEXT          writes TEXT into the log
    wait N            takes N seconds
    exit N            ends with this exit code
    need HOST PORT    ends with exit code 1 when nothing listens there
    fill N            writes N MiB into the volume /data
    eat N             takes N MiB of memory
    init N            makes a database in /data, which takes N seconds and must not be broken off
    once STEP         follows STEP only if /data does not know of it yet
    break N           lets every write fail for N seconds

SERVE is how requests are answered: `placeholder N` (each page says "starting up" for N seconds), `slow N` (the page /
takes N seconds), `cold N` (the button is not there for N seconds after the first look at it). Nothing: at once.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = int(os.environ.get("PORT", "8000"))
VERSION = os.environ.get("FAULTBOX_VERSION", "0")
DATA = Path("/data")
NOTES, BROKEN_UNTIL = DATA / "notes.txt", Path("/run/broken-until")
MIB = 2**20
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Faultbox</title><link rel="icon" href="data:,"></head>
<body>{body}</body></html>
"""
started = time.monotonic()
memory = []  # what `eat` took
first_look = []  # when /button was first asked for


def say(text):
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def end(code):
    os._exit(int(code))  # at once, from any thread and from inside a signal


def need(host, port):
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError as error:
        say(f"connect ECONNREFUSED {host}:{port} ({error})")
        end(1)


def fill(size):
    try:
        with (DATA / "init.bin").open("wb") as file:
            for _ in range(int(size)):
                file.write(b"\1" * MIB)
                file.flush()
    except OSError as error:
        say(f"FATAL: could not write init file: {error.strerror}")
        end(1)


def eat(size):
    for _ in range(int(size) // 4):
        memory.append(b"\1" * 4 * MIB)
        time.sleep(0.01)


def init(seconds):
    """As InnoDB does: a start that finds half a database cannot repair it."""
    done, half = DATA / "initialised", DATA / "initialising"
    if done.exists():
        return
    if half.exists():
        say("[ERROR] InnoDB: Missing MLOG_CHECKPOINT between the checkpoint and the end of the redo log")
        end(1)
    half.touch()
    say("initialising the database")
    time.sleep(float(seconds))
    half.rename(done)


def once(*step):
    known = DATA / f".once-{'-'.join(step)}"
    if not known.exists():
        known.touch()
        follow(" ".join(step))


STEPS = {
    "say": lambda *words: say(" ".join(words)),
    "wait": lambda seconds: time.sleep(float(seconds)),
    "exit": end,
    "need": need,
    "fill": fill,
    "eat": eat,
    "init": init,
    "once": once,
    "break": lambda seconds: BROKEN_UNTIL.write_text(str(time.time() + float(seconds))),
}


def follow(steps):
    for step in filter(None, (step.strip() for step in steps.split(";"))):
        name, *words = step.split()
        STEPS[name](*words)


def serve_word(name):
    """Seconds that SERVE gives for this word, 0 when it does not have it."""
    word, _, seconds = os.environ.get("SERVE", "").partition(" ")
    return float(seconds) if word == name else 0.0


def is_broken():
    return BROKEN_UNTIL.exists() and time.time() < float(BROKEN_UNTIL.read_text())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "faultbox"

    def do_GET(self):
        path = self.path.removeprefix("/side")  # the ingress sends the second service what begins with /side
        if time.monotonic() - started < serve_word("placeholder"):
            self.answer(PAGE.format(body="<p>Faultbox is starting up …</p>"), "text/html; charset=utf-8")
        elif path in ("/", ""):
            time.sleep(serve_word("slow"))
            self.answer(PAGE.format(body=f"<h1>Faultbox {VERSION}</h1>"), "text/html; charset=utf-8")
        elif path == "/healthz":
            self.answer(json.dumps({"status": "ok", "version": VERSION}), "application/json")
        elif path == "/notes":
            self.answer(NOTES.read_text() if NOTES.exists() else "")
        elif path == "/frame":
            self.answer(PAGE.format(body='<iframe name="editor" src="/button"></iframe>'), "text/html; charset=utf-8")
        elif path == "/button":
            first_look.append(time.monotonic())
            warm = time.monotonic() - first_look[0] >= serve_word("cold")
            body = '<button id="ready">Ready</button>' if warm else "<p>compiling</p>"
            self.answer(PAGE.format(body=body), "text/html; charset=utf-8")
        else:
            self.answer("There is no such page.\n", status=404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        if is_broken():
            self.answer("The database does not answer.\n", status=500)
        elif not body.strip():
            self.answer("A note needs a text.\n", status=400)
        else:
            with NOTES.open("a") as file:
                file.write(f"{body.strip()}\n")
            self.answer("kept\n", status=201)

    def answer(self, text, kind="text/plain; charset=utf-8", status=200):
        raw = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def serve():
    def stop_while_booting(*_):
        say("Shutdown requested while starting up")
        end(70)

    signal.signal(signal.SIGTERM, stop_while_booting)
    follow(os.environ.get("BOOT", ""))
    signal.signal(signal.SIGTERM, lambda *_: end(0))
    say(f"faultbox {VERSION} listens on port {PORT}")
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()


def main(verb="serve", *words):
    if verb == "serve":
        serve()
    elif verb == "check":
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=5).close()
    elif verb == "do":
        follow(" ".join(words))
    else:
        sys.exit(f"faultbox: no verb {verb!r}; there are serve, check, do")


if __name__ == "__main__":
    main(*sys.argv[1:])
