"""Drive knows people through the provider only."""

import secrets
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet

API = "/api/v1.0"


def test_a_login_begins_at_the_provider(app, deps):
    answer = app.http().get(f"{API}/authenticate/", allow_redirects=False)
    assert answer.status_code == 302
    address = urlsplit(answer.headers["Location"])
    assert f"{address.scheme}://{address.netloc}{address.path}" == deps.sso.authorization_endpoint
    asked = parse_qs(address.query)
    assert asked["client_id"] == [deps.sso.client_id]
    assert asked["response_type"] == ["code"]
    assert asked["redirect_uri"] == [f"{app.url}{API}/callback/"]
    assert asked["state"][0]
    assert asked["nonce"][0]


def test_a_password_grant_tells_who_it_is(app, deps):
    http, sso = app.http(), deps.sso
    form = {
        "grant_type": "password", "client_id": sso.client_id, "client_secret": sso.client_secret,
        "username": sso.user.username, "password": sso.user.password, "scope": "openid email profile",
    }  # fmt: skip
    answer = http.post(sso.token_endpoint, data=form)
    assert answer.status_code == 200, f"{answer.status_code} {answer.json().get('error')}"

    keys = KeySet.import_key_set(http.get(sso.jwks_uri).json())
    claims = jwt.decode(answer.json()["id_token"], keys, algorithms=["RS256"]).claims
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": sso.issuer}, aud={"essential": True, "value": sso.client_id},
        exp={"essential": True}, sub={"essential": True}, email={"essential": True, "value": sso.user.email},
    )  # fmt: skip
    registry.validate(claims)

    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    me = http.get(f"{API}/users/me/", headers=bearer)
    assert me.status_code == 200, f"{me.status_code} {me.text[:200]}"
    assert me.json()["email"] == sso.user.email
    # The same person the second time, not another one of that name.
    assert http.get(f"{API}/users/me/", headers=bearer).json()["id"] == me.json()["id"]


def test_a_wrong_secret_gets_no_token(app, deps):
    form = {
        "grant_type": "password", "client_id": deps.sso.client_id, "client_secret": secrets.token_hex(16),
        "username": deps.sso.user.username, "password": deps.sso.user.password,
    }  # fmt: skip
    answer = app.http().post(deps.sso.token_endpoint, data=form)
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] in ("unauthorized_client", "invalid_client")
