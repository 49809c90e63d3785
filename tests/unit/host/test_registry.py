"""Image references, decisions about pulling, and what registries' own words mean. The words are real ones."""

from __future__ import annotations

import time

import pytest

from ccci_host import registry
from ccci_host.registry import Local, Remote

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
MISSING = ("fail", "missing-image")


@pytest.mark.parametrize(
    ("text", "host", "path", "tag", "digest", "query"),
    [
        ("nginx", "docker.io", "library/nginx", "latest", "", "nginx:latest"),
        ("nginx:1.22.1", "docker.io", "library/nginx", "1.22.1", "", "nginx:1.22.1"),
        ("docker.io/nginx:1", "docker.io", "library/nginx", "1", "", "nginx:1"),
        ("docker.io/library/nginx:1", "docker.io", "library/nginx", "1", "", "nginx:1"),
        ("bitnami/discourse:3.3", "docker.io", "bitnami/discourse", "3.3", "", "bitnami/discourse:3.3"),
        ("127.0.0.1:5000/a/b:1.22", "127.0.0.1:5000", "a/b", "1.22", "", "127.0.0.1:5000/a/b:1.22"),
        ("127.0.0.1:5000/a/b", "127.0.0.1:5000", "a/b", "latest", "", "127.0.0.1:5000/a/b:latest"),
        ("localhost/x:1", "localhost", "x", "1", "", "localhost/x:1"),
        ("ghcr.io/a/b/c:v2", "ghcr.io", "a/b/c", "v2", "", "ghcr.io/a/b/c:v2"),
        (f"nginx@{DIGEST}", "docker.io", "library/nginx", "", DIGEST, f"nginx@{DIGEST}"),
        (f"nginx:1@{DIGEST}", "docker.io", "library/nginx", "1", DIGEST, f"nginx@{DIGEST}"),
    ],
)  # fmt: skip
def test_parse(text: str, host: str, path: str, tag: str, digest: str, query: str) -> None:
    found = registry.parse(text)
    assert (found.host, found.path, found.tag, found.digest, found.query) == (host, path, tag, digest, query)


@pytest.mark.parametrize(
    "text", ["", "Nginx:1", "nginx:", "nginx:a b", "a//b", "nginx@sha256:abc", "http://x/y", "-x", "x:1:2"]
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(registry.BadReferenceError, match="is no image reference"):
        registry.parse(text)


@pytest.mark.parametrize(
    ("words", "outcome", "failure_id"),
    [
        ("manifest unknown: manifest unknown", *MISSING),
        ("manifest for 127.0.0.1:5000/a/b:9 not found: manifest unknown: manifest unknown", *MISSING),
        ("errors:\ndenied: requested access is denied\nunauthorized: authentication required", "error", None),
        ("pull access denied for a/x, repository does not exist or may require 'docker login': denied: …", *MISSING),
        ("name unknown: repository name not known to registry", *MISSING),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", *MISSING),
        ("toomanyrequests: You have reached your pull rate limit.", "error", "rate-limit"),
        ("received unexpected HTTP status: 429 Too Many Requests", "error", "rate-limit"),
        ('Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host', "error", None),
        ('Get "http://127.0.0.1:5999/v2/": dial tcp 127.0.0.1:5999: connect: connection refused', "error", None),
        ("received unexpected HTTP status: 503 Service Unavailable", "error", None),
        ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", "error", "disk-full"),
        ("something nobody has seen", "error", None),
    ],
)  # fmt: skip
def test_refusals(words: str, outcome: str, failure_id: str | None) -> None:
    found = registry.refusal(words)
    assert (found.outcome, found.failure_id) == (outcome, failure_id)
    assert found.hint


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("reg.local/library/app:1.429.0", "not found: artifact library/app:1.429.0 not found"),
        ("reg.local/app:1.429.0", "manifest unknown: manifest unknown: map[Tag:1.429.0]"),
        ("reg.local/envoyproxy/ratelimit:nope",
         "manifest for reg.local/envoyproxy/ratelimit:nope not found: manifest unknown: manifest unknown"),
        ("reg.local:5000/app:1.502.0", "manifest for reg.local:5000/app:1.502.0 not found: manifest unknown"),
        ("app:1.429.0", "manifest for app:1.429.0 not found: manifest unknown: manifest unknown"),
        ("reg.local/lib/rate-limiter:nope",
         'failed to resolve reference "reg.local/lib/rate-limiter:nope": reg.local/lib/rate-limiter:nope: not found'),
        ("acme/timeout-proxy", "pull access denied for acme/timeout-proxy, repository does not exist or may require …"),
        ("reg.local/timeout-proxy:1", "name unknown: repository with name 'timeout-proxy' does not exist: not found"),
        ("reg.local/tls:1", "tls:1: not found"),
    ],
)  # fmt: skip
def test_an_images_own_name_is_no_word_of_its_registry(image: str, words: str) -> None:
    found = registry.refusal(words, registry.parse(image))
    assert (found.outcome, found.failure_id) == MISSING


