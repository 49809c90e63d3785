#!/usr/bin/python3
"""A small web client for a Mumble server: a page, and a bridge from its WebSocket to the server's own port.

It stands in for mumble-web, which no package registry has, and does what that does: the page speaks Mumble's protocol
itself, and the bridge only puts it into TLS. It knows text, no sound.
"""

import asyncio
import contextlib
import hashlib
import os
import ssl
from pathlib import Path

from aiohttp import WSMsgType, web

STATIC = Path("/usr/local/share/mumble-web")
HOST, _, PORT = os.environ.get("MUMBLE_SERVER", "app:64738").partition(":")
LIMIT = 5.0  # seconds for the server's first words
PIECE = 65536


def no_authority() -> ssl.SSLContext:
    """A Mumble server vouches for itself: people recognise its certificate, and the page shows them which it is."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def connect():
    return await asyncio.wait_for(asyncio.open_connection(HOST, int(PORT), ssl=no_authority()), LIMIT)


async def first_message(reader) -> bytes:
    """The server begins with its version: type 0, length, the message."""
    head = await reader.readexactly(6)
    if head[:2] != b"\0\0":
        raise ValueError("this is no Mumble server")
    return await reader.readexactly(int.from_bytes(head[2:], "big"))


def release_of(message: bytes) -> str:
    """Field 2 of the message Version."""
    place = 0
    while place < len(message):
        tag, place = message[place], place + 1
        if tag & 7 == 2:
            length = message[place]
            if tag >> 3 == 2:
                return message[place + 1 : place + 1 + length].decode("utf-8", "replace")
            place += 1 + length
        else:
            while message[place] & 0x80:
                place += 1
            place += 1
    raise ValueError("the server does not say its release")


async def status(_request):
    """What the page shows before anybody is connected: the server's release and its certificate."""
    try:
        reader, writer = await connect()
        try:
            release = release_of(await asyncio.wait_for(first_message(reader), LIMIT))
            certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        finally:
            writer.close()
    except (TimeoutError, OSError, ValueError, EOFError) as error:
        return web.json_response({"server": "away", "why": str(error) or type(error).__name__}, status=503)
    return web.json_response(
        {"server": "ready", "release": release, "certificate": hashlib.sha256(certificate).hexdigest()}
    )


async def bridge(request):
    """Bytes of the WebSocket are bytes of the server's port, and the other way round, until one of them ends."""
    socket = web.WebSocketResponse(max_msg_size=2**20)
    await socket.prepare(request)
    try:
        reader, writer = await connect()
    except (TimeoutError, OSError):
        await socket.close(code=1011, message=b"the voice server is away")
        return socket

    async def downwards():
        while piece := await reader.read(PIECE):
            await socket.send_bytes(piece)
        await socket.close()

    down = asyncio.ensure_future(downwards())
    try:
        async for message in socket:
            if message.type != WSMsgType.BINARY:
                break
            writer.write(message.data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        down.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await down
        writer.close()
    return socket


async def page(_request):
    return web.FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


def main() -> None:
    app = web.Application()
    app.add_routes([web.get("/", page), web.get("/status", status), web.get("/ws", bridge)])
    app.add_routes([web.static("/static", STATIC)])
    web.run_app(app, port=8080, print=None)


if __name__ == "__main__":
    main()
