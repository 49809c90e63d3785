"""authentik as a provider, without an authentik: each request is one that its published client would send as well."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import uuid
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from ccci import paths
from ccci.schemas import facts as kinds

HOST = "https://sso.ci.test"
NAME = "20261125-090000-demo-abcdef-sso"
WANTS = {
    "name": NAME, "redirect_uris": ["https://app.ci.test/callback"],
    "post_logout_redirect_uris": ["https://app.ci.test/"],
}  # fmt: skip
# (method, path) → the call of the published client that is this request.
CALLS = {
    r"GET /flows/instances/": ("FlowsApi", "flows_instances_list"),
    r"GET /propertymappings/provider/scope/": ("PropertymappingsApi", "propertymappings_provider_scope_list"),
    r"GET /crypto/certificatekeypairs/": ("CryptoApi", "crypto_certificatekeypairs_list"),
    r"GET /providers/oauth2/": ("ProvidersApi", "providers_oauth2_list"),
    r"POST /providers/oauth2/": ("ProvidersApi", "providers_oauth2_create"),
    r"PUT /providers/oauth2/(?P<id>\d+)/": ("ProvidersApi", "providers_oauth2_update"),
    r"DELETE /providers/oauth2/(?P<id>\d+)/": ("ProvidersApi", "providers_oauth2_destroy"),
    r"GET /core/applications/(?P<slug>[^/]+)/": ("CoreApi", "core_applications_retrieve"),
    r"POST /core/applications/": ("CoreApi", "core_applications_create"),
    r"PUT /core/applications/(?P<slug>[^/]+)/": ("CoreApi", "core_applications_update"),
    r"DELETE /core/applications/(?P<slug>[^/]+)/": ("CoreApi", "core_applications_destroy"),
    r"GET /core/users/": ("CoreApi", "core_users_list"),
    r"POST /core/users/": ("CoreApi", "core_users_create"),
    r"PUT /core/users/(?P<id>\d+)/": ("CoreApi", "core_users_update"),
    r"DELETE /core/users/(?P<id>\d+)/": ("CoreApi", "core_users_destroy"),
    r"POST /core/users/(?P<id>\d+)/set_password/": ("CoreApi", "core_users_set_password_create"),
    r"GET /core/tokens/(?P<identifier>[^/]+)/": ("CoreApi", "core_tokens_retrieve"),
    r"POST /core/tokens/": ("CoreApi", "core_tokens_create"),
    r"PUT /core/tokens/(?P<identifier>[^/]+)/": ("CoreApi", "core_tokens_update"),
    r"POST /core/tokens/(?P<identifier>[^/]+)/set_key/": ("CoreApi", "core_tokens_set_key_create"),
}


def checked(method: str, path: str, params: dict[str, str], body: Any) -> None:
    """The published client makes the very same request of the same data. AssertionError or its own error otherwise."""
    import authentik_client as published  # here, for this file is also loaded where only what ccci needs is installed

    asked = f"{method} {path}"
    found = [(re.fullmatch(pattern, asked), call) for pattern, call in CALLS.items() if re.fullmatch(pattern, asked)]
    assert len(found) == 1, f"{asked} is no request of authentik's API that we know"
    match, (api_name, name) = found[0]
    assert match is not None
    api = getattr(published, api_name)(published.ApiClient(published.Configuration(host=f"{HOST}/api/v3")))
    types = inspect.signature(getattr(type(api), name)).parameters
    serialize = getattr(api, f"_{name}_serialize")
    values: dict[str, Any] = dict.fromkeys(inspect.signature(serialize).parameters)
    values |= {**match.groupdict(), "_host_index": 0}
    for key, value in params.items():
        assert key in types, f"{asked} knows no {key}"
        values[key] = value
    if body is not None:
        key = next(key for key in types if key.endswith("_request"))
        model = getattr(published, type_name(types[key].annotation))
        values[key] = model.from_dict(body)
    sent_method, url, _, sent_body, _ = serialize(**values)
    assert (sent_method, urlsplit(url).path) == (method, f"/api/v3{path}")
    assert dict(parse_qsl(urlsplit(url).query)) == params
    # What a model does not know, it leaves out: then the two differ. What may be null, it adds.
    sent = {key: value for key, value in (sent_body or {}).items() if value is not None}
    assert json.loads(json.dumps(sent, default=str)) == (body or {}), f"{asked}: the models know another body"


def type_name(annotation: Any) -> str:
    """`Optional[UserRequest]`, or the name as a text."""
    return re.findall(r"\w+Request\b", str(annotation))[-1]


class Answer:
    def __init__(self, status: int, data: Any = None) -> None:
        self.status_code, self._data = status, data
        self.text = json.dumps(data) if data is not None else ""
        self.content = self.text.encode()

    def json(self) -> Any:
        return self._data


class Authentik:
    """Keeps what it is given, and checks each request."""

    def __init__(self) -> None:
        self.session, self.headers = self, dict[str, str]()
        self.kept: dict[str, dict[str, dict[str, Any]]] = {}
        self.asked: list[str] = []

    def request(self, method: str, path: str, params: Any = None, json: Any = None) -> Answer:
        path = path.removeprefix("/api/v3")
        checked(method, path, params or {}, json)
        self.asked.append(f"{method} {path}")
        if path.endswith(("/set_password/", "/set_key/")):
            return Answer(204)
        folder, _, key = path.strip("/").rpartition("/")
        if path.strip("/") in ("providers/oauth2", "core/applications", "core/users", "core/tokens"):
            folder, key = path.strip("/"), ""
        if folder.startswith(("flows", "propertymappings", "crypto")):
            return Answer(200, {"results": [{"pk": str(uuid.uuid4()), **(params or {})}]})
        things = self.kept.setdefault(folder, {})
        named = "slug" if folder.endswith("applications") else "identifier" if folder.endswith("tokens") else "pk"
        if method == "GET" and not key:
            return Answer(200, {"results": list(things.values())})
        if method == "POST":
            thing = {"pk": len(things) + 1, **json}
            things[str(thing[named])] = thing
            return Answer(201, thing)
        if key not in things:
            return Answer(404, {"detail": "Not found."})
        if method == "PUT":
            things[key] |= json
            return Answer(200, things[key])
        return Answer(204, things.pop(key) and None) if method == "DELETE" else Answer(200, things[key])


class App:
    url = f"{HOST}/"

    def __init__(self, server: Authentik) -> None:
        self.server, self.hidden = server, dict[str, str]()

    def http(self, retry_for: float = 60) -> Authentik:
        return self.server

    def secret(self, name: str) -> str:
        assert name == "admin_token"
        return "the-token-of-the-first-start"

    def hide(self, name: str, value: str) -> str:
        self.hidden[name] = value
        return value


@pytest.fixture
def provider() -> Any:
    file = paths.PROJECT / "recipe_tests" / "authentik" / "provides" / "sso.py"
    spec = importlib.util.spec_from_file_location("authentik_sso", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_gives_the_facts_of_the_kind_twice_the_same(provider: Any) -> None:
    server = Authentik()
    app = App(server)
    facts = provider.provide(app, WANTS)
    assert kinds.problems("sso", facts) == []
    assert set(kinds.secrets("sso", facts).values()) == set(app.hidden.values())
    made = json.loads(json.dumps(server.kept))
    assert provider.provide(app, WANTS) == facts
    assert {kind: len(things) for kind, things in server.kept.items()} == {k: len(v) for k, v in made.items()}
    main = next(one for one in server.kept["providers/oauth2"].values() if one["name"] == NAME)
    assert {(one["url"], one["redirect_uri_type"]) for one in main["redirect_uris"]} == {
        ("https://app.ci.test/callback", "authorization"), ("https://app.ci.test/", "logout"),
    }  # fmt: skip


def test_it_takes_all_of_it_away(provider: Any) -> None:
    server = Authentik()
    provider.provide(App(server), WANTS)
    provider.withdraw(App(server), WANTS)
    # The token goes with its user.
    assert {kind: len(things) for kind, things in server.kept.items() if kind != "core/tokens"} == {
        "providers/oauth2": 0, "core/applications": 0, "core/users": 0,
    }  # fmt: skip
    provider.withdraw(App(server), WANTS)


@pytest.mark.parametrize(
    ("method", "path", "params", "body"),
    [
        ("POST", "/core/users/", {}, {"username": "a", "name": "A", "e_mail": "a@b.c"}),
        ("POST", "/core/tokens/", {}, {"identifier": "a", "intent": "no_such_intent"}),
        ("GET", "/core/users/", {"user_name": "a"}, None),
        ("PATCH", "/core/users/1/", {}, {}),
    ],
)
def test_the_published_client_says_no_to_what_is_wrong(method: str, path: str, params: Any, body: Any) -> None:
    with pytest.raises((AssertionError, ValueError)):
        checked(method, path, params, body)
