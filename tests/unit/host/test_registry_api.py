"""The registry client against a real HTTP server that speaks the protocol, and says no in every usual way."""

from __future__ import annotations

import base64
import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from registry_server import AMD64, LIST, Limit, RegistryServer, serving

from ccci_host import registry_api, registry_http
from ccci_host.registry import Reference, parse
from ccci_host.registry_api import Refused, Registries
from ccci_host.registry_credentials import Credentials
from ccci_host.registry_http import Unasked

ARM = {"os": "linux", "architecture": "arm64"}
UNKNOWN = {"os": "unknown", "architecture": "unknown"}


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    with serving() as found:
        yield found


def ask(account: tuple[str, str] | None = None, info: dict[str, Any] | None = None, limit: float = 5) -> Registries:
    """`account` is (host, "user:password")."""
    entries = {account[0]: {"auth": base64.b64encode(account[1].encode()).decode()}} if account else {}
    return Registries(info or {}, {"Os": "linux", "Arch": "amd64"}, Credentials(entries), limit)


def name(registry: RegistryServer, rest: str = "a/b:1") -> Reference:
    return parse(f"{registry.host}/{rest}")


def test_the_digest_is_asked_for_without_a_pull_and_the_layers_have_sizes(registry: RegistryServer) -> None:
    digest = registry.add("a/b:1", [100, 2000])
    client = ask()
    assert client.digest(name(registry)) == digest
    assert registry.asked == ["HEAD /v2/a/b/manifests/1"]
    image = client.image(name(registry), digest)
    assert (image.digest, [layer.size for layer in image.layers]) == (digest, [100, 2000])
    assert all(layer.diff_id.startswith("sha256:") for layer in image.layers)


def test_of_a_list_the_nodes_platform_is_weighed_but_the_lists_digest_is_the_images(registry: RegistryServer) -> None:
    registry.add("a/b:arm", [7], seed="arm")
    digest = registry.add("a/b:1", [100], platforms=[ARM, UNKNOWN, AMD64])
    assert ask().digest(name(registry)) == digest
    assert [layer.size for layer in ask().image(name(registry), digest).layers] == [100]


def test_a_platform_that_the_list_lacks_is_said_as_the_daemon_says_it(registry: RegistryServer) -> None:
    digest = registry.add("a/b:1", [100], platforms=[ARM])
    with pytest.raises(Refused, match="no matching manifest for linux/amd64 in the manifest list entries"):
        ask().image(name(registry), digest)


@pytest.mark.parametrize("has_head", [True, False])
def test_a_missing_tag_in_the_registrys_words(registry: RegistryServer, has_head: bool) -> None:
    registry.has_head = has_head
    with pytest.raises(Refused, match=r"^manifest unknown: manifest unknown$") as error:
        ask().digest(name(registry))
    assert (error.value.status, error.value.retry_after) == (404, None)


def test_a_registry_without_head_is_asked_with_get(registry: RegistryServer) -> None:
    registry.has_head = False
    digest = registry.add("a/b:1", [1])
    assert ask().digest(name(registry)) == digest


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), (None, None), ("soon", None)])
def test_a_limit_with_its_words_and_its_delay(
    registry: RegistryServer, header: str | None, seconds: float | None
) -> None:
    registry.add("a/b:1", [1])
    registry.limits["a/b"] = Limit(None, header)
    with pytest.raises(Refused) as error:
        ask().digest(name(registry))
    assert error.value.words == "toomanyrequests: You have reached your pull rate limit."
    assert (error.value.status, error.value.retry_after) == (429, seconds)


def test_a_delay_may_be_a_date() -> None:
    assert registry_api.retry_after("Thu, 01 Jan 1970 00:01:40 GMT", 40.0) == 60.0
    assert registry_api.retry_after("Thu, 01 Jan 1970 00:00:10 GMT", 40.0) == 0.0
    assert registry_api.retry_after("-5", 40.0) is None


