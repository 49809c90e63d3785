"""A small client for image registries (the OCI distribution API): which digest a tag has, and what its layers weigh.

The daemon can be asked for the digest only, and hides how long a registry wants to be left alone. A registry is named
by the recipe, so it may be a stranger's: a password goes nowhere but where the registry of its account sends it, and of
what is no registry's answer nothing is repeated but its status.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import ipaddress
import json
import re
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .registry import DOCKER_HUB, Reference
from .registry_credentials import Credentials
from .registry_http import Reply, Unasked, fetch, loopback, name_and_port

HUB = "https://registry-1.docker.io"
MANIFESTS = (
    "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
)  # fmt: skip
LIMIT = 15.0  # seconds for one answer, from the connection to its last byte
MOST_LAYERS = 500
LARGEST_LAYER = 2**50  # bytes; more than that is no size but an attempt
REDIRECTS = 3
WORDS = 300  # characters of a registry's own words
_DIGEST = re.compile(r"[a-z0-9+._-]+:[0-9a-f]{32,128}")
_PARAMETER = re.compile(r'([A-Za-z_]+)="([^"]*)"')


class Refused(Exception):  # noqa: N818 - says what happened
    """A registry's own no: its words, as the daemon would repeat them, and when it wants to be asked again (s)."""

    def __init__(self, status: int, words: str, retry_after: float | None = None) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.retry_after = retry_after


@dataclass(frozen=True)
class Layer:
    """`size` is compressed, in bytes; `diff_id` is the digest of what it unpacks to ("" when not known)."""

    digest: str
    size: int
    diff_id: str = ""


@dataclass(frozen=True)
class Image:
    """`digest` is the one of the name that was asked for: of the list, where there is one for many platforms."""

    digest: str
    layers: tuple[Layer, ...]


