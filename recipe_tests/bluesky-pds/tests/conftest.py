"""Somebody with an account, and the client library that people's programs use."""

import secrets
import ssl
from collections.abc import Iterator

import httpx
import pytest
from atproto import Client, Request
from bluesky_pds_client import Account, join

PERSON = "visitor"
LIMIT = 30  # seconds for one request


class ThroughIngress(httpx.HTTPTransport):
    """Connects to the ingress, and asks it for the host that was meant."""

    def __init__(self, address: str, trusted: ssl.SSLContext) -> None:
        super().__init__(verify=trusted)
        self.address = address

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.address:
            request.extensions["sni_hostname"] = request.url.host
            request.url = request.url.copy_with(host=self.address)
        return super().handle_request(request)


@pytest.fixture
def account(app) -> Account:
    return join(app, f"t{secrets.token_hex(6)}", PERSON)


@pytest.fixture
def client(app, ccci_context, account) -> Iterator[Client]:
    """The library atproto, logged in with the password as that person."""
    transport = ThroughIngress(
        ccci_context.ingress_address, ssl.create_default_context(cafile=ccci_context.ca_file or None)
    )
    request = Request(transport=transport, timeout=LIMIT, trust_env=False)
    client = Client(base_url=app.url, request=request)
    # The profile would be asked of an app view, which is not the server's own.
    client.login(account.handle, app.password(PERSON), fetch_bsky_profile=False)
    yield client
    request.close()