@pytest.mark.parametrize(("account", "anonymous"), [(None, True), ("robot:to:ken", False)])
def test_a_bearer_token_is_fetched_with_and_without_an_account(
    registry: RegistryServer, account: str | None, anonymous: bool
) -> None:
    registry.account, registry.anonymous = account or "somebody:else", anonymous
    digest = registry.add("a/b:1", [1])
    client = ask((registry.host, account) if account else None)
    assert client.digest(name(registry)) == digest
    token = "GET /token?scope=repository%3Aa%2Fb%3Apull&service=here"
    assert registry.asked == ["HEAD /v2/a/b/manifests/1", token + (" Basic" if account else ""),
                              "HEAD /v2/a/b/manifests/1 Bearer"]  # fmt: skip
    client.image(name(registry), digest)
    assert registry.asked[3] == f"GET /v2/a/b/manifests/{digest} Bearer"  # the token is kept


def test_a_wrong_password_is_left_to_the_daemon_to_explain(registry: RegistryServer) -> None:
    registry.account, registry.anonymous = "robot:right", False
    with pytest.raises(Unasked, match="answers 401") as error:
        ask((registry.host, "robot:wrong")).digest(name(registry))
    assert "wrong" not in str(error.value)


def test_a_password_may_be_asked_for_at_once(registry: RegistryServer) -> None:
    registry.basic = "robot:secret"
    digest = registry.add("a/b:1", [1])
    assert ask((registry.host, "robot:secret")).digest(name(registry)) == digest
    with pytest.raises(Refused, match="unauthorized: authentication required"):
        ask().digest(name(registry))


def test_a_registry_cannot_send_us_anywhere_without_tls(registry: RegistryServer) -> None:
    registry.account, registry.realm = "robot:secret", "http://192.0.2.1/token"
    with pytest.raises(Unasked, match="without TLS"):
        ask((registry.host, "robot:secret")).digest(name(registry))
    registry.account, registry.redirect = None, "http://192.0.2.1"
    with pytest.raises(Unasked, match="without TLS"):
        ask().digest(name(registry))


def test_a_password_does_not_follow_to_another_address(registry: RegistryServer) -> None:
    with serving() as other:
        digest = other.add("a/b:1", [1])
        registry.basic = "robot:secret"
        registry.redirect = f"http://{other.host}"
        registry.add("a/b:1", [1])
        client = ask((registry.host, "robot:secret"))
        assert client.digest(name(registry)) == digest
        assert other.asked == ["HEAD /v2/a/b/manifests/1"]


def test_redirects_end(registry: RegistryServer) -> None:
    registry.redirect = f"http://{registry.host}"
    with pytest.raises(Unasked, match="without end"):
        ask().digest(name(registry))


def test_only_this_node_and_what_the_daemon_lists_is_asked_without_tls(registry: RegistryServer) -> None:
    info = {"RegistryConfig": {"IndexConfigs": {"plain.test:5000": {"Secure": False}, "docker.io": {"Secure": True}},
                               "InsecureRegistryCIDRs": ["127.0.0.0/8", "10.0.0.0/8"]}}  # fmt: skip
    bases = {host: ask(info=info)._base(host) for host in
             ("127.0.0.1:5000", "localhost", "[::1]:5000", "plain.test:5000", "10.1.2.3:80", "other.test:5000",
              "192.0.2.1", "docker.io")}  # fmt: skip
    assert bases == {
        "127.0.0.1:5000": "http://127.0.0.1:5000", "localhost": "http://localhost", "[::1]:5000": "http://[::1]:5000",
        "plain.test:5000": "http://plain.test:5000", "10.1.2.3:80": "http://10.1.2.3:80",
        "other.test:5000": "https://other.test:5000", "192.0.2.1": "https://192.0.2.1",
        "docker.io": "https://registry-1.docker.io",
    }  # fmt: skip


def test_docker_hub_is_asked_through_the_daemons_mirror_which_never_gets_its_password(registry: RegistryServer) -> None:
    digest = registry.add("library/nginx:1", [1])
    registry.account, registry.anonymous = "robot:secret", True
    info = {"RegistryConfig": {"Mirrors": [f"http://{registry.host}/"]}}
    client = ask(("docker.io", "robot:secret"), info)
    assert client.digest(parse("nginx:1")) == digest
    assert registry.asked[1].startswith("GET /token")
    assert not registry.asked[1].endswith("Basic")


