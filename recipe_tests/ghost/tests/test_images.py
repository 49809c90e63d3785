"""Pictures go into the content volume, and come back in the sizes that pages ask for."""

import secrets
import struct
import zlib

WIDTH, HEIGHT = 800, 450


def png(width: int, height: int) -> bytes:
    """A picture that no other one is like: a few random colours, in bars."""
    colours = [secrets.token_bytes(3) for _ in range(8)]
    row = b"\0" + b"".join(colours[x * len(colours) // width] for x in range(width))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row * height)) + chunk(b"IEND", b"")
    )  # fmt: skip


def size(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG\r\n\x1a\n"), f"no PNG: {picture[:16]!r}"
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def test_an_uploaded_picture_is_kept_and_resized(app, owner, words, public):
    picture, name = png(WIDTH, HEIGHT), f"{words.replace('ä', 'a')}.png"
    sent = owner.http.post(
        f"{owner.api}/images/upload/", files={"file": (name, picture, "image/png")},
        data={"purpose": "image", "ref": words},
    )  # fmt: skip
    assert sent.status_code == 201, f"not uploaded: {sent.status_code} {sent.text[:200]}"
    (kept,) = sent.json()["images"]
    assert kept["ref"] == words
    assert kept["url"].startswith(f"{app.url.rstrip('/')}/content/images/"), kept["url"]
    path = kept["url"].removeprefix(app.url.rstrip("/"))

    # Ghost keeps what it got beside what it shows, which it may have packed better.
    assert public(path.replace(".png", "_o.png"), 200).content == picture
    shown = public(path, 200)
    assert shown.headers["Content-Type"] == "image/png"
    assert size(shown.content) == (WIDTH, HEIGHT)
    small = public(path.replace("/content/images/", "/content/images/size/w600/"), 200)
    assert size(small.content) in ((600, 337), (600, 338))

    post = owner.writes(f"With a picture {words}", "<p>See above</p>", feature_image=kept["url"])
    page = public(f"/{post['slug']}/", 200).text
    assert path.rpartition("/")[2] in page, "the post's page does not show the picture"
