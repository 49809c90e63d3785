"""What an image reference names, whether it has to be pulled, and what a registry's refusal means. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

DOCKER_HUB = "docker.io"
UNTAGGED = "digest is here without its tag (cached-untagged): it gets the tag, nothing is pulled"
_REFERENCE = re.compile(
    r"(?P<name>[^@:]+(?::[0-9]+(?=/)[^@:]*)?)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[a-z0-9+._-]+:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")


class BadReferenceError(ValueError):
    """A text that is no image reference."""


@dataclass(frozen=True)
class Reference:
    """`127.0.0.1:5000/ccci/nginx:1.22.1@sha256:…`; `text` is how the compose file wrote it."""

    text: str
    host: str
    path: str
    tag: str  # "" when only a digest is named
    digest: str  # "" when only a tag is named

    @property
    def repository(self) -> str:
        """The name as the daemon writes it in RepoTags and RepoDigests: without docker.io and library."""
        if self.host != DOCKER_HUB:
            return f"{self.host}/{self.path}"
        return self.path.removeprefix("library/")

    @property
    def query(self) -> str:
        """What to ask daemon or registry for: the digest when the reference is pinned, else the tag."""
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


def parse(text: str) -> Reference:
    """Raises BadReferenceError, with the text and what is wrong with it."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise BadReferenceError(f"{text!r} is no image reference (expected [host/]name[:tag][@digest])")
    name, tag, digest = match["name"], match["tag"] or "", (match["digest"] or "").lower()
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host, path = first, rest
    else:
        host, path = DOCKER_HUB, name
    if host in ("index.docker.io", DOCKER_HUB):
        host, path = DOCKER_HUB, path if "/" in path else f"library/{path}"
    if not _PATH.fullmatch(path):
        raise BadReferenceError(f"{text!r} is no image reference: {path!r} is no repository name (lower case only)")
    return Reference(text, host, path, tag or ("" if digest else "latest"), digest)


@dataclass(frozen=True)
class Refusal:
    """Why an image cannot be had. `outcome` is `fail` when the recipe names what does not exist, else `error`."""

    outcome: str
    failure_id: str | None
    hint: str


_RATE = re.compile(r"toomanyrequests|too many requests|rate.?limit|\b429\b", re.IGNORECASE)
# The words are a stranger's and may be of any length: no expression looks through them again from each of its places.
_MISSING = re.compile(
    r"manifest (for \S+ )?unknown|name unknown|repository does not exist|no matching manifest|\bnot found\b",
    re.IGNORECASE,
)
_DISK = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_DENIED = re.compile(
    r"unauthorized|authentication required|access .{0,200}denied|no basic auth|incorrect username", re.IGNORECASE
)
# A resolver that says "not found" speaks of the host, not of the image.
_NETWORK = re.compile(
    r"no such host|connection refused|i/o timeout|timeout|deadline exceeded|network is unreachable|no route to host|"
    r"x509|tls:|connection reset|EOF$|server gave HTTP|server misbehaving|bad gateway|service unavailable|\b50[0234]\b",
    re.IGNORECASE,
)


_BETWEEN = re.compile(r"""([\s"'`,;()\[\]{}]+)""")


def _spelled(reference: Reference) -> Iterator[str]:
    """What words about an image may name it by, where they do not spell it as a path."""
    yield from (reference.path.removeprefix("library/"), reference.tag, reference.digest)
    yield from (reference.host, reference.host.partition(":")[0])


def without_names(words: str, reference: Reference | None = None) -> str:
    """A registry's words without what they speak about: a tag `1.429.0` is no rate limit, and a repository
    `timeout-proxy` is no timeout. Every path and address goes, also a mirror's; `reference` is the image asked for.
    Pure."""
    words = "".join("…" if "/" in part else part for part in _BETWEEN.split(words))
    names = sorted({name for name in _spelled(reference) if name}, key=len, reverse=True) if reference else []
    if not names:
        return words
    return re.sub(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, names))})(?![\w-]|\.\w)", "…", words)


def refusal(words: str, reference: Reference | None = None) -> Refusal:
    """What a registry's answer about an image, in the daemon's words, means for the verdict."""
    words = without_names(words, reference)
    if _RATE.search(words):
        return Refusal("error", "rate-limit", "Log the node in to this registry, or wait until the limit is over")
    if _DISK.search(words):
        return Refusal("error", "disk-full", "Free space below the daemon's root directory (docker system df)")
    if _NETWORK.search(words):
        return Refusal("error", None, "The node cannot reach this registry")
    if _MISSING.search(words):
        hint = "The image or its tag does not exist (any more)"
        if _DENIED.search(words):
            hint += "; if it is private, log the node in (docker login)"
        return Refusal("fail", "missing-image", hint)
    if _DENIED.search(words):
        hint = "Log the node in to this registry (docker login); a repository that does not exist can look the same"
        return Refusal("error", None, hint)
    return Refusal("error", None, "Pull the image by hand on the node to see more")


@dataclass(frozen=True)
class Local:
    """An image as the daemon has it: `digests` are those by which a registry knows it. `tagged` is false when it is
    here by its digest only: as `<none>`, which is how swarm keeps what it pulled."""

    digests: tuple[str, ...]
    tagged: bool = True


@dataclass(frozen=True)
class Remote:
    """The registry's answer: its digest, or the words of its refusal and how many seconds it wants to be left alone."""

    digest: str = ""
    words: str = ""
    retry_after: float | None = None


def local_image(inspected: Mapping[str, Any], reference: Reference, tagged: bool = True) -> Local:
    """From `GET /images/<name>/json`; only digests of the reference's own repository count."""
    pairs = (str(entry).partition("@") for entry in inspected.get("RepoDigests") or [])
    return Local(tuple(digest for name, _, digest in pairs if name == reference.repository), tagged)


@dataclass(frozen=True)
class Decision:
    """`action` is present, tag, pull or refuse; `note` says why, in words for the report."""

    action: str
    note: str = ""


def decide(reference: Reference, local: Local | None, remote: Remote) -> Decision:
    """Whether an image has to be pulled. An image is present when its tag is here with the registry's own digest; one
    that is here with that digest, but without the tag, only needs the tag."""
    if reference.digest:
        if local is not None:
            return Decision("present", "pinned by digest, and here")
        return Decision("pull" if remote.digest else "refuse", remote.words or "not here")
    if remote.digest:
        if local is not None and remote.digest in local.digests:
            return Decision("present", "tag and digest are here") if local.tagged else Decision("tag", UNTAGGED)
        return Decision("pull", "not here" if local is None else "here with another digest")
    if local is None:
        return Decision("refuse", remote.words)
    if not local.digests:
        return Decision("present", "only on this node; no registry has it")
    if refusal(remote.words, reference).failure_id == "missing-image":
        return Decision("refuse", remote.words)
    return Decision("present", f"here, but its registry could not be asked whether it is current: {remote.words}")
