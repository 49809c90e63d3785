"""One HTTP check: fetch, and compare with what is characteristic for the app."""

from __future__ import annotations

import hashlib
import json
import queue
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from .connection import certificate, covers
from .polling import Seen, short

PATIENCE = 6
BODY_LIMIT = 64 * 2**20  # bytes
SHOWN = 240  # characters of a body in `observed`; the evidence has more
KEPT = 8192  # characters of a body that later tasks can use
GATEWAY = {502, 503, 504}
# Everything else is a write: what the app has answered once is not sent again, 5xx aside.
READS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str = ""
    seconds: float = 0.0

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    def json(self) -> Any:
        """The parsed body; ValueError for what is no JSON."""
        return json.loads(self.body)

    def told(self) -> str:
        """One line: status, type, size."""
        return f"status {self.status}, {self.content_type or 'no content type'}, {len(self.body)} bytes"


@dataclass(frozen=True)
class HttpCheck:
    """What an answer must be like. None and empty: not judged. `status` is always judged."""

    id: str
    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    form: Mapping[str, str] | None = None
    body_json: Any = None
    status: tuple[int, ...] = (200,)
    json: Any = None
    text: str | None = None
    not_text: str | None = None
    content_type: str | None = None
    response_headers: Mapping[str, str] = field(default_factory=dict)
    body_equals: str | None = None
    sha256: str | None = None
    redirect_to: str | None = None
    follow: bool = False
    tls: Mapping[str, str] | None = None
    successes: int = 1
    timeout: float = 10.0

    def expectation(self) -> str:
        """In words, for people."""
        if self.only_tls:
            return f"a certificate for {(self.tls or {}).get('name')}{self._issuer_told()}"
        parts = [f"{self.method} {self.url} answers {' or '.join(map(str, self.status))}"]
        for name, value in (
            ("content type", self.content_type), ("text", self.text), ("redirect to", self.redirect_to),
            ("body", self.body_equals), ("SHA-256", self.sha256), ("not the text", self.not_text),
        ):  # fmt: skip
            if value is not None:
                parts.append(f"{name} {short(repr(value), 200)}")
        if self.json is not None:
            parts.append(f"JSON with {short(json.dumps(self.json, ensure_ascii=False), 200)}")
        parts += [f"header {name}: {value}" for name, value in self.response_headers.items()]
        if self.tls:
            parts.append(f"a certificate for {self.tls.get('name')}{self._issuer_told()}")
        if self.successes > 1:
            parts.append(f"{self.successes} times in a row")
        return ", ".join(parts)

    @property
    def only_tls(self) -> bool:
        return self.tls is not None and self == HttpCheck(self.id, self.url, tls=self.tls, timeout=self.timeout)

    def _issuer_told(self) -> str:
        issuer = (self.tls or {}).get("issuer")
        return f" by {issuer}" if issuer else ""


def mismatches(check: HttpCheck, reply: Reply) -> list[str]:
    """What is wrong with an answer, in words; empty when it is the characteristic one. Pure."""
    wrong = []
    if reply.status not in check.status:
        wrong.append(f"status {reply.status}")
    if check.content_type is not None and not reply.content_type.lower().startswith(check.content_type.lower()):
        wrong.append(f"content type {reply.content_type or 'none'}")
    for name, value in check.response_headers.items():
        if value not in reply.headers.get(name.lower(), ""):
            wrong.append(f"header {name}: {reply.headers.get(name.lower(), 'none')}")
    if check.redirect_to is not None:
        target = urljoin(check.url, reply.headers.get("location", "")) if "location" in reply.headers else "nowhere"
        if target != urljoin(check.url, check.redirect_to):
            wrong.append(f"redirect to {target}")
    if check.text is not None and check.text not in reply.text:
        wrong.append("the text is not there")
    if check.not_text is not None and check.not_text in reply.text:
        wrong.append("the unwanted text is there")
    if check.body_equals is not None and reply.body != check.body_equals.encode():
        wrong.append("the body differs")
    if check.sha256 is not None and hashlib.sha256(reply.body).hexdigest() != check.sha256.lower():
        wrong.append(f"SHA-256 {hashlib.sha256(reply.body).hexdigest()}")
    if check.json is not None:
        try:
            wrong += [f"JSON {difference}" for difference in differences(check.json, reply.json())]
        except ValueError:
            wrong.append("the body is no JSON")
    return wrong


def differences(wanted: Any, seen: Any, path: str = "") -> list[str]:
    """Where `seen` does not hold `wanted`. Objects may have more keys; of a list, each wanted item must occur."""
    where = path or "document"
    if isinstance(wanted, Mapping):
        if not isinstance(seen, Mapping):
            return [f"{where} is {short(json.dumps(seen), 100)}, no object"]
        found = []
        for key, value in wanted.items():
            inner = f"{path}.{key}" if path else str(key)
            found += differences(value, seen[key], inner) if key in seen else [f"{inner} is missing"]
        return found
    if isinstance(wanted, list):
        if not isinstance(seen, list):
            return [f"{where} is {short(json.dumps(seen), 100)}, no list"]
        return [
            f"{where} has no {short(json.dumps(item), 100)}"
            for item in wanted
            if not any(not differences(item, other) for other in seen)
        ]
    same = wanted == seen and isinstance(wanted, bool) == isinstance(seen, bool)
    return [] if same else [f"{where} is {short(json.dumps(seen, ensure_ascii=False), 100)}"]


