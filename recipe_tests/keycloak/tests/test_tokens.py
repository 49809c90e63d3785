"""What Keycloak is for: it knows clients and users, and signs what it says about them."""

import secrets
import time
from dataclasses import dataclass
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

MASTER = "/realms/master"
GRANT = "protocol/openid-connect/token"


class Admin:
    """The admin API, with the account that the first start made."""

    def __init__(self, app: Any) -> None:
        self.http = app.http(retry_for=90)
        self.password = app.secret("admin_password")
        self.token = self.grant()["access_token"]
        self.http.session.headers["Authorization"] = f"Bearer {self.token}"

    def grant(self) -> dict[str, Any]:
        form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": self.password}
        answer = self.http.post(f"{MASTER}/{GRANT}", data=form)
        assert answer.status_code == 200, f"the admin gets no token: {answer.status_code} {answer.text[:200]}"
        return answer.json()

    def make(self, path: str, body: dict[str, Any]) -> None:
        answer = self.http.post(f"/admin/realms{path}", json=body)
        # 409: this very request was sent again after an answer that was lost; names are random.
        assert answer.status_code in (201, 409), f"POST {path}: {answer.status_code} {answer.text[:200]}"

    def read(self, path: str, **params: str) -> Any:
        answer = self.http.get(f"/admin/realms{path}", params=params)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text[:200]}"
        return answer.json()


@dataclass(frozen=True)
class Realm:
    name: str
    client: str
    client_secret: str
    user: str
    password: str

    @property
    def path(self) -> str:
        return f"/realms/{self.name}"


@pytest.fixture
def admin(app):
    return Admin(app)


@pytest.fixture
def realm(admin):
    """A realm of its own with a confidential client and a user, taken away afterwards."""
    made = Realm(
        f"ccci-{secrets.token_hex(4)}", "shop", secrets.token_urlsafe(24), "anna", secrets.token_urlsafe(24)
    )  # fmt: skip
    client = {
        "clientId": made.client, "secret": made.client_secret, "publicClient": False, "standardFlowEnabled": False,
        "directAccessGrantsEnabled": True, "serviceAccountsEnabled": True,
    }  # fmt: skip
    user = {
        "username": made.user, "email": "anna@example.org", "emailVerified": True, "enabled": True,
        "firstName": "Anna", "lastName": "Example",
        "credentials": [{"type": "password", "value": made.password, "temporary": False}],
    }  # fmt: skip
    admin.make("", {"realm": made.name, "enabled": True})
    admin.make(f"/{made.name}/clients", client)
    admin.make(f"/{made.name}/users", user)
    yield made
    admin.http.delete(f"/admin/realms/{made.name}")


def claims_of(app: Any, token: str, realm: str) -> dict[str, Any]:
    """The claims of a token whose signature is of this realm's keys."""
    answer = app.http().get(f"/realms/{realm}/protocol/openid-connect/certs")
    keys = KeySet.import_key_set({"keys": [key for key in answer.json()["keys"] if key.get("use") == "sig"]})
    return dict(jwt.decode(token, keys, algorithms=["RS256"]).claims)


def assert_claims(app: Any, claims: dict[str, Any], realm: str, client: str) -> None:
    now = time.time()
    assert claims["iss"] == f"{app.url.rstrip('/')}/realms/{realm}"
    assert claims["azp"] == client
    assert claims["typ"] == "Bearer"
    assert claims["iat"] - 60 < now < claims["exp"] <= now + 3600


def test_password_grant_gives_a_signed_token(app, realm):
    form = {
        "grant_type": "password", "client_id": realm.client, "client_secret": realm.client_secret,
        "username": realm.user, "password": realm.password, "scope": "openid",
    }  # fmt: skip
    http = app.http()
    answer = http.post(f"{realm.path}/{GRANT}", data=form)
    assert answer.status_code == 200, answer.text[:200]
    claims = claims_of(app, answer.json()["access_token"], realm.name)
    assert_claims(app, claims, realm.name, realm.client)
    assert claims["preferred_username"] == realm.user
    who = http.get(
        f"{realm.path}/protocol/openid-connect/userinfo",
        headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
    )
    assert who.json()["email"] == "anna@example.org"
    refused = http.post(f"{realm.path}/{GRANT}", data={**form, "password": "not this one"})
    assert refused.status_code == 401, "a wrong password was accepted"


def test_client_credentials_give_a_signed_token(app, realm):
    form = {"grant_type": "client_credentials", "client_id": realm.client, "client_secret": realm.client_secret}
    http = app.http()
    answer = http.post(f"{realm.path}/{GRANT}", data=form)
    assert answer.status_code == 200, answer.text[:200]
    claims = claims_of(app, answer.json()["access_token"], realm.name)
    assert_claims(app, claims, realm.name, realm.client)
    assert claims["preferred_username"] == f"service-account-{realm.client}"
    refused = http.post(f"{realm.path}/{GRANT}", data={**form, "client_secret": "not this one"})
    assert refused.status_code == 401, "a wrong client secret was accepted"


def test_discovery_names_public_addresses(app, realm):
    found = app.http().get(f"{realm.path}/.well-known/openid-configuration").json()
    issuer = f"{app.url.rstrip('/')}{realm.path}"
    assert found["issuer"] == issuer
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"):
        assert found[name].startswith(f"{issuer}/"), f"{name} is {found[name]}"
    assert "authorization_code" in found["grant_types_supported"]


def test_realm_client_and_user_are_read_back(admin, realm):
    assert admin.read(f"/{realm.name}")["enabled"] is True
    [client] = admin.read(f"/{realm.name}/clients", clientId=realm.client)
    assert (client["publicClient"], client["serviceAccountsEnabled"]) == (False, True)
    assert admin.read(f"/{realm.name}/clients/{client['id']}/client-secret")["value"] == realm.client_secret
    [user] = admin.read(f"/{realm.name}/users", username=realm.user, exact="true")
    assert (user["email"], user["firstName"], user["emailVerified"]) == ("anna@example.org", "Anna", True)


def test_login_page_renders(app, page):
    page.goto_with_retry(f"{app.url}/admin/master/console/")
    page.find_text("Sign in to your account", retry_for=60)
    page.keep_picture("keycloak-login", "The login page of the admin console")
    assert page.console.failed == []