class Registries:
    """Asks registries as the daemon of this node would reach them.

    `info` and `version` are the daemon's answers to /info and /version. One that reaches the world through a proxy is
    left to do it itself.
    """

    def __init__(
        self, info: Mapping[str, Any], version: Mapping[str, Any], credentials: Credentials, limit: float = LIMIT
    ) -> None:
        self._config = info.get("RegistryConfig") or {}
        self._proxy = bool(info.get("HttpsProxy") or info.get("HttpProxy"))
        self._platform = (str(version.get("Os") or "linux"), str(version.get("Arch") or "amd64"))
        self._credentials = credentials
        self._limit = limit
        self._permits: dict[tuple[str, str], str] = {}  # (base address, repository) -> header Authorization

    def digest(self, reference: Reference) -> str:
        """The digest that a name has there now. Refused, or Unasked when the registry gave no answer to go by."""
        return str(self._somewhere(reference, self._digest_at))

    def image(self, reference: Reference, digest: str) -> Image:
        """The layers of this digest for the node's platform. Some registries count this as a pull."""
        found = self._somewhere(reference, lambda base, name: self._image_at(base, name, digest))
        assert isinstance(found, Image)
        return found

    def _somewhere(self, reference: Reference, ask: Callable[[str, Reference], Any]) -> Any:
        """From the daemon's mirrors of Docker Hub, else from the registry itself, whose words count."""
        if self._proxy and not loopback(reference.host):
            raise Unasked("the daemon reaches it through a proxy")
        mirrors = self._config.get("Mirrors") or [] if reference.host == DOCKER_HUB else []
        for mirror in mirrors:
            with contextlib.suppress(Unasked, Refused):
                return ask(str(mirror).rstrip("/"), reference)
        return ask(self._base(reference.host), reference)

    def _base(self, host: str) -> str:
        if host == DOCKER_HUB:
            return HUB
        return f"{'http' if self._is_plain(host) else 'https'}://{host}"

    def _is_plain(self, host: str) -> bool:
        """Whether a registry is asked without TLS: on this node itself, or where the daemon is told to."""
        entry = (self._config.get("IndexConfigs") or {}).get(host) or {}
        if loopback(host) or entry.get("Secure") is False:
            return True
        try:
            address = ipaddress.ip_address(name_and_port(host)[0])
            networks = [ipaddress.ip_network(str(one)) for one in self._config.get("InsecureRegistryCIDRs") or []]
        except ValueError:
            return False
        return any(address in network for network in networks)

    def _digest_at(self, base: str, reference: Reference) -> str:
        path = f"/v2/{reference.path}/manifests/{reference.digest or reference.tag}"
        reply = self._ask(base, reference, path, "HEAD")  # no registry counts it as a pull
        found = reply.headers.get("docker-content-digest", "").lower()
        if reply.status == 200 and _DIGEST.fullmatch(found):
            return found
        reply = self._ask(base, reference, path, "GET")  # a HEAD has no words, and not every registry knows it
        if reply.status == 200:
            _json(reply)  # a page of somebody's web server is no manifest
            return f"sha256:{hashlib.sha256(reply.body).hexdigest()}"
        raise refused(reply, base)

    def _image_at(self, base: str, reference: Reference, digest: str) -> Image:
        document = self._manifest(base, reference, digest)
        if "manifests" in document:
            document = self._manifest(base, reference, chosen(document, self._platform))
        layers = layers_of(document)
        config = document.get("config") or {}
        try:
            blob = self._verified(base, reference, "blobs", str(config.get("digest")))
        except (Unasked, Refused):
            return Image(digest, layers)  # then every layer counts as not here
        root = blob.get("rootfs")
        diffs = root.get("diff_ids") if isinstance(root, dict) else None
        if not isinstance(diffs, list) or len(diffs) != len(layers):
            return Image(digest, layers)
        return Image(digest, tuple(Layer(one.digest, one.size, str(id)) for one, id in zip(layers, diffs, strict=True)))

    def _manifest(self, base: str, reference: Reference, digest: str) -> dict[str, Any]:
        return self._verified(base, reference, "manifests", digest)

    def _verified(self, base: str, reference: Reference, kind: str, digest: str) -> dict[str, Any]:
        if not _DIGEST.fullmatch(digest):
            raise Unasked(f"{base} gives no readable digest")
        reply = self._ask(base, reference, f"/v2/{reference.path}/{kind}/{digest}", "GET")
        if reply.status != 200:
            raise refused(reply, base)
        if digest.startswith("sha256:") and digest != f"sha256:{hashlib.sha256(reply.body).hexdigest()}":
            raise Unasked(f"{base} answers with something else than {digest}")
        return _json(reply)

    def _ask(self, base: str, reference: Reference, path: str, method: str) -> Reply:
        """One answer, after the registry's challenge was met when it made one."""
        permit = self._permits.get((base, reference.path), "")
        reply = self._call(base + path, method, permit)
        if reply.status != 401:
            return reply
        permit = self._permit(base, reference, reply.headers.get("www-authenticate", ""))
        if not permit:
            return reply
        self._permits[(base, reference.path)] = permit
        return self._call(base + path, method, permit)

    def _permit(self, base: str, reference: Reference, challenge: str) -> str:
        """The header `Authorization` that a challenge asks for; "" when there is nothing to answer it with."""
        # A mirror has another operator than Docker Hub: it never gets the Hub's password.
        login = self._credentials.login(reference.host) if base == self._base(reference.host) else None
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic":
            return login.basic if login else ""
        asked = {name.lower(): value for name, value in _PARAMETER.findall(rest)}
        if kind.lower() != "bearer" or "realm" not in asked:
            return ""
        if login and login.token:
            raise Unasked("its account is an identity token, which only the daemon can use")
        realm = urllib.parse.urlsplit(asked["realm"])
        if realm.scheme != "https" and not (base.startswith("http:") and self._is_plain(realm.netloc)):
            raise Unasked(f"{base} wants its tokens fetched without TLS")
        query = {"scope": asked.get("scope") or f"repository:{reference.path}:pull"}
        query |= {"service": asked["service"]} if asked.get("service") else {}
        query = {**dict(urllib.parse.parse_qsl(realm.query)), **query}
        url = urllib.parse.urlunsplit(realm._replace(query=urllib.parse.urlencode(query), fragment=""))
        reply = self._call(url, "GET", login.basic if login else "")
        if reply.status != 200:
            raise refused(reply, base)
        found = _json(reply)
        token = str(found.get("token") or found.get("access_token") or "")
        return f"Bearer {token}" if re.fullmatch(r"[\x21-\x7e]{1,65536}", token) else ""

    def _call(self, url: str, method: str, authorization: str) -> Reply:
        deadline = time.monotonic() + self._limit
        for _ in range(REDIRECTS + 1):
            headers = {"Accept": ", ".join(MANIFESTS), "User-Agent": "ccci"}
            headers |= {"Authorization": authorization} if authorization else {}
            reply = fetch(url, method, headers, deadline)
            target = reply.headers.get("location", "")
            if reply.status not in (301, 302, 303, 307, 308) or not target:
                return reply
            before, url = urllib.parse.urlsplit(url), urllib.parse.urljoin(url, target)
            after = urllib.parse.urlsplit(url)
            stays_plain = before.scheme == after.scheme == "http" and self._is_plain(after.netloc)
            if after.scheme != "https" and not stays_plain:
                raise Unasked(f"{before.netloc} leads to an address without TLS")
            if (after.scheme, after.netloc) != (before.scheme, before.netloc):
                authorization = ""
        raise Unasked(f"{urllib.parse.urlsplit(url).netloc} leads from one address to another without end")


