"""What people keep on a PDS: posts and files, which anybody can read."""

import secrets
import struct
import zlib
from urllib.parse import urlencode

from atproto import CAR, CID
from bluesky_pds_client import POSTS, XRPC, given, record


def picture() -> bytes:
    """A PNG of 64 random grey dots: the server looks into a file to see what it is."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = b"".join(b"\0" + secrets.token_bytes(8) for _ in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def key_of(post) -> str:
    return post.uri.rpartition("/")[2]


def test_a_post_is_read_back_and_taken_away(app, account, client):
    text = f"Posted by {secrets.token_hex(8)}, märked ✓"
    post = client.send_post(text, profile_identify=account.did)
    assert post.uri.startswith(f"at://{account.did}/{POSTS}/")
    found = record(app, account.did, key_of(post))
    assert found is not None
    assert (found["text"], found["$type"]) == (text, POSTS)
    listed = app.http().get(f"{XRPC}repo.listRecords", params={"repo": account.handle, "collection": POSTS})
    assert [one["cid"] for one in given(listed, "no list of posts")["records"]] == [post.cid]

    assert client.delete_post(post.uri)
    assert record(app, account.did, key_of(post)) is None, "a post that was deleted is still there"


def test_a_file_comes_back_byte_by_byte(app, account, client):
    data = picture()
    post = client.send_image("A picture", data, image_alt="Grey dots", profile_identify=account.did)
    found = record(app, account.did, key_of(post))
    assert found is not None
    blob = found["embed"]["images"][0]["image"]
    assert (blob["mimeType"], blob["size"]) == ("image/png", len(data))
    answer = app.http().get(f"{XRPC}sync.getBlob", params={"did": account.did, "cid": blob["ref"]["$link"]})
    assert answer.status_code == 200, f"{answer.status_code} {answer.text[:200]}"
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.content == data


def test_a_repository_can_be_taken_along(app, account, client):
    text = f"Taken along: {secrets.token_hex(8)}"
    post = client.send_post(text, profile_identify=account.did)
    answer = app.http().get(f"{XRPC}sync.getRepo", params={"did": account.did})
    assert answer.status_code == 200, f"{answer.status_code} {answer.text[:200]}"
    archive = CAR.from_bytes(answer.content)
    assert archive.blocks[CID.decode(post.cid)]["text"] == text


def test_pages_in_a_browser(app, account, client, page):
    page.goto_with_retry(app.url)
    page.find_text("This is an AT Protocol Personal Data Server", retry_for=30)
    page.keep_picture("bluesky-pds-start", "The server's start page")

    text = f"Seen in a browser: {secrets.token_hex(8)}"
    post = client.send_post(text, profile_identify=account.did)
    asked = urlencode({"repo": account.did, "collection": POSTS, "rkey": key_of(post)})
    page.goto_with_retry(f"{app.url.rstrip('/')}{XRPC}repo.getRecord?{asked}")
    page.find_text(text, retry_for=30)
    page.keep_picture("bluesky-pds-post", "A post, as the server gives it to anybody")
