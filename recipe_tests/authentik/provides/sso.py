"""An OpenID Connect provider for one parent: two providers with their applications, and a user, all named after it.

Asked twice, it gives the same facts: what is secret comes out of the API token and the name. Not run on the embedded
platform; its requests are checked against the models of the published client `authentik-client`.
"""

import base64
import hashlib
import hmac
from typing import Any

# The user of the first start, and the name of the secret that becomes AUTHENTIK_BOOTSTRAP_TOKEN.
ADMIN, ADMIN_SECRET = "akadmin", "admin_token"
BRIEF_SECONDS = 5  # how long tokens of the second provider live, to see what becomes of expired ones
# Flows and scopes that every authentik has from the beginning.
AUTHORIZATION, INVALIDATION = "default-provider-authorization-implicit-consent", "default-provider-invalidation-flow"
SCOPES = ("openid", "email", "profile")
# Playwright looks into the shadow roots that authentik's pages are made of.
LOGIN_FORM = {
    "username": "input[name=uidField]", "next": "button[type=submit]",
    "password": "input[name=password]", "submit": "button[type=submit]",
}  # fmt: skip


class Api:
    """authentik's own API, with the token that its first start was given."""

    def __init__(self, app: Any) -> None:
        self.http, self.token = app.http(retry_for=90), app.secret(ADMIN_SECRET)
        self.http.session.headers["Authorization"] = f"Bearer {self.token}"

    def ask(self, method: str, path: str, good: tuple[int, ...], **options: Any) -> Any:
        """The parsed answer, None for one without content; AssertionError for a status that is not in `good`."""
        answer = self.http.request(method, f"/api/v3{path}", **options)
        assert answer.status_code in good, f"{method} {path}: {answer.status_code} {answer.text[:200]}"
        return answer.json() if answer.content and answer.status_code < 300 else None

    def found(self, path: str, key: str, value: str) -> Any:
        """The first one of a list whose `key` is `value`, None when there is none."""
        listed = self.ask("GET", path, (200,), params={key: value})["results"]
        return next((one for one in listed if one[key] == value), None)

    def put(self, path: str, one: dict[str, Any], known: Any) -> Any:
        """Makes something below `path`, or sets it right: `known` is what names it there, None when it is not there."""
        if known is None:
            return self.ask("POST", path, (201,), json=one)
        return self.ask("PUT", f"{path}{known}/", (200,), json=one)


def provide(app: Any, wants: dict[str, Any]) -> dict[str, Any]:
    api, name, brief = Api(app), wants["name"], f"{wants['name']}-brief"
    keys = {what: _key(api.token, name, what) for what in ("client", "brief", "password", "grant")}
    for what, value in keys.items():
        app.hide(f"{name}-{what}", value)
    shared = {
        "authorization_flow": _flow(api, AUTHORIZATION), "invalidation_flow": _flow(api, INVALIDATION),
        "property_mappings": [_scope(api, scope) for scope in SCOPES], "signing_key": _signing_key(api),
    }  # fmt: skip
    _client(api, {**_provider(name, keys["client"], wants), **shared})
    seconds = {"access_token_validity": f"seconds={BRIEF_SECONDS}"}
    _client(api, {**_provider(brief, keys["brief"], wants), **shared, **seconds})
    user = _user(api, name, keys)
    at = f"{app.url.rstrip('/')}/application/o"
    return {
        # authentik's issuers end with a slash.
        "issuer": f"{at}/{name}/", "authorization_endpoint": f"{at}/authorize/", "token_endpoint": f"{at}/token/",
        "userinfo_endpoint": f"{at}/userinfo/", "jwks_uri": f"{at}/{name}/jwks/",
        "end_session_endpoint": f"{at}/{name}/end-session/",
        "client_id": name, "client_secret": keys["client"], "scopes": list(SCOPES),
        "brief": {"client_id": brief, "client_secret": keys["brief"]},
        "user": {
            "username": user["username"], "password": keys["password"], "grant_password": keys["grant"],
            "email": user["email"], "name": user["name"],
        },
        "admin": {"url": f"{app.url.rstrip('/')}/api/v3", "username": ADMIN, "secret": ADMIN_SECRET},
        "login_form": LOGIN_FORM,
    }  # fmt: skip


