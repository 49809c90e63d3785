"""Drive knows people through the provider only."""

import secrets

ME = "/api/v1.0/users/me/"


def test_a_password_grant_tells_who_it_is(app, deps):
    http, sso = app.http(), deps.sso
    form = {
        "grant_type": "password", "client_id": sso.client_id, "client_secret": sso.client_secret,
        "username": sso.user.username, "password": sso.user.password, "scope": "openid email",
    }  # fmt: skip
    answer = http.post(sso.token_endpoint, data=form)
    assert answer.status_code == 200, f"no token for the user: {answer.status_code}"
    token = answer.json()["access_token"]

    claims = http.get(sso.userinfo_endpoint, headers={"Authorization": f"Bearer {token}"}).json()
    me = http.get(ME, headers={"Authorization": f"Bearer {token}"})
    assert me.status_code == 200, f"{me.status_code} {me.text[:200]}"
    assert me.json()["email"] == claims["email"] == sso.user.email
    # The same person the second time, not another one of that name.
    assert http.get(ME, headers={"Authorization": f"Bearer {token}"}).json()["id"] == me.json()["id"]

    forged = f"{token.rpartition('.')[0]}.{secrets.token_urlsafe(256)}"
    assert http.get(ME, headers={"Authorization": f"Bearer {forged}"}).status_code == 401