@pytest.mark.parametrize(
    ("image", "words", "failure_id"),
    [
        ("acme/timeout-proxy:1", "toomanyrequests: You have reached your pull rate limit for acme/timeout-proxy",
         "rate-limit"),
        ("a/b:429", "GET https://reg.local/v2/a/b/manifests/429: 429 Too Many Requests", "rate-limit"),
        ("disk-full/b:1", "write /var/lib/docker/tmp/GetImageBlob1: no space left on device", "disk-full"),
        ("x/not-found:1", 'Get "https://reg.local/v2/x/not-found/manifests/1": dial tcp 10.0.0.1:1: i/o timeout', None),
        ("rate-limit.local/b:1", "dial tcp: lookup rate-limit.local on 10.0.0.1:53: server misbehaving", None),
    ],
)  # fmt: skip
def test_what_a_registry_says_beside_the_name_still_counts(image: str, words: str, failure_id: str | None) -> None:
    found = registry.refusal(words, registry.parse(image))
    assert (found.outcome, found.failure_id) == ("error", failure_id)


@pytest.mark.parametrize(
    "noise", ["manifest for ", "a/", "a:", "/ ", "manifest for x ", "repository ", "access ", "access to "]
)
def test_no_words_of_a_registry_keep_us_busy(noise: str) -> None:
    began = time.process_time()
    assert registry.refusal(noise * 20_000).failure_id is None
    assert time.process_time() - began < 2.0


TAG, PINNED = registry.parse("127.0.0.1:5000/ccci/nginx:1"), registry.parse(f"127.0.0.1:5000/ccci/nginx:1@{DIGEST}")
GONE, DOWN = Remote(words="manifest unknown"), Remote(words="dial tcp: connect: connection refused")


@pytest.mark.parametrize(
    ("reference", "local", "remote", "action"),
    [
        (TAG, Local((DIGEST,)), Remote(DIGEST), "present"),
        (TAG, Local((OTHER,)), Remote(DIGEST), "pull"),
        (TAG, Local(()), Remote(DIGEST), "pull"),  # cached untagged or built here: the registry's is another one
        (TAG, None, Remote(DIGEST), "pull"),
        (TAG, None, GONE, "refuse"),
        (TAG, None, DOWN, "refuse"),
        (TAG, Local((DIGEST,)), GONE, "refuse"),  # runs here, but nobody else can pull it any more
        (TAG, Local((DIGEST,)), DOWN, "present"),
        (TAG, Local(()), GONE, "present"),  # made on this node, in no registry
        (TAG, Local((DIGEST,), tagged=False), Remote(DIGEST), "tag"),  # here as <none>
        (PINNED, Local((DIGEST,)), GONE, "present"),
        (PINNED, Local((DIGEST,), tagged=False), Remote(DIGEST), "present"),  # pinned images look dangling
        (PINNED, None, Remote(DIGEST), "pull"),
        (PINNED, None, GONE, "refuse"),
    ],
)
def test_decide(reference: registry.Reference, local: Local | None, remote: Remote, action: str) -> None:
    assert registry.decide(reference, local, remote).action == action


def test_a_digest_counts_only_under_the_same_repository() -> None:
    inspected = {"RepoDigests": [f"127.0.0.1:5000/other/nginx@{OTHER}", f"127.0.0.1:5000/ccci/nginx@{DIGEST}"]}
    assert registry.local_image(inspected, TAG) == Local((DIGEST,))
    assert registry.local_image({"RepoDigests": None}, TAG) == Local(())
    assert registry.local_image(
        {"RepoDigests": [f"nginx@{DIGEST}"]}, registry.parse("docker.io/library/nginx:1")
    ) == Local((DIGEST,))