def withdraw(app: Any, wants: dict[str, Any]) -> None:
    """Each provider takes its tokens along, and the user the app password. 404: it was never made, or is gone."""
    api = Api(app)
    for name in (wants["name"], f"{wants['name']}-brief"):
        api.ask("DELETE", f"/core/applications/{name}/", (204, 404))
        provider = api.found("/providers/oauth2/", "name", name)
        if provider:
            api.ask("DELETE", f"/providers/oauth2/{provider['pk']}/", (204, 404))
    user = api.found("/core/users/", "username", wants["name"])
    if user:
        api.ask("DELETE", f"/core/users/{user['pk']}/", (204, 404))


def _provider(name: str, secret: str, wants: dict[str, Any]) -> dict[str, Any]:
    after = wants.get("post_logout_redirect_uris") or []
    uris = [(uri, "authorization") for uri in wants["redirect_uris"]] + [(uri, "logout") for uri in after]
    return {
        "name": name, "client_id": name, "client_secret": secret, "client_type": "confidential",
        "grant_types": ["authorization_code", "refresh_token", "client_credentials", "password"],
        "redirect_uris": [{"matching_mode": "strict", "url": uri, "redirect_uri_type": kind} for uri, kind in uris],
        "issuer_mode": "per_provider", "sub_mode": "hashed_user_id", "include_claims_in_id_token": True,
    }  # fmt: skip


def _client(api: Api, provider: dict[str, Any]) -> None:
    """A provider, and the application through which alone authentik lets anybody use it."""
    known = api.found("/providers/oauth2/", "name", provider["name"])
    made = api.put("/providers/oauth2/", provider, known["pk"] if known else None)
    application = {"name": provider["name"], "slug": provider["name"], "provider": made["pk"]}
    known = api.ask("GET", f"/core/applications/{provider['name']}/", (200, 404))
    api.put("/core/applications/", application, known["slug"] if known else None)


def _user(api: Api, name: str, keys: dict[str, str]) -> dict[str, Any]:
    user = {"username": name, "name": "Ada Example", "email": f"{name}@example.org", "is_active": True, "path": "users"}
    known = api.found("/core/users/", "username", name)
    made = api.put("/core/users/", user, known["pk"] if known else None)
    api.ask("POST", f"/core/users/{made['pk']}/set_password/", (204,), json={"password": keys["password"]})
    # A password grant takes this, not the password that people type.
    token = {"identifier": name, "intent": "app_password", "user": made["pk"], "expiring": False}
    known = api.ask("GET", f"/core/tokens/{name}/", (200, 404))
    api.put("/core/tokens/", token, known["identifier"] if known else None)
    api.ask("POST", f"/core/tokens/{name}/set_key/", (204,), json={"key": keys["grant"]})
    return user


def _flow(api: Api, slug: str) -> str:
    flow = api.found("/flows/instances/", "slug", slug)
    assert flow, f"authentik has no flow {slug}"
    return str(flow["pk"])


def _scope(api: Api, scope: str) -> str:
    mapping = api.found("/propertymappings/provider/scope/", "scope_name", scope)
    assert mapping, f"authentik has no scope mapping for {scope}"
    return str(mapping["pk"])


def _signing_key(api: Api) -> str:
    """Without a key, tokens are signed with the client's secret."""
    pairs = api.ask("GET", "/crypto/certificatekeypairs/", (200,), params={"has_key": "true"})["results"]
    assert pairs, "authentik has no key to sign with"
    return str(pairs[0]["pk"])


def _key(secret: str, *names: str) -> str:
    """A value that only who knows `secret` can tell; the same for the same names."""
    digest = hmac.new(secret.encode(), "\0".join(names).encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
