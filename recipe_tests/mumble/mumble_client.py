"""A client of Mumble's protocol, as far as text needs it: no sound, no library that would need one for it.

A message is its type (2 bytes), its length (4 bytes) and a protobuf. Those that are used here are few, and simple
enough to be read and written by hand; fields have their numbers from Mumble.proto.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

PORT = 64738
LIMIT = 15.0  # seconds until an answer that must come is there
VERSION, AUTHENTICATE, REJECT, SYNC, CHANNEL_REMOVE, CHANNEL, USER_REMOVE, USER = 0, 2, 4, 5, 6, 7, 8, 9
TEXT, DENIED, CONFIG = 11, 12, 24
RELEASE = (1 << 16) + (4 << 8)  # what this client says it is, 1.4.0: older ones are warned of what they do not know
SUPERUSER = "SuperUser"
Fields = dict[int, list[Any]]


class Refused(Exception):  # noqa: N818 - says what happened
    """The server said no; the text has its words."""


def encode(fields: dict[int, int | str]) -> bytes:
    written = b""
    for number, value in fields.items():
        if isinstance(value, int):
            written += _varint(number << 3) + _varint(value)
        else:
            raw = value.encode()
            written += _varint(number << 3 | 2) + _varint(len(raw)) + raw
    return written


def decode(raw: bytes) -> Fields:
    """{field: its values in their order}; texts stay bytes."""
    found: Fields = {}
    place = 0
    while place < len(raw):
        tag, place = _read_varint(raw, place)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, place = _read_varint(raw, place)
        else:
            length, place = _read_varint(raw, place) if kind == 2 else ({1: 8, 5: 4}[kind], place)
            value, place = raw[place : place + length], place + length
        found.setdefault(number, []).append(value)
    return found


def number_in(fields: Fields, number: int, default: int = 0) -> int:
    return int(fields[number][-1]) if number in fields else default


def text_in(fields: Fields, number: int) -> str:
    return fields[number][-1].decode() if number in fields else ""


class Native:
    """The server's own port: TLS with a certificate by which people recognise it, for no authority vouches for it."""

    def __init__(self, connection: socket.socket) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._socket = context.wrap_socket(connection)
        self.fingerprint = hashlib.sha256(self._socket.getpeercert(binary_form=True) or b"").hexdigest()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        return self._socket.recv(65536)

    def close(self) -> None:
        self._socket.close()


class Web:
    """The bridge of the web client: the same bytes in the frames of a WebSocket."""

    def __init__(self, connection: socket.socket, host: str) -> None:
        self._socket, self._read = connection, b""
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        asked = f"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        connection.sendall(f"{asked}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        status = head.split(b"\r\n")[0].decode()
        if " 101" not in status:
            raise OSError(f"the web client gives no WebSocket: {status}")

    def send(self, data: bytes) -> None:
        self._frame(2, data)

    def receive(self) -> bytes:
        """What the next frame with data holds; nothing at the end."""
        while True:
            opcode, data = self._next()
            if opcode == 8:
                return b""
            if opcode == 9:
                self._frame(10, data)
            elif opcode in (0, 2):
                return data

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._frame(8, b"")
        self._socket.close()

    def _frame(self, opcode: int, data: bytes) -> None:
        size = bytes([len(data) | 128]) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
        mask = secrets.token_bytes(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))
        self._socket.sendall(bytes([128 | opcode]) + size + mask + masked)

    def _next(self) -> tuple[int, bytes]:
        first, length = self._take(2)
        if length >= 126:
            (length,) = struct.unpack(*(("!H", self._take(2)) if length == 126 else ("!Q", self._take(8))))
        return first & 15, self._take(length)

    def _take(self, size: int) -> bytes:
        while len(self._read) < size:
            self._more()
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    def _more(self) -> None:
        piece = self._socket.recv(65536)
        if not piece:
            raise OSError("the web client ended the connection")
        self._read += piece


