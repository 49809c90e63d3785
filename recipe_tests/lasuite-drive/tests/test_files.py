"""What Drive is for: files go up, are listed, and come down as they were; documents can be opened in an office."""

import hashlib
import io
import secrets
import time
import zipfile
from typing import Any

import pytest

API = "/api/v1.0"
READY_WITHIN = 120  # seconds, for the workers to look at a file
ODT = "application/vnd.oasis.opendocument.text"


class Drive:
    """The API, as the person whom the provider knows."""

    def __init__(self, app: Any, sso: Any) -> None:
        self.http = app.http(retry_for=90)
        form = {
            "grant_type": "password", "client_id": sso.client_id, "client_secret": sso.client_secret,
            "username": sso.user.username, "password": sso.user.password, "scope": "openid email",
        }  # fmt: skip
        answer = app.http(retry_for=60).post(sso.token_endpoint, data=form)
        assert answer.status_code == 200, f"no token for the user: {answer.status_code}"
        self.http.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        # The storage knows only its own signatures, and nobody's token.
        self.stranger = app.http(retry_for=60)

    def make(self, parent: dict[str, Any] | None, **item: str) -> dict[str, Any]:
        path = f"{API}/items/{parent['id']}/children/" if parent else f"{API}/items/"
        answer = self.http.post(path, json=item)
        assert answer.status_code == 201, f"POST {path}: {answer.status_code} {answer.text[:200]}"
        return answer.json()

    def read(self, path: str) -> Any:
        answer = self.http.get(f"{API}/{path}")
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text[:200]}"
        return answer.json()

    def upload(self, folder: dict[str, Any], name: str, content: bytes) -> dict[str, Any]:
        """What a browser does: an item, its content straight to the storage, and word of it. Back when it is ready."""
        item = self.make(folder, type="file", filename=name)
        put = self.stranger.put(item["policy"], data=content, headers={"x-amz-acl": "private"})
        assert put.status_code == 200, f"upload: {put.status_code} {put.text[:200]}"
        ended = self.http.post(f"{API}/items/{item['id']}/upload-ended/")
        assert ended.status_code == 200, f"upload-ended: {ended.status_code} {ended.text[:200]}"
        return self.wait_for(item, "upload_state", "ready")

    def wait_for(self, item: dict[str, Any], key: str, wanted: Any) -> dict[str, Any]:
        deadline = time.monotonic() + READY_WITHIN
        while True:
            found = self.read(f"items/{item['id']}/")
            if found[key] == wanted:
                return found
            assert time.monotonic() < deadline, f"{key} is still {found[key]!r} after {READY_WITHIN} s, not {wanted!r}"
            time.sleep(1)


@pytest.fixture
def drive(app, deps):
    return Drive(app, deps.sso)


@pytest.fixture
def folder(drive):
    return drive.make(None, type="folder", title=f"ccci-{secrets.token_hex(6)}")


def test_a_file_is_uploaded_listed_and_downloaded(drive, folder):
    # Letters only, so that every way to guess its type says the same; larger than one read of the storage.
    content = "".join(f"{number} {secrets.token_hex(30)}\n" for number in range(4000)).encode()
    name = f"ccci-{secrets.token_hex(6)}.txt"
    uploaded = drive.upload(folder, name, content)

    listed = {item["id"]: item for item in drive.read(f"items/{folder['id']}/children/")["results"]}
    assert listed[uploaded["id"]]["title"] == name
    assert listed[uploaded["id"]]["size"] == len(content)
    assert folder["id"] in [item["id"] for item in drive.read("items/?ordering=-created_at")["results"]]

    download = drive.http.get(uploaded["url"])
    assert download.status_code == 200, f"download: {download.status_code}"
    assert hashlib.sha256(download.content).hexdigest() == hashlib.sha256(content).hexdigest()


def test_a_file_is_nobody_elses(drive, folder):
    uploaded = drive.upload(folder, f"ccci-{secrets.token_hex(6)}.txt", b"for one person only\n")
    assert drive.stranger.get(uploaded["url"]).status_code in (401, 403)
    assert drive.stranger.get(f"{API}/items/{uploaded['id']}/").status_code in (401, 403, 404)
    # An address to upload to is signed: another name than the signed one is refused.
    policy = drive.make(folder, type="file", filename=f"ccci-{secrets.token_hex(6)}.txt")["policy"]
    forged = policy.replace("ccci-", "cccj-", 1)
    assert drive.stranger.put(forged, data=b"x", headers={"x-amz-acl": "private"}).status_code == 403


def test_a_document_can_be_opened_in_an_office(drive, folder):
    uploaded = drive.upload(folder, f"ccci-{secrets.token_hex(6)}.odt", document())
    assert uploaded["mimetype"] == ODT
    # Known once the workers have read what the office servers open.
    drive.wait_for(uploaded, "is_wopi_supported", True)
    assert drive.read(f"items/{uploaded['id']}/wopi/")["launch_url"].startswith("http")


def document() -> bytes:
    """As much of an OpenDocument text as shows what it is."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", ODT, compress_type=zipfile.ZIP_STORED)
        archive.writestr("content.xml", "<?xml version='1.0'?><content/>")
    return file.getvalue()
