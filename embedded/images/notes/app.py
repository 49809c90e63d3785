#!/usr/bin/env python3
"""A small web application that keeps notes in PostgreSQL: what a recipe with a database needs to be tested for real.

    GET  /          the notes as a page, with a form      GET  /notes     [{id, text, pinned}]
    POST /notes     text=…&pinned=1 → 303 to /            GET  /healthz   {"status": "ok", "version": …}

    notes serve | notes check        (check: return code 0 when the running server is healthy)

Settings: DB_HOST, DB_NAME, DB_USER, DB_PASSWORD_FILE, NOTES_VERSION (of the image; older ones have no pinned notes).
"""

from __future__ import annotations

import html
import json
import os
import signal
import sys
import time
import urllib.request
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import psycopg2

PORT = 8000
VERSION = os.environ.get("NOTES_VERSION", "1.1.0")
PINNING = tuple(map(int, VERSION.split("."))) >= (1, 1)
SCHEMA = ["CREATE TABLE IF NOT EXISTS notes (id serial PRIMARY KEY, text text NOT NULL)"]
if PINNING:
    SCHEMA.append("ALTER TABLE notes ADD COLUMN IF NOT EXISTS pinned boolean NOT NULL DEFAULT false")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Notes</title><link rel="icon" href="data:,"></head>
<body><h1>Notes</h1><ul id="notes">{notes}</ul>
<form method="post" action="/notes"><input name="text" required maxlength="1000">{pin}<button>Add</button></form>
</body></html>
"""
PIN = '<label><input type="checkbox" name="pinned" value="1"> pin</label>'


def connect():
    """A connection for one request: it cannot have been broken by a database that was restored meanwhile."""
    return psycopg2.connect(
        host=os.environ["DB_HOST"],
        dbname=os.environ["DB_NAME"],
        user=os.environ["DB_USER"],
        password=Path(os.environ["DB_PASSWORD_FILE"]).read_text().strip(),
        connect_timeout=5,
    )


def query(statement, values=()):
    """Runs one statement in a transaction of its own and returns its rows."""
    connection = connect()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def notes():
    if PINNING:
        rows = query("SELECT id, text, pinned FROM notes ORDER BY pinned DESC, id")
        return [{"id": row[0], "text": row[1], "pinned": row[2]} for row in rows]
    return [{"id": row[0], "text": row[1]} for row in query("SELECT id, text FROM notes ORDER BY id")]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "notes"

    def do_GET(self):
        try:
            if self.path == "/":
                items = "".join(f"<li>{html.escape(note['text'])}</li>" for note in notes())
                self.answer(PAGE.format(notes=items, pin=PIN if PINNING else ""), "text/html; charset=utf-8")
            elif self.path == "/notes":
                self.answer(json.dumps(notes()), "application/json")
            elif self.path == "/healthz":
                query("SELECT count(*) FROM notes")
                self.answer(json.dumps({"status": "ok", "version": VERSION}), "application/json")
            else:
                self.answer("There is no such page.\n", status=HTTPStatus.NOT_FOUND)
        except psycopg2.Error as error:
            self.failed(error)

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        form = parse_qs(self.rfile.read(min(length, 65536)).decode("utf-8", "replace"))
        text = form.get("text", [""])[0].strip()[:1000]
        if self.path != "/notes":
            self.answer("There is no such page.\n", status=HTTPStatus.NOT_FOUND)
            return
        if not text:
            self.answer("A note needs a text.\n", status=HTTPStatus.BAD_REQUEST)
            return
        try:
            if PINNING:
                query("INSERT INTO notes (text, pinned) VALUES (%s, %s)", (text, "pinned" in form))
            else:
                query("INSERT INTO notes (text) VALUES (%s)", (text,))
        except psycopg2.Error as error:
            self.failed(error)
            return
        self.answer("", status=HTTPStatus.SEE_OTHER, location="/")

    def answer(self, body, kind="text/plain; charset=utf-8", status=HTTPStatus.OK, location=None):
        raw = body.encode()
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def failed(self, error):
        sys.stderr.write(f"{self.path}: {error}\n")
        self.answer("The database does not answer.\n", status=HTTPStatus.INTERNAL_SERVER_ERROR)


def prepare(limit=60.0):
    """Makes or updates the tables; waits for a database that is still starting, at most `limit` seconds."""
    deadline = time.monotonic() + limit
    while True:
        try:
            for statement in SCHEMA:
                query(statement)
            return
        except psycopg2.OperationalError as error:
            if time.monotonic() > deadline:
                raise
            sys.stderr.write(f"waiting for the database: {str(error).strip()}\n")
            time.sleep(0.5)


def main():
    if sys.argv[1:] == ["check"]:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=5).close()
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the first process of a container ignores it by default
    prepare()
    sys.stderr.write(f"notes {VERSION} listens on port {PORT}\n")
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()


if __name__ == "__main__":
    main()
