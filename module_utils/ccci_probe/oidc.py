"""Looks at an OpenID Connect provider as its clients do: what it gives, and what it must refuse.

Tokens never get into texts: they open doors as long as they live.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote_plus, urljoin, urlsplit

import requests

from .http import HttpCheck, Reply, fetch
from .live_facts import WRONG_ISSUER, discovery_problems, discovery_url
from .polling import Seen, poll, short

CHECKS = (
    "discovery", "password", "client_credentials", "userinfo", "wrong_secret", "wrong_audience", "tampered", "expired",
)  # fmt: skip
# 500: Keycloak stumbles over a token that says `none`, which nobody has accepted then.
REFUSED = (400, 401, 403, 500)
LEEWAY = 30  # seconds that the clocks of the provider and of the controller may differ
LONGEST_BRIEF = 20  # seconds that a token may live whose end is waited for
BRIEF_TRIES = 4  # a busy machine may take longer for one request than such a token lives
HOPS = 6  # redirects from the app to its provider
Claims = dict[str, Any]


class Wrong(Exception):  # noqa: N818 - says what it found
    """Something is not as it must be; the text says what."""

    def __init__(self, text: str, failure_id: str = "") -> None:
        super().__init__(text)
        self.failure_id = failure_id


@dataclass
class Examination:
    """One provider, seen by one client. `facts` are those of a dep of kind sso; requests of 500 and more and transport
    errors are sent again until `deadline` (time.monotonic())."""

    facts: Mapping[str, Any]
    session: requests.Session
    deadline: float
    _document: dict[str, Any] = field(default_factory=dict)
    _granted: dict[str, dict[str, Any]] = field(default_factory=dict)

    def look(self, check: str) -> Seen:
        """What one of CHECKS found."""
        try:
            return Seen("pass", _LOOKS[check](self))
        except Wrong as wrong:
            return Seen("fail", str(wrong), failure_id=wrong.failure_id)

    # What it gives

    def discovery(self) -> str:
        document = self.document
        wrong = discovery_problems(self.facts, document)
        if wrong:
            raise Wrong("; ".join(wrong), WRONG_ISSUER)
        if "code" not in document.get("response_types_supported", []):
            raise Wrong("the code flow is not among response_types_supported")
        return f"issuer {document['issuer']}, signs with {', '.join(self.algorithms)}, {len(self.keys().keys)} keys"

    def password(self) -> str:
        granted = self.grant("password")
        told = self._judged_id_token(granted)
        return f"{told}; {self._judged_access_token(granted)}"

    def client_credentials(self) -> str:
        return self._judged_access_token(self.grant("client_credentials"))

    def userinfo(self) -> str:
        granted = self.grant("password")
        claims, about = self.verified(str(granted.get("id_token"))), self._accepted(granted)
        if about.get("sub") != claims["sub"]:
            raise Wrong(f"userinfo speaks of {about.get('sub')!r}, the token of {claims['sub']!r}")
        return f"userinfo and the token speak of {claims['sub']}"

    # What it must refuse

    def wrong_secret(self) -> str:
        kind = next((one for one in ("password", "client_credentials") if one in self._granted), "password")
        self.grant(kind)  # with the right one it works, or refusing the wrong one would say nothing
        reply = self._ask(self._grant_request(kind, {**self.facts, "client_secret": f"{self.facts['client_secret']}x"}))
        if reply.status not in REFUSED:
            raise Wrong(f"a wrong client secret is answered with {reply.told()}")
        return f"a wrong client secret is refused with status {reply.status}"

    def wrong_audience(self) -> str:
        granted = self.grant("password")
        self._accepted(granted)
        told = [self._refused(str(granted.get("id_token")), "an ID token, which is for the client,")]
        other = self.facts.get("brief")
        if other:
            foreign = self.grant("password", {**self.facts, **other})
            self.verified(str(foreign.get("id_token")), client=other["client_id"])
            if _passes(lambda: self.verified(str(foreign.get("id_token")))):
                raise Wrong(f"an ID token of {other['client_id']} passes as one of {self.facts['client_id']}")
            told.append("an ID token of another client is known as one")
        return "; ".join(told)

    def tampered(self) -> str:
        granted = self.grant("password")
        self._accepted(granted)
        token = str(granted["access_token"])
        return "; ".join(self._refused(forged, what) for what, forged in forgeries(token, self.algorithms).items())

    def expired(self) -> str:
        brief = self.facts.get("brief")
        if not brief:
            raise Wrong("the provider gives no client with brief tokens (`brief`); leave `expired` out of the checks")
        for _ in range(BRIEF_TRIES):
            granted = self.grant("password", {**self.facts, **brief}, anew=True)
            ends = time.time() + float(granted.get("expires_in") or LONGEST_BRIEF + 1)
            if ends - time.time() > LONGEST_BRIEF:
                raise Wrong(f"tokens of {brief['client_id']} live for {granted.get('expires_in')} s: too long to wait")
            reply = self._userinfo(str(granted["access_token"]))
            if reply.status == 200:
                time.sleep(max(0.0, ends - time.time()) + 1)
                return self._refused(str(granted["access_token"]), "an expired token")
        raise Wrong(f"userinfo answers {reply.told()} to a token of {brief['client_id']} that has not expired yet")

    # Pieces

    @property
    def document(self) -> dict[str, Any]:
        """The discovery document, asked for once. Wrong when there is none."""
        if not self._document:
            url = discovery_url(self.facts["issuer"])
            reply = self._ask(HttpCheck("discovery", url))
            if reply.status != 200:
                raise Wrong(f"{url} answers {reply.told()}", WRONG_ISSUER)
            self._document = _object(reply, url)
        return self._document

    @property
    def algorithms(self) -> list[str]:
        """What the provider says that it signs with. Never `none`, nor what is made with a secret that both know: the
        keys are public, and whoever reads them could sign."""
        named = self.document.get("id_token_signing_alg_values_supported") or []
        kept = [str(one) for one in named if str(one).lower() != "none" and not str(one).startswith("HS")]
        if not kept:
            raise Wrong(f"no signing algorithm is usable: {', '.join(map(str, named)) or 'none is named'}")
        return kept

    def keys(self) -> Any:
        """The provider's public keys for signatures."""
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        listed = _object(self._ask(HttpCheck("keys", self.facts["jwks_uri"])), self.facts["jwks_uri"]).get("keys") or []
        try:
            return KeySet.import_key_set({"keys": [key for key in listed if key.get("use", "sig") == "sig"]})
        except (JoseError, ValueError, KeyError) as error:
            raise Wrong(f"the keys at {self.facts['jwks_uri']} cannot be read: {error}") from error

    def grant(self, kind: str, who: Mapping[str, Any] | None = None, anew: bool = False) -> dict[str, Any]:
        """The answer of the token endpoint; kept for each grant of our own client. Wrong when there is no token."""
        if who is None and kind in self._granted and not anew:
            return self._granted[kind]
        about = self.facts if who is None else who
        reply = self._ask(self._grant_request(kind, about))
        if reply.status != 200:
            raise Wrong(f"{kind} grant of {about['client_id']}: {reply.told()}: {short(reply.text, 300)}")
        granted = _object(reply, f"the answer to the {kind} grant")
        if not granted.get("access_token") or str(granted.get("token_type")).lower() != "bearer":
            raise Wrong(f"{kind} grant of {about['client_id']}: no bearer token, but {', '.join(granted)}")
        if who is None:
            self._granted[kind] = granted
        return granted

    def verified(self, token: str, client: str | None = None) -> Claims:
        """The claims of an ID token that is good in every respect. Wrong says which one it is not."""
        client = client or self.facts["client_id"]
        claims = self._claims(token, {"aud": {"essential": True, "value": client}, "sub": {"essential": True}})
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != client:
            raise Wrong(f"the token is for {', '.join(audience)}, and azp is {claims.get('azp')!r}, not {client}")
        if claims.get("azp", client) != client:
            raise Wrong(f"azp is {claims['azp']!r}, not {client}")
        return claims

    def _claims(self, token: str, wanted: Mapping[str, Any]) -> Claims:
        """Signature, iss, exp, iat and `wanted`."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        try:
            decoded = jwt.decode(token, self.keys(), algorithms=self.algorithms)
            registry = jwt.JWTClaimsRegistry(
                leeway=LEEWAY, iss={"essential": True, "value": self.facts["issuer"]}, exp={"essential": True},
                iat={"essential": True}, **wanted,
            )  # fmt: skip
            registry.validate(decoded.claims)
        except (JoseError, ValueError) as error:
            raise Wrong(f"the token is not good: {type(error).__name__}: {error}") from error
        kind = decoded.header.get("typ", "JWT")
        if str(kind).lower() not in ("jwt", "at+jwt", "application/at+jwt"):
            raise Wrong(f"typ in the token's header is {kind!r}")
        return dict(decoded.claims)

    def _judged_id_token(self, granted: Mapping[str, Any]) -> str:
        if not granted.get("id_token"):
            raise Wrong("there is no ID token, although the scope openid was asked for")
        claims = self.verified(str(granted["id_token"]))
        if claims.get("typ", "ID") != "ID":  # Keycloak says in the claims what kind of token it is
            raise Wrong(f"the ID token calls itself {claims['typ']!r}")
        return f"ID token for {claims['aud']} by {claims['iss']}, {claims['exp'] - claims['iat']} s"

    def _judged_access_token(self, granted: Mapping[str, Any]) -> str:
        token, client = str(granted["access_token"]), self.facts["client_id"]
        if token.count(".") != 2:
            return "access token that only the provider can read"
        claims = self._claims(token, {})
        audience = claims.get("aud", [])
        for_whom = [
            *(audience if isinstance(audience, list) else [audience]),
            claims.get("azp"),
            claims.get("client_id"),
        ]
        if client not in for_whom:
            raise Wrong(f"the access token names {client} neither as aud nor as azp nor as client_id: {for_whom}")
        if claims.get("typ", "Bearer") != "Bearer":
            raise Wrong(f"the access token calls itself {claims['typ']!r}")
        return f"access token of {client}, {claims['exp'] - claims['iat']} s"

    def _accepted(self, granted: Mapping[str, Any]) -> dict[str, Any]:
        """What userinfo says to a good token. Wrong when it refuses even that one: then no refusal says anything."""
        reply = self._userinfo(str(granted["access_token"]))
        if reply.status != 200:
            raise Wrong(f"userinfo answers {reply.told()} to a good token")
        return _object(reply, "userinfo")

    def _refused(self, token: str, what: str) -> str:
        reply = self._userinfo(token, REFUSED)
        if reply.status not in REFUSED:
            raise Wrong(f"{what} is answered with {reply.told()} by userinfo")
        return f"{what} is refused with status {reply.status}"

    def _userinfo(self, token: str, final: tuple[int, ...] = ()) -> Reply:
        url = self.facts["userinfo_endpoint"]
        return self._ask(HttpCheck("userinfo", url, headers={"Authorization": f"Bearer {token}"}), final)

    def _grant_request(self, kind: str, who: Mapping[str, Any]) -> HttpCheck:
        form = {"grant_type": kind, "scope": "openid"}
        if kind == "password":
            person = who["user"]
            form |= {"username": person["username"], "password": person.get("grant_password") or person["password"]}
        headers, name, secret = {}, who["client_id"], who["client_secret"]
        if "client_secret_post" in self.document.get("token_endpoint_auth_methods_supported", []):
            form |= {"client_id": name, "client_secret": secret}
        else:
            pair = f"{quote_plus(name)}:{quote_plus(secret)}".encode()
            headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return HttpCheck(kind, self.facts["token_endpoint"], method="POST", form=form, headers=headers)

    def _ask(self, check: HttpCheck, final: tuple[int, ...] = ()) -> Reply:
        """An answer below 500, or with a status of `final`, or the last one. Wrong when there is none in time."""
        seen = poll(lambda: _attempt(check, self.session, final), self.deadline).seen
        if not isinstance(seen.data, Reply):
            raise Wrong(f"{check.method} {check.url}: {seen.observed}")
        return seen.data


def redirect(url: str, facts: Mapping[str, Any], session: requests.Session, deadline: float) -> Seen:
    """Whether an app sends a stranger who visits `url` to the provider, as this client. `session` has no cookies."""
    home, at = urlsplit(url).netloc, url
    for _ in range(HOPS):
        seen = poll(lambda at=at: _attempt(HttpCheck("redirect", at), session), deadline).seen  # type: ignore[misc]
        if not isinstance(seen.data, Reply):
            return Seen("fail", f"{at}: {seen.observed}")
        location = seen.data.headers.get("location")
        if not location or not 300 <= seen.data.status < 400:
            return Seen(
                "fail", f"{_bare(at)} answers {seen.data.told()} to a stranger, and sends nobody to {facts['issuer']}"
            )
        at = urljoin(at, location)
        if _bare(at) == _bare(facts["authorization_endpoint"]):
            wrong = _wrong_request(parse_qs(urlsplit(at).query), facts, home)
            return Seen("fail", "; ".join(wrong)) if wrong else Seen("pass", f"a stranger is sent to {_bare(at)}")
        if urlsplit(at).netloc != home:
            return Seen("fail", f"a stranger is sent to {_bare(at)}, not to {_bare(facts['authorization_endpoint'])}")
    return Seen("fail", f"after {HOPS} redirects a stranger is still at {_bare(at)}")


def forgeries(token: str, algorithms: list[str]) -> dict[str, str]:
    """What nobody may accept, made of a good token: {what it is: the token}. Of one that nobody can read, another."""
    if token.count(".") != 2:
        return {"a token with another end": token[:-6] + ("AAAAAA" if not token.endswith("AAAAAA") else "BBBBBB")}
    from joserfc import jws
    from joserfc.jwk import RSAKey

    head, body, signature = token.split(".")
    header, claims = _decoded(head), _decoded(body)
    longer = {**claims, "exp": claims.get("exp", 0) + 3600}
    foreign = {**header, "alg": "RS256" if "RS256" in algorithms else header.get("alg", "RS256")}
    made = {
        "a token with another content": f"{head}.{_encoded(longer)}.{signature}",
        "a token without a signature (alg none)": f"{_encoded({**header, 'alg': 'none'})}.{body}.",
    }
    if foreign["alg"].startswith(("RS", "PS")):
        key = RSAKey.generate_key(2048)
        signed = jws.serialize_compact(foreign, json.dumps(claims), key, algorithms=[foreign["alg"]])
        made["a token that somebody else has signed"] = signed
    return made


def _wrong_request(asked: Mapping[str, list[str]], facts: Mapping[str, Any], home: str) -> list[str]:
    """What is wrong with the query of an authorization request. Pure."""

    def first(name: str) -> str:
        return asked.get(name, [""])[0]

    wrong = []
    if first("client_id") != facts["client_id"]:
        wrong.append(f"the app calls itself {first('client_id')!r}, not {facts['client_id']!r}")
    if "code" not in first("response_type").split():
        wrong.append(f"response_type is {first('response_type')!r}, not code")
    if urlsplit(first("redirect_uri")).netloc != home:
        wrong.append(f"redirect_uri is {first('redirect_uri')!r}, which is not at {home}")
    if not first("state"):
        wrong.append("there is no state: anybody could log a person in as somebody else")
    return wrong


def _attempt(check: HttpCheck, session: requests.Session, final: tuple[int, ...] = ()) -> Seen:
    """One try; an answer of 500 and more, `final` ones aside, counts only when the time is over."""
    try:
        reply = fetch(check, session)
    except requests.exceptions.RequestException as error:
        return Seen("fail", short(str(error), 300))
    outcome = "pass" if reply.status < 500 or reply.status in final else "fail"
    return Seen(outcome, reply.told(), data=reply)


def _passes(judge: Callable[[], object]) -> bool:
    try:
        judge()
    except Wrong:
        return False
    return True


def _object(reply: Reply, what: str) -> dict[str, Any]:
    try:
        data = reply.json()
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise Wrong(f"{what}: {reply.told()}, which is no JSON object")
    return data


def _bare(url: str) -> str:
    """Without the query, which may hold codes and states."""
    return url.partition("?")[0].partition("#")[0]


def _decoded(part: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def _encoded(data: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data, separators=(",", ":")).encode()).decode().rstrip("=")


_LOOKS: dict[str, Callable[[Examination], str]] = {name: getattr(Examination, name) for name in CHECKS}


def titles(checks: Iterator[str] | list[str]) -> dict[str, str]:
    """What each check expects, in words."""
    words = {
        "discovery": "the discovery document names this issuer and these endpoints",
        "password": "a password grant gives tokens that are signed, and by and for the right ones",
        "client_credentials": "client credentials give a token that is signed, by the right issuer",
        "userinfo": "userinfo speaks of the person whom the token names",
        "wrong_secret": "a wrong client secret is refused",
        "wrong_audience": "tokens that are for somebody else are refused",
        "tampered": "forged tokens are refused",
        "expired": "an expired token is refused",
    }
    return {name: words[name] for name in checks}
