"""A little OpenID Connect provider and a little app that logs people in through one, on one server with TLS.

`lenient` names what they do wrong: without an entry they do everything right.
"""

from __future__ import annotations

import base64
import http.server
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from ccci_probe.connection import session

CLIENT, BRIEF, SECRET = "shop", "shop-brief", "clients-own-secret-7391"
USER = {"username": "ada", "password": "persons-own-password-5520", "email": "ada@ci.test", "name": "Ada Example"}
FORM = b"""<!doctype html><title>Sign in</title>%s<form method=post><input id=user name=username>
<input id=pass name=password type=%s><button id=go>Sign in</button></form>"""


@dataclass
class LittleSso:
    """`facts` as a dep of kind sso gives them. With `provider`, the app goes to that one instead of to ours."""

    port: int
    ca_file: str
    lenient: set[str] = field(default_factory=set)
    provider: Mapping[str, Any] | None = None
    provider_port_ca: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"use": "sig", "kid": "one"}))
    codes: dict[str, str] = field(default_factory=dict)  # code → user
    people: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # the app's sessions
    logged_in: set[str] = field(default_factory=set)  # the provider's sessions

    @property
    def app(self) -> str:
        return f"https://app.ci.test:{self.port}"

    @property
    def issuer(self) -> str:
        return f"https://sso.ci.test:{self.port}"

    @property
    def facts(self) -> dict[str, Any]:
        at = self.issuer
        return {
            "issuer": at, "authorization_endpoint": f"{at}/auth", "token_endpoint": f"{at}/token",
            "userinfo_endpoint": f"{at}/userinfo", "jwks_uri": f"{at}/keys", "client_id": CLIENT,
            "client_secret": SECRET, "brief": {"client_id": BRIEF, "client_secret": SECRET}, "user": dict(USER),
            "login_form": {"username": "#user", "password": "#pass", "submit": "#go"},
        }  # fmt: skip

    def token(self, kind: str, client: str, subject: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": "https://else.ci.test" if "issuer" in self.lenient else self.issuer, "iat": now, "sub": subject,
            "exp": now + (2 if client == BRIEF else 300), "azp": client, "typ": kind,
        }  # fmt: skip
        if kind == "ID":
            claims["aud"] = "somebody" if "audience" in self.lenient else client
        if "stale" in self.lenient:
            claims |= {"iat": now - 900, "exp": now - 600}
        key = RSAKey.generate_key(2048) if "signature" in self.lenient else self.key
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)

    def about(self, token: str) -> dict[str, Any] | None:
        """What userinfo says to a token; None for one that it refuses."""
        try:
            if "forged" in self.lenient or ("none" in self.lenient and token.endswith(".")):
                claims = json.loads(_padded(token.split(".")[1]))
            else:
                claims = dict(json.loads(jws.deserialize_compact(token, self.key, algorithms=["RS256"]).payload))
        except (JoseError, ValueError):
            return None
        if claims["exp"] <= time.time() and "expired" not in self.lenient:
            return None
        if claims["typ"] != "Bearer" and "id_token" not in self.lenient:
            return None
        return None if "nobody" in self.lenient else {"sub": "else" if "sub" in self.lenient else claims["sub"]}