def test_behind_a_proxy_the_daemon_asks() -> None:
    with pytest.raises(Unasked, match="proxy"):
        ask(info={"HttpsProxy": "http://proxy.test:3128"}).digest(parse("nginx:1"))


def test_nobody_there() -> None:
    with pytest.raises(Unasked, match=r"127\.0\.0\.1:1 cannot be asked: .*refused"):
        ask().digest(parse("127.0.0.1:1/a:1"))


def test_a_web_server_is_no_registry_and_is_not_repeated(registry: RegistryServer) -> None:
    registry.page = b"<h1>internal secrets</h1>"
    with pytest.raises(Unasked) as error:
        ask().digest(name(registry))
    assert "secrets" not in str(error.value)


def test_a_drip_ends_at_the_limit(registry: RegistryServer) -> None:
    registry.drips = True
    began = time.monotonic()
    with pytest.raises(Unasked, match="did not answer in time"):
        ask(limit=0.5).digest(name(registry))
    assert time.monotonic() - began < 2


@pytest.fixture
def dead() -> Iterator[tuple[str, int]]:
    """An address where nothing answers, not even with a refusal."""
    with socket.socket() as server, contextlib.ExitStack() as waiting:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def test_many_dead_addresses_cost_one_limit(dead: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, *[dead] * 8)
    began = time.monotonic()
    with pytest.raises(Unasked, match=r"registry\.test did not answer in time"):
        ask(limit=0.5).digest(parse("registry.test/a:1"))
    assert time.monotonic() - began < 1.5


def test_a_dead_address_leaves_time_for_the_next(
    dead: tuple[str, int], registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = registry.add("a/b:1", [1])
    alive = name(registry)
    resolve_to(monkeypatch, dead, ("127.0.0.1", int(registry.host.rpartition(":")[2])))
    assert ask(limit=2).digest(alive) == digest


def test_a_resolver_that_says_nothing_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3))
    began = time.monotonic()
    with pytest.raises(Unasked, match="did not answer in time"):
        ask(limit=0.3).digest(parse("registry.test/a:1"))
    assert time.monotonic() - began < 1.5


def test_a_flood_is_not_read(registry: RegistryServer) -> None:
    registry.flood = True
    digest = registry.add("a/b:1", [1])
    with pytest.raises(Unasked, match=f"more than {registry_http.LARGEST} bytes"):
        ask().image(name(registry), digest)


def test_another_document_than_the_digest_says(registry: RegistryServer) -> None:
    digest = registry.add("a/b:1", [1])
    registry.lies = True
    with pytest.raises(Unasked, match="something else"):
        ask().image(name(registry), digest)


@pytest.mark.parametrize(
    "layers",
    [[], None, [{"digest": "sha256:a", "size": -1}], [{"digest": "sha256:a", "size": 2**60}], [{"size": 1}], ["x"],
     [{"digest": "sha256:a", "size": True}], [{"digest": "sha256:a", "size": 1}] * 501],
)  # fmt: skip
def test_a_manifest_that_is_nonsense_has_no_size(registry: RegistryServer, layers: Any) -> None:
    registry.put("a/b:1", {"layers": layers})
    with pytest.raises(Unasked, match="its manifest"):
        ask().image(name(registry), registry.tags["a/b:1"])


@pytest.mark.parametrize("entries", [[], "x", [{"platform": "linux"}], [{}]])
def test_a_list_that_is_nonsense_has_no_platform(registry: RegistryServer, entries: Any) -> None:
    registry.put("a/b:1", {"manifests": entries}, LIST)
    with pytest.raises(Refused, match="no matching manifest"):
        ask().image(name(registry), registry.tags["a/b:1"])


def test_words_are_one_short_line() -> None:
    body = b'{"errors": [{"code": "DENIED", "message": "a\\u001b[31m\\n' + b"x" * 900 + b'"}]}'
    words = registry_api.words_of(registry_http.Reply(403, {}, body))
    assert words.startswith("denied: a [31m x")
    assert len(words) == registry_api.WORDS