def refused(reply: Reply, base: str) -> Exception:
    """What an answer that is no yes means: the registry's own no, or nothing to go by."""
    words = words_of(reply)
    if reply.status == 429:
        after = retry_after(reply.headers.get("retry-after", ""), time.time())
        return Refused(429, words or "toomanyrequests: 429 Too Many Requests", after)
    if reply.status in (401, 403, 404) and words:
        return Refused(reply.status, words)
    return Unasked(f"{base} answers {reply.status}")


def words_of(reply: Reply) -> str:
    """A registry's own words on one line, written as the daemon writes them; "" when they are not a registry's."""
    try:
        errors = json.loads(reply.body)["errors"]
        told = [f"{str(one['code']).lower().replace('_', ' ')}: {one.get('message') or ''}" for one in errors]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return " ".join("".join(char if char.isprintable() else " " for char in "; ".join(told)).split())[:WORDS]


def retry_after(text: str, now: float) -> float | None:
    """Seconds, from the header: a number of seconds, or a date. None when it says nothing."""
    if re.fullmatch(r"\d{1,9}", text.strip()):
        return float(text)
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def chosen(document: Mapping[str, Any], platform: tuple[str, str]) -> str:
    """The digest for a platform out of a list for many. Refused in the daemon's words when there is none."""
    entries = [one for one in document.get("manifests") or () if isinstance(one, dict)][:MOST_LAYERS]
    for one in entries:
        where = one.get("platform")
        if isinstance(where, dict) and (where.get("os"), where.get("architecture")) == platform:
            return str(one.get("digest"))
    name = "/".join(platform)
    raise Refused(404, f"no matching manifest for {name} in the manifest list entries")


def layers_of(document: Mapping[str, Any]) -> tuple[Layer, ...]:
    """The layers of one manifest. Unasked for what is none: an old form without sizes, or nonsense."""
    entries = document.get("layers")
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST_LAYERS:
        raise Unasked("its manifest does not list its layers")
    found = []
    for one in entries:
        digest, size = (one.get("digest"), one.get("size")) if isinstance(one, dict) else (None, None)
        if not isinstance(digest, str) or type(size) is not int or not 0 <= size <= LARGEST_LAYER:
            raise Unasked("its manifest has a layer without a size")
        found.append(Layer(digest, size))
    return tuple(found)


def _json(reply: Reply) -> dict[str, Any]:
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unasked("its answer is not a registry's")
    return found
