"""Files that people send each other."""

import secrets
import struct
import zlib

PNG = b"\x89PNG\r\n\x1a\n"
UPLOAD = "/_matrix/media/v3/upload"
DOWNLOAD = "/_matrix/client/v1/media/download"
THUMBNAIL = "/_matrix/client/v1/media/thumbnail"


def upload(person, content, kind, name):
    """The file's place, `server/id`."""
    answer = person.http.post(UPLOAD, params={"filename": name}, data=content, headers={"Content-Type": kind})
    assert answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}"
    return answer.json()["content_uri"].removeprefix("mxc://")


def picture(width, height):
    """A PNG with another colour each time."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    lines = (b"\0" + secrets.token_bytes(3) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def test_a_file_comes_back_byte_for_byte(app, people):
    anna, ben = people("anna", "ben")
    content = secrets.token_bytes(300_000)
    place = upload(anna, content, "application/octet-stream", "recipe.bin")
    assert place.startswith(f"{app.domain}/")
    found = ben.http.get(f"{DOWNLOAD}/{place}")
    assert found.status_code == 200, f"{found.status_code} {found.text[:300]}"
    assert found.content == content
    assert "recipe.bin" in found.headers["Content-Disposition"]

    stranger = app.http().get(f"{DOWNLOAD}/{place}")
    assert (stranger.status_code, stranger.json()["errcode"]) == (401, "M_MISSING_TOKEN")
    # The old address, which asks nobody who they are, does not know it.
    old = app.http().get(f"/_matrix/media/v3/download/{place}")
    assert (old.status_code, old.json()["errcode"]) == (404, "M_NOT_FOUND")


def test_a_picture_gets_a_thumbnail(people):
    anna, ben = people("anna", "ben")
    place = upload(anna, picture(800, 600), "image/png", "cat.png")
    size = {"width": 96, "height": 96, "method": "crop"}
    found = ben.http.get(f"{THUMBNAIL}/{place}", params=size)
    assert (found.status_code, found.headers["Content-Type"]) == (200, "image/png"), found.text[:300]
    assert found.content.startswith(PNG)
    assert struct.unpack(">II", found.content[16:24]) == (96, 96)