def attempt(check: HttpCheck, session: requests.Session, address: str | None, ca_file: str | None) -> Seen:
    """One try. Not reaching the ingress at all is infrastructure's fault; everything behind it is the app's."""
    try:
        if check.tls is not None:
            seen = _judge_tls(check, address, ca_file)
            if seen.outcome != "pass" or check.only_tls:
                return seen
        reply = fetch(check, session)
    except requests.exceptions.SSLError as error:
        return Seen("fail", f"TLS: {_words(error)}", hint="Which certificate does the ingress show for this name?")
    except (requests.exceptions.ConnectTimeout, requests.exceptions.ConnectionError) as error:
        return _unreachable(check, error, address)
    except requests.exceptions.ReadTimeout:
        return Seen("fail", f"no answer within {check.timeout:.0f} s")
    except requests.exceptions.RequestException as error:
        return Seen("fail", _words(error))
    wrong = mismatches(check, reply)
    data = {"status": reply.status, "headers": dict(reply.headers), "text": reply.text[:KEPT], "json": _json(reply)}
    if not wrong:
        return Seen("pass", reply.told(), data=data)
    shown = reply.text if reply.content_type.startswith(("text/", "application/json")) or _is_text(reply) else ""
    hint = ""
    if reply.status == 404 and reply.body.strip() == b"404 page not found":
        hint = "This is how Traefik answers when no router knows the host: are the service's labels right, is it up?"
    elif reply.status in GATEWAY and reply.status not in check.status:
        hint = "The ingress knows the host but gets no answer from the service"
    observed = ", ".join(wrong) + (f": {short(shown, SHOWN)}" if shown.strip() else "")
    reads = check.method.upper() in READS
    return Seen(
        "fail", observed, _evidence(check, reply), hint, data, placeholder=reads and reply.status in check.status,
        final=not reads and reply.status < 500,
    )  # fmt: skip


def fetch(check: HttpCheck, session: requests.Session) -> Reply:
    """requests' exceptions go through; one of them after PATIENCE times the check's timeout, which bounds only the
    silence between two bytes: an app that drips its answer would otherwise be listened to for days."""
    replies: queue.SimpleQueue[Reply | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            replies.put(_fetch(check, session))
        except Exception as error:  # it belongs to the caller's thread
            replies.put(error)

    threading.Thread(target=work, daemon=True).start()
    limit = PATIENCE * check.timeout
    try:
        reply = replies.get(timeout=limit)
    except queue.Empty:
        raise requests.exceptions.ReadTimeout(f"the answer had not ended after {limit:.0f} s") from None
    if isinstance(reply, Exception):
        raise reply
    return reply


def _fetch(check: HttpCheck, session: requests.Session) -> Reply:
    data: Any = check.body.encode() if check.body is not None else check.form
    with session.request(
        check.method, check.url, headers=dict(check.headers), data=data, json=check.body_json,
        timeout=check.timeout, allow_redirects=check.follow, stream=True,
    ) as response:  # fmt: skip
        body = b""
        for piece in response.iter_content(2**16):
            body += piece
            if len(body) > BODY_LIMIT:
                raise requests.exceptions.ContentDecodingError(f"the body is longer than {BODY_LIMIT // 2**20} MiB")
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, headers, body, response.url, response.elapsed.total_seconds())


def _judge_tls(check: HttpCheck, address: str | None, ca_file: str | None) -> Seen:
    parts = urlsplit(check.url)
    host, wanted = parts.hostname or "", dict(check.tls or {})
    try:
        shown = certificate(host, parts.port or 443, address, ca_file, check.timeout)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        return Seen("fail", f"TLS: {reason}", hint="Does the ingress show its default certificate for this name?")
    except OSError as error:
        return _unreachable(check, error, address)
    told = (
        f"a certificate for {', '.join(shown['names']) or 'no name'} by {shown['issuer']}, until {shown['not_after']}"
    )
    right = covers(shown["names"], wanted.get("name") or host) and wanted.get("issuer", "") in shown["issuer"]
    return Seen("pass" if right else "fail", told, data={"tls": shown})


def _unreachable(check: HttpCheck, error: Exception, address: str | None) -> Seen:
    words = _words(error)
    cut_off = any(text in words for text in ("aborted", "reset by peer", "without response", "Broken pipe"))
    if cut_off and isinstance(error, requests.exceptions.ConnectionError):
        return Seen("fail", f"the connection was cut off: {words}")
    target = address or urlsplit(check.url).hostname
    hint = "The ingress does not listen, or its address is wrong" if address else "Does the host's name resolve here?"
    return Seen("error", f"{target} cannot be reached: {words}", hint=hint)


def _words(error: BaseException) -> str:
    """What a chain of wrapped exceptions says, without the objects that it names."""
    inner: BaseException = error
    while True:
        reason = getattr(inner, "reason", None)
        if isinstance(reason, BaseException):
            inner = reason
        elif inner.args and isinstance(inner.args[0], BaseException):
            inner = inner.args[0]
        elif len(inner.args) > 1 and isinstance(inner.args[1], BaseException):
            inner = inner.args[1]
        else:
            return short(str(inner).rpartition(">: ")[2] or type(inner).__name__, 300)


def _evidence(check: HttpCheck, reply: Reply) -> str:
    headers = "\n".join(f"{name}: {value}" for name, value in reply.headers.items())
    return f"{check.method} {check.url}\nstatus {reply.status}\n{headers}\n\n{reply.text[:2000]}"


def _is_text(reply: Reply) -> bool:
    """Whether a body whose type nobody named can be shown."""
    return not reply.content_type and not any(sign in reply.text for sign in "\0\ufffd")


def _json(reply: Reply) -> Any:
    if "json" not in reply.content_type or len(reply.body) > KEPT * 8:
        return None
    try:
        return reply.json()
    except ValueError:
        return None