@dataclass
class Person:
    """Somebody who is connected, and what the server has told them. `channels` {id: (name, description)}, `users`
    {session: name}, `texts` (session of who said it, text)."""

    wire: Native | Web
    session: int = 0
    release: str = ""
    welcome: str = ""
    bandwidth: int = 0
    config: Fields = field(default_factory=dict)
    channels: dict[int, tuple[str, str]] = field(default_factory=dict)
    users: dict[int, str] = field(default_factory=dict)
    texts: list[tuple[int, str]] = field(default_factory=list)
    _read: bytes = b""

    def join(self, name: str, password: str = "") -> None:
        """Everything up to the server's word that it has told all. Refused with its words."""
        self.send(VERSION, {1: RELEASE, 2: "ccci"})
        self.send(AUTHENTICATE, {1: name, **({2: password} if password else {}), 5: 1})
        self.until("the server has told everything", lambda: bool(self.session))

    def until(self, what: str, done: Any) -> None:
        """Reads until `done()`; an AssertionError with `what` when that takes too long."""
        deadline = time.monotonic() + LIMIT
        while not done():
            assert time.monotonic() < deadline, f"after {LIMIT:.0f} s it does not hold that {what}"
            self._take(*self._next())

    def say(self, text: str) -> None:
        """To everybody: to the root channel and all below."""
        self.send(TEXT, {4: 0, 5: text})

    def make_channel(self, name: str, description: str = "") -> None:
        self.send(CHANNEL, {2: 0, 3: name, 5: description})
        self.until(f"there is a channel {name}", lambda: self.channel(name) is not None)

    def remove_channel(self, name: str) -> None:
        id = self.channel(name)
        if id is not None:
            self.send(CHANNEL_REMOVE, {1: id})
            self.until(f"the channel {name} is gone", lambda: id not in self.channels)

    def channel(self, name: str) -> int | None:
        return next((id for id, (known, _) in self.channels.items() if known == name), None)

    def send(self, kind: int, fields: dict[int, int | str]) -> None:
        body = encode(fields)
        self.wire.send(struct.pack("!HI", kind, len(body)) + body)

    def _next(self) -> tuple[int, bytes]:
        while True:
            if len(self._read) >= 6:
                kind, length = struct.unpack("!HI", self._read[:6])
                if len(self._read) >= 6 + length:
                    body, self._read = self._read[6 : 6 + length], self._read[6 + length :]
                    return kind, body
            piece = self.wire.receive()
            if not piece:
                raise OSError("the server ended the connection")
            self._read += piece

    def _take(self, kind: int, body: bytes) -> None:
        if kind == VERSION:
            self.release = text_in(decode(body), 2)
        elif kind in (REJECT, DENIED):
            it = decode(body)
            raise Refused(text_in(it, 2 if kind == REJECT else 4) or f"message {kind}: {it}")
        elif kind == SYNC:
            it = decode(body)
            self.session, self.bandwidth, self.welcome = number_in(it, 1), number_in(it, 2), text_in(it, 3)
        elif kind == CONFIG:
            self.config = decode(body)
        elif kind == CHANNEL:
            it = decode(body)
            name, description = self.channels.get(number_in(it, 1), ("", ""))
            self.channels[number_in(it, 1)] = (text_in(it, 3) or name, text_in(it, 5) or description)
        elif kind == CHANNEL_REMOVE:
            self.channels.pop(number_in(decode(body), 1), None)
        elif kind == USER:
            it = decode(body)
            self.users[number_in(it, 1)] = text_in(it, 3) or self.users.get(number_in(it, 1), "")
        elif kind == USER_REMOVE:
            self.users.pop(number_in(decode(body), 1), None)
        elif kind == TEXT:
            it = decode(body)
            self.texts.append((number_in(it, 1), text_in(it, 5)))


@contextlib.contextmanager
def native(app: Any, name: str, password: str = "") -> Iterator[Person]:
    """Somebody with a client of their own, on the server's published port."""
    yield from _joined(Native(app.connect(PORT)), name, password)


@contextlib.contextmanager
def over_web(app: Any, name: str, password: str = "") -> Iterator[Person]:
    """Somebody who comes through the web client, as in a version that publishes no port."""
    yield from _joined(Web(app.connect(443, tls=True), app.domain), name, password)


def _joined(wire: Native | Web, name: str, password: str) -> Iterator[Person]:
    person = Person(wire)
    try:
        person.join(name, password)
        yield person
    finally:
        wire.close()


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def _read_varint(raw: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, place = raw[place], place + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
