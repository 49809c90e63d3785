"""An OpenID Connect provider for one parent: a realm of its own, so that nothing is shared and one call removes it all.

Asked twice, it gives the same facts: what is secret comes out of the admin's password and the name of the realm.
"""

import base64
import hashlib
import hmac
from typing import Any

ADMIN, ADMIN_SECRET = "admin", "admin_password"  # the user as .env.sample has it; the secret's name in compose.yml
CLIENT, BRIEF = "ccci", "ccci-brief"
BRIEF_SECONDS = 5  # how long tokens of the second client live, to see what becomes of expired ones
USER = "ada"
# Of Keycloak's own login pages, in every theme that it ships.
LOGIN_FORM = {"username": "#username", "password": "#password", "submit": "#kc-login"}


class Admin:
    """The admin API. Its tokens live for a minute, so each request gets its own."""

    def __init__(self, app: Any) -> None:
        self.http, self.password = app.http(retry_for=90), app.secret(ADMIN_SECRET)

    def ask(self, method: str, path: str, good: tuple[int, ...], **options: Any) -> Any:
        """The parsed answer; AssertionError for a status that is not in `good`."""
        form = {"grant_type": "password", "client_id": "admin-cli", "username": ADMIN, "password": self.password}
        grant = self.http.post("/realms/master/protocol/openid-connect/token", data=form)
        assert grant.status_code == 200, f"the admin gets no token: {grant.status_code} {grant.text[:200]}"
        options["headers"] = {"Authorization": f"Bearer {grant.json()['access_token']}"}
        answer = self.http.request(method, f"/admin/realms{path}", **options)
        assert answer.status_code in good, f"{method} {path}: {answer.status_code} {answer.text[:200]}"
        return answer.json() if answer.content and method == "GET" else None

    def put(self, path: str, one: dict[str, Any], found: list[dict[str, Any]]) -> None:
        """Makes something below `path`, or sets it right when it is there. 409: an answer that was lost."""
        if found:
            self.ask("PUT", f"{path}/{found[0]['id']}", (204,), json=one)
        else:
            self.ask("POST", path, (201, 409), json=one)


def provide(app: Any, wants: dict[str, Any]) -> dict[str, Any]:
    realm, admin = wants["name"], Admin(app)
    keys = {what: _key(admin.password, realm, what) for what in ("client", "brief", "password")}
    for what, value in keys.items():
        app.hide(f"{realm}-{what}", value)
    if admin.http.get(f"/realms/{realm}").status_code == 404:
        admin.ask("POST", "", (201, 409), json={"realm": realm, "enabled": True, "loginWithEmailAllowed": True})
    for client in (_client(CLIENT, keys["client"], wants), _brief_client(keys["brief"])):
        found = admin.ask("GET", f"/{realm}/clients", (200,), params={"clientId": client["clientId"]})
        admin.put(f"/{realm}/clients", client, found)
    user = _user(keys["password"])
    found = admin.ask("GET", f"/{realm}/users", (200,), params={"username": USER, "exact": "true"})
    admin.put(f"/{realm}/users", user, found)
    document = admin.http.get(f"/realms/{realm}/.well-known/openid-configuration").json()
    names = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint")
    return {
        # Not what the provider calls itself, but what the parent has to call it: the two are compared afterwards.
        "issuer": f"{app.url.rstrip('/')}/realms/{realm}",
        **{name: document[name] for name in names},
        "client_id": CLIENT, "client_secret": keys["client"], "scopes": ["openid", "email", "profile"],
        "brief": {"client_id": BRIEF, "client_secret": keys["brief"]},
        "user": {
            "username": USER, "password": keys["password"], "email": user["email"],
            "name": f"{user['firstName']} {user['lastName']}",
        },
        "admin": {"url": f"{app.url.rstrip('/')}/admin/realms/{realm}", "username": ADMIN, "secret": ADMIN_SECRET},
        "login_form": LOGIN_FORM,
    }  # fmt: skip


def withdraw(app: Any, wants: dict[str, Any]) -> None:
    """Clients, users and sessions go with their realm. 404: it was never made, or is gone."""
    Admin(app).ask("DELETE", f"/{wants['name']}", (204, 404))


def _client(name: str, secret: str, wants: dict[str, Any]) -> dict[str, Any]:
    after = wants.get("post_logout_redirect_uris") or []
    return {
        "clientId": name, "secret": secret, "protocol": "openid-connect", "enabled": True, "publicClient": False,
        "standardFlowEnabled": True, "directAccessGrantsEnabled": True, "serviceAccountsEnabled": True,
        "redirectUris": wants["redirect_uris"],
        "attributes": {"post.logout.redirect.uris": "##".join(after)},  # Keycloak's own way to write a list
    }  # fmt: skip


def _brief_client(secret: str) -> dict[str, Any]:
    return {
        "clientId": BRIEF, "secret": secret, "protocol": "openid-connect", "enabled": True, "publicClient": False,
        "standardFlowEnabled": False, "directAccessGrantsEnabled": True, "serviceAccountsEnabled": False,
        "attributes": {"access.token.lifespan": str(BRIEF_SECONDS)},
    }  # fmt: skip


def _user(password: str) -> dict[str, Any]:
    # Without a name, Keycloak asks for one after the first login.
    return {
        "username": USER, "email": f"{USER}@example.org", "emailVerified": True, "enabled": True, "requiredActions": [],
        "firstName": "Ada", "lastName": "Example",
        "credentials": [{"type": "password", "value": password, "temporary": False}],
    }  # fmt: skip


def _key(secret: str, *names: str) -> str:
    """A value that only who knows `secret` can tell; the same for the same names."""
    digest = hmac.new(secret.encode(), "\0".join(names).encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