def _padded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    made: LittleSso

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self._serve({name: values[0] for name, values in parse_qs(body).items()})

    def _serve(self, form: dict[str, str]) -> None:
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self.headers["host"].startswith("app."):
            self._app(parts.path, asked)
        else:
            self._provider(parts.path, asked, form)

    # The provider

    def _provider(self, path: str, asked: dict[str, str], form: dict[str, str]) -> None:
        made, cookie = self.made, self._cookie("sso")
        if path == "/.well-known/openid-configuration":
            facts = made.facts
            self._json({name: facts[name] for name in facts if name.endswith(("endpoint", "uri", "issuer"))} | {
                "response_types_supported": ["code"], "token_endpoint_auth_methods_supported": ["client_secret_post"],
                "id_token_signing_alg_values_supported":
                    ["none", "HS256"] if "weak" in made.lenient else ["none", "HS256", "RS256"],
            })  # fmt: skip
        elif path == "/keys":
            self._json({"keys": [made.key.as_dict(private=False)]})
        elif path == "/token":
            self._token(form)
        elif path == "/userinfo":
            about = made.about(self.headers.get("authorization", "").removeprefix("Bearer "))
            self._json(about or {"error": "invalid_token"}, 200 if about else 401)
        elif path == "/auth":
            right = form.get("username") == USER["username"] and form.get("password") == USER["password"]
            if right or cookie in made.logged_in:
                code, session_id = secrets.token_hex(8), cookie or secrets.token_hex(8)
                made.codes[code] = USER["username"]
                made.logged_in.add(session_id)
                where = f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
                self._reply(302, b"", {"Location": where, "Set-Cookie": f"sso={session_id}; Path=/"})
            else:
                told = b"<p>Invalid username or password.</p>" if form else b""
                self._html(FORM % (told, b"text" if "open" in made.lenient else b"password"))
        elif path == "/logout":
            made.logged_in.discard(cookie)
            self._reply(302, b"", {"Location": asked["post_logout_redirect_uri"]})
        else:
            self._json({}, 404)

    def _token(self, form: dict[str, str]) -> None:
        made, client = self.made, form.get("client_id", "")
        right = form.get("client_secret") == SECRET or "secret" in made.lenient
        if not right or client not in (CLIENT, BRIEF):
            self._json({"error": "invalid_client"}, 401)
            return
        if form["grant_type"] == "authorization_code":
            person = made.codes.pop(form["code"], "")
        else:
            person = form.get("username", client)
        self._json({
            "access_token": made.token("Bearer", client, person), "token_type": "Bearer",
            "id_token": made.token("ID", client, person), "expires_in": 2 if client == BRIEF else 300,
        })  # fmt: skip

    # The app

    def _app(self, path: str, asked: dict[str, str]) -> None:
        made, cookie = self.made, self._cookie("app")
        provider = made.provider or made.facts
        person = made.people.get(cookie)
        if path == "/callback":
            form = {
                "grant_type": "authorization_code", "code": asked["code"], "redirect_uri": f"{made.app}/callback",
                "client_id": provider["client_id"], "client_secret": provider["client_secret"],
            }  # fmt: skip
            client = session("127.0.0.1", made.provider_port_ca or made.ca_file)
            tokens = client.post(provider["token_endpoint"], data=form, timeout=20).json()
            mine, claims = secrets.token_hex(8), json.loads(_padded(tokens["id_token"].split(".")[1]))
            name = claims.get("preferred_username", claims["sub"])
            made.people[mine] = {"name": name, "id_token": tokens["id_token"]}
            self._reply(302, b"", {"Location": "/", "Set-Cookie": f"app={mine}; Path=/"})
        elif path == "/logout":
            if "logout" not in made.lenient:
                gone = made.people.pop(cookie, {})
                after = {"post_logout_redirect_uri": f"{made.app}/bye", "id_token_hint": gone.get("id_token", "")}
                end = provider.get("end_session_endpoint") or f"{made.issuer}/logout"
                where = "/bye" if "provider_session" in made.lenient else f"{end}?{urlencode(after)}"
            else:
                where = "/bye"
            self._reply(302, b"", {"Location": where})
        elif path == "/bye":
            self._html(b"<title>Bye</title>You have left.")
        elif person or "public" in made.lenient:
            name = person["name"] if person else "stranger"
            self._html(f"<title>Shop</title>Hello {name} <a id=out href=/logout>Out</a>".encode())
        else:
            ask = {
                "client_id": provider["client_id"], "response_type": "code", "scope": "openid profile",
                "redirect_uri": f"{made.app}/callback", "state": secrets.token_hex(4),
            }  # fmt: skip
            if "state" in made.lenient:
                del ask["state"]
            self._reply(302, b"", {"Location": f"{provider['authorization_endpoint']}?{urlencode(ask)}"})

    # Pieces

    def _cookie(self, name: str) -> str:
        pairs = (pair.strip().partition("=") for pair in self.headers.get("cookie", "").split(";"))
        return next((value for key, _, value in pairs if key == name), "")

    def _html(self, body: bytes) -> None:
        self._reply(200, body, {"Content-Type": "text/html"})

    def _json(self, data: Any, status: int = 200) -> None:
        self._reply(status, json.dumps(data).encode(), {"Content-Type": "application/json"})

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def serving(ca_file: Path, leaf: Path, port: int = 0) -> Iterator[LittleSso]:
    handler = type("OwnHandler", (Handler,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    handler.made = made = LittleSso(server.server_address[1], str(ca_file))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
