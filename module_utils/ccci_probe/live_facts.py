"""Compares the facts that a provider gave with what the provider itself says, before a parent builds on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import requests

from .http import HttpCheck, Reply, fetch
from .polling import Seen, poll, short

WRONG_ISSUER = "dep-wrong-issuer"
WELL_KNOWN = "/.well-known/openid-configuration"
PATIENCE = 30.0  # seconds for transport errors and answers of 500 and more
# Facts that the discovery document names too.
TOLD = ("issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint")


def verify(kind: str, facts: Mapping[str, Any], session: requests.Session) -> Seen:
    """Asks the provider itself. A kind that cannot be asked over HTTP passes, and says so."""
    ask = _ASKED.get(kind)
    if ask is None:
        return Seen("pass", f"facts of a {kind}, which nobody was asked about")
    return poll(lambda: ask(facts, session), time.monotonic() + PATIENCE).seen


def gone(kind: str, facts: Mapping[str, Any], session: requests.Session) -> Seen:
    """After it was withdrawn: whether the provider does not know it any more. A kind that cannot be asked passes."""
    if kind not in _ASKED:
        return Seen("pass", f"withdrawn; nobody can ask whether a {kind} is gone")
    return poll(lambda: _is_gone(kind, facts, session), time.monotonic() + PATIENCE).seen


def _is_gone(kind: str, facts: Mapping[str, Any], session: requests.Session) -> Seen:
    if kind == "sso":
        check, refusals = HttpCheck("discovery", discovery_url(facts["issuer"])), (404, 410)
    else:
        headers = {"Authorization": f"token {facts['admin']['token']}"}
        check, refusals = HttpCheck("user", f"{facts['url'].rstrip('/')}/api/v1/user", headers=headers), (401, 403)
    reply = _asked(session, check)
    if isinstance(reply, Seen):
        return reply
    if reply.status in refusals:
        return Seen("pass", f"{check.url} answers {reply.told()}: it is gone")
    return Seen("fail", f"{check.url} answers {reply.told()}: it is still there", final=True)


def discovery_url(issuer: str) -> str:
    """OpenID Connect Discovery, section 4: the path follows the issuer, whose last slash is left out."""
    return issuer.rstrip("/") + WELL_KNOWN


def discovery_problems(facts: Mapping[str, Any], document: Any) -> list[str]:
    """Where the facts differ from the discovery document; empty when they agree. Pure."""
    if not isinstance(document, Mapping):
        return ["the discovery document is no JSON object"]
    return [
        f"{name} is {short(str(document.get(name)), 200)!r}, the facts say {facts[name]!r}"
        for name in TOLD
        if name in facts and document.get(name) != facts[name]
    ]


def _sso(facts: Mapping[str, Any], session: requests.Session) -> Seen:
    url = discovery_url(facts["issuer"])
    reply = _asked(session, HttpCheck("discovery", url))
    if isinstance(reply, Seen):
        return reply
    if reply.status != 200:
        return Seen("fail", f"{url} answers {reply.told()}: no such issuer", reply.text[:1000], failure_id=WRONG_ISSUER,
                    final=True)  # fmt: skip
    try:
        wrong = discovery_problems(facts, reply.json())
    except ValueError:
        wrong = ["the discovery document is no JSON"]
    if wrong:
        return Seen("fail", f"{url}: {'; '.join(wrong)}", reply.text[:3000], failure_id=WRONG_ISSUER, final=True)
    return Seen("pass", f"{facts['issuer']} names itself and its endpoints as the facts do")


def _forge(facts: Mapping[str, Any], session: requests.Session) -> Seen:
    url, admin = f"{facts['url'].rstrip('/')}/api/v1/user", facts["admin"]
    reply = _asked(session, HttpCheck("user", url, headers={"Authorization": f"token {admin['token']}"}))
    if isinstance(reply, Seen):
        return reply
    try:
        login = reply.json().get("login") if reply.status == 200 else None
    except (ValueError, AttributeError):
        login = None
    if login != admin["username"]:
        return Seen(
            "fail", f"{url} answers {reply.told()} to the token of {admin['username']}", reply.text[:1000], final=True
        )
    return Seen("pass", f"{facts['url']} accepts the token of {login}")


def _asked(session: requests.Session, check: HttpCheck) -> Reply | Seen:
    """The answer, or what is worth another try: no answer at all, or one of 500 and more."""
    try:
        reply = fetch(check, session)
    except requests.exceptions.RequestException as error:
        return Seen("fail", f"{check.url}: {short(str(error))}")
    return Seen("fail", f"{check.url} answers {reply.told()}", reply.text[:1000]) if reply.status >= 500 else reply


_ASKED: dict[str, Callable[[Mapping[str, Any], requests.Session], Seen]] = {"sso": _sso, "forge": _forge}
