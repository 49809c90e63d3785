"""The overlay for kernels without IPVS and for names that only lead to the node, merged by the real reader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccci_host import node
from ccci_host.compose import Stack, read_stack
from ccci_host.node import BUNDLE_TARGET, BUNDLE_VARIABLES, Inside, inside_of, overlay_for_node

COMPOSE = """\
version: "3.7"
services:
  app:
    image: a:1
    ports: ["8080:80", {target: 53, published: 53, protocol: udp, mode: host}]
    deploy: {replicas: 2, labels: [a=b]}
  db: {image: b:1}
"""


def test_every_service_is_found_by_name_and_ports_are_the_hosts() -> None:
    stack = read_stack({"compose.yml": COMPOSE}, ["compose.yml"], {})
    overlay = overlay_for_node(stack, ipvs=False, version="3.7")
    assert overlay is not None
    files = {"compose.yml": COMPOSE, "node.yml": overlay}
    merged = read_stack(files, list(files), {"STACK_NAME": "s"})
    assert {name: one.deploy["endpoint_mode"] for name, one in merged.services.items()} == {
        "app": "dnsrr",
        "db": "dnsrr",
    }
    app = merged.services["app"]
    assert [(port["published"], port["protocol"], port["mode"]) for port in app.ports] == [
        (8080, "tcp", "host"), (53, "udp", "host"),
    ]  # fmt: skip
    assert (app.deploy["replicas"], app.labels, app.image) == (2, {"a": "b"}, "a:1")


def test_a_port_that_is_the_hosts_already_is_not_named_again() -> None:
    stack = read_stack({"compose.yml": COMPOSE}, ["compose.yml"], {})
    ports = json.loads(overlay_for_node(stack, ipvs=False) or "")["services"]["app"]["ports"]
    assert [port["published"] for port in ports] == [8080]


def test_a_recipe_without_a_version_gets_an_overlay_without_one() -> None:
    text = COMPOSE.replace('version: "3.7"\n', "")
    stack = read_stack({"compose.yml": text}, ["compose.yml"], {})
    assert "version" not in json.loads(overlay_for_node(stack, ipvs=False, version=None) or "")


def test_a_service_with_a_port_of_the_host_stops_before_its_successor_starts() -> None:
    order = "update_config: {order: start-first, delay: 1s}"
    text = COMPOSE.replace("replicas: 2", order).replace("b:1", f"b:1, deploy: {{{order}}}")
    files = {"compose.yml": text}
    files["node.yml"] = overlay_for_node(read_stack(files, list(files), {}), ipvs=False, version="3.7") or ""
    merged = read_stack(files, list(files), {}).services
    assert merged["app"].deploy["update_config"] == {"order": "stop-first", "delay": "1s"}
    assert merged["db"].deploy["update_config"]["order"] == "start-first"


def test_with_ipvs_nothing_is_changed() -> None:
    assert overlay_for_node(read_stack({"compose.yml": COMPOSE}, ["compose.yml"], {}), ipvs=True) is None


INSIDE = Inside(["cust-1.ci.test", "keyc-1.ci.test"], "-----BEGIN CERTIFICATE-----\n")
TALKATIVE = """\
version: "3.8"
services:
  listed:
    image: a:1
    environment: [SSL_CERT_FILE=/own.pem, OTHER=1, CURL_CA_BUNDLE]
    extra_hosts: ["keyc-1.ci.test:192.0.2.7", "db:192.0.2.8"]
    configs: [own]
  mapped:
    image: a:1
    environment: {SSL_CERT_FILE: /own.pem, OTHER: "1"}
    extra_hosts: {keyc-1.ci.test: 192.0.2.7}
  plain: {image: a:1}
configs: {own: {file: ./own.txt}}
"""


def merged(text: str, *, ipvs: bool = True) -> Stack:
    files = {"compose.yml": text}
    files["node.yml"] = overlay_for_node(read_stack(files, list(files), {}), ipvs, "3.8", INSIDE) or ""
    return read_stack(files, list(files), {"STACK_NAME": "s"})


@pytest.mark.parametrize("ipvs", [True, False])
def test_every_service_knows_the_runs_names_and_their_authority(ipvs: bool) -> None:
    stack = merged(TALKATIVE, ipvs=ipvs)
    for service in stack.services.values():
        hosts = service.raw["extra_hosts"]
        assert "cust-1.ci.test:host-gateway" in hosts
        assert service.environment["KC_TRUSTSTORE_PATHS"] == BUNDLE_TARGET
        assert service.configs[-1] == "ccci_ca"
        assert service.raw["configs"][-1]["target"] == BUNDLE_TARGET
        assert ("endpoint_mode" in service.deploy) is not ipvs
    assert stack.services["plain"].environment == dict.fromkeys(BUNDLE_VARIABLES, BUNDLE_TARGET)
    assert stack.services["plain"].raw["extra_hosts"] == [f"{host}:host-gateway" for host in INSIDE.hosts]
    assert stack.configs["ccci_ca"]["file"] == "./ccci-ca-bundle.crt"


def test_what_a_service_says_itself_stays() -> None:
    stack = merged(TALKATIVE)
    for name in ("listed", "mapped"):
        service = stack.services[name]
        assert (service.environment["SSL_CERT_FILE"], service.environment["OTHER"]) == ("/own.pem", "1")
        assert service.environment["GIT_SSL_CAINFO"] == BUNDLE_TARGET
        assert [host for host in service.raw["extra_hosts"] if "keyc-1" in host] == ["keyc-1.ci.test:192.0.2.7"]
    assert stack.services["listed"].environment["CURL_CA_BUNDLE"] is None  # to be taken from the .env, where it is not
    assert stack.services["listed"].configs == ["own", "ccci_ca"]


def test_the_bundle_holds_what_everybody_trusts_and_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, own = tmp_path / "system.crt", tmp_path / "ca.crt"
    monkeypatch.setattr(node, "SYSTEM_BUNDLES", (tmp_path / "missing", system))
    given = {"hosts": ["a.test"], "ca": str(own)}
    with pytest.raises(OSError, match=r"authority .*ca\.crt is not there; `ccci bootstrap`"):
        inside_of(given)
    own.write_text("OURS\n")
    assert inside_of(given) == Inside(["a.test"], "OURS\n")
    system.write_text("THEIRS\n\n")
    assert inside_of(given) == Inside(["a.test"], "THEIRS\nOURS\n")
    assert inside_of(None) is None
    assert inside_of({}) is None
