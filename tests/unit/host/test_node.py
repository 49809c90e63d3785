"""The overlay for kernels without IPVS, merged by the real reader."""

from __future__ import annotations

import json

from ccci_host.compose import read_stack
from ccci_host.node import overlay_for_node

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
