"""Ready probes, gates and hooks of recipe.yml → the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccci.errors import UsageError
from ccci.plan.expected import HOOK_TIERS, Expected, Shape, expected
from ccci.plan.parts import API_MARKER_LIMIT, silence
from ccci.plan.recipe_settings import Probe
from ccci.plan.tests_discovery import HOOKS

ALL_KINDS = """
ready:
  - {url: "https://office-{{ domain }}/hosting/discovery", text: wopi, content_type: text/xml, successes: 3,
     within: 600}
  - {tcp: {port: 64738}}
  - {tcp: {host: "mail.{{ domain }}", port: 25}, successes: 2}
  - {tcp: {service: app, port: 80}}
  - {command: [redis-cli, -h, "{{ stack }}", ping], service: app, stdout: PONG}
"""


def ids(plan: dict, kind: str | None = None) -> list[str]:
    return [item["id"] for item in plan["expected"] if kind in (None, item["kind"])]


def refusal(world, text: str) -> str:
    world.write("recipe.yml", text)
    with pytest.raises(UsageError) as error:
        world.plan()
    return f"{error.value} {error.value.expected} {error.value.observed}"


def test_every_kind_comes_in_the_shape_of_its_module(world):
    world.write("recipe.yml", ALL_KINDS)
    plan = world.plan()
    domain, stack = plan["app"]["domain"], plan["app"]["stack"]
    assert plan["ready"]["install"] == plan["ready"]["head"] == [
        {"url": f"https://office-{domain}/hosting/discovery", "status": [200], "text": "wopi",
         "content_type": "text/xml", "successes": 3, "within": 600},
        {"host": domain, "port": 64738, "successes": 1},
        {"host": f"mail.{domain}", "port": 25, "successes": 2},
        {"service": "app", "port": 80, "successes": 1},
        {"service": "app", "argv": ["redis-cli", "-h", stack, "ping"], "stdout_contains": "PONG", "successes": 1},
    ]  # fmt: skip


def test_they_gate_the_installation_and_are_judged_again_later(world):
    world.write("recipe.yml", ALL_KINDS + 'gates: {pre_upgrade: [{url: "https://{{ domain }}/x"}]}\n')
    plan = world.plan()
    assert {"install.ready", "upgrade.gates"} <= set(ids(plan, "operation"))
    assert {"upgrade.ready", "restore.ready"} <= set(ids(plan, "assertion"))
    assert "install.ready" in ids(world.plan(tags=("restore",)), "operation"), "no tier begins before the app is ready"
    assert "upgrade.ready" not in ids(world.plan(tags=("restore",)))
    order = ids(plan)
    assert order.index("upgrade.converged") < order.index("upgrade.ready") < order.index("upgrade.commit")
    assert order.index("restore.converged") < order.index("restore.ready") < order.index("restore.marker_back")


def test_a_probe_from_the_upgrade_on_is_not_asked_of_the_base(world):
    world.write("recipe.yml", 'ready: [{url: "https://{{ domain }}/new", from: upgrade}]\n')
    plan = world.plan()
    assert plan["ready"]["install"] == []
    assert [probe["url"] for probe in plan["ready"]["head"]] == [f"https://{plan['app']['domain']}/new"]
    assert "install.ready" not in ids(plan)
    assert "upgrade.ready" in ids(plan)
    assert any("/new is not asked of the base version 1.1.0+1.3.0" in note for note in plan["notes"])
    assert "install.ready" in ids(world.plan(tags=("install",))), "then the head itself is installed"


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        ("{successes: 2}", "recipe.yml:2: needs exactly one of 'url', 'tcp', 'command'"),
        ("{url: 'http://x', tcp: {port: 1}}", "needs exactly one of 'url', 'tcp', 'command'"),
        ("{tcp: {port: 25}, text: hello}", "'text' only goes with 'url'"),
        ("{command: [true]}", "True is not of type 'string'"),
        ("{command: ['true']}", "'command' only goes with 'service'"),
        ("{url: 'http://x', service: app}", "'service' only goes with 'command'"),
        ("{command: ['true'], service: cache}", "recipe.yml:2: the recipe has no service 'cache'"),
        ("{tcp: {port: 25, hosst: x}}", "unknown key 'hosst'; did you mean 'host'?"),
        ("{tcp: {port: 25, host: x, service: app}}", "only one of 'host' and 'service' can be said"),
        ("{tcp: {port: 25, service: cache}}", "recipe.yml:2: the recipe has no service 'cache'"),
    ],
)
def test_what_is_no_probe_is_refused_with_its_place(world, probe, said):
    told = refusal(world, f"ready: [{probe}]\n")
    assert "app" in told or "cache" not in probe, "the services that there are"
    assert said in told
    assert "recipe.yml:2" in told


def test_a_gate_before_the_upgrade_cannot_be_for_the_upgraded(world):
    told = refusal(world, "gates: {pre_upgrade: [{url: 'http://x', from: upgrade}]}\n")
    assert "a gate before the upgrade asks the base version" in told


def test_the_lease_outlives_the_longest_list_of_probes(world):
    slow = Probe(url="https://a", within=900)
    assert silence([slow, Probe(url="https://b"), Probe(url="https://c"), Probe(tcp={"port": 1})], 300) == 1500
    inside = Probe(tcp={"port": 1, "service": "app"})
    assert silence([inside, inside, Probe(tcp={"port": 1})], 300) == 600, "these are asked by two calls"
    assert silence([], 300) == 0
    plain = world.plan()["scope"]["lease"]
    world.write("recipe.yml", "gates: {pre_upgrade: [{url: 'http://x', within: 2000}]}\n")
    assert world.plan()["scope"]["lease"] == plain - 600 + 2000


def test_the_lease_outlives_what_is_judged_from_the_controller_in_a_row(world):
    plain = world.plan()["scope"]["lease"]
    world.write("marker.py", "".join(f"def {name}(app, value): ...\n" for name in ("seed", "check", "destroy")))
    world.write("recipe.yml", "marker: {kind: api}\nready: [{url: 'http://x', within: 700}]\n")
    assert world.plan()["scope"]["lease"] == plain - 600 + 700 + API_MARKER_LIMIT + 60
    module = Path(__file__).parents[3] / "library" / "ccci_api_marker.py"
    assert f"default: {API_MARKER_LIMIT}\n" in module.read_text()


def test_hooks_are_operations_at_their_place(world):
    assert set(HOOK_TIERS) == set(HOOKS)
    for hook in HOOKS:
        world.write(f"hooks/{hook}.yml", "- ansible.builtin.debug:\n")
    world.write("tests/one.yml", "- ansible.builtin.debug:\n")
    plan = world.plan()
    order = ids(plan)
    for hook, before in (
        ("install.pre_install", "install.deploy"), ("install.page", "install.post_install"),
        ("install.post_install", "upgrade.marker_seeded"), ("upgrade.pre_upgrade", "upgrade.deploy"),
        ("backup.pre_backup", "backup.survey"), ("restore.pre_restore", "restore.run"),
        ("restore.post_restore", "restore.converged"), ("custom.setup_custom", "demo.one"),
    ):  # fmt: skip
        assert order.index(hook) < order.index(before)
    assert {f"{tier}.{hook}" for hook, tier in HOOK_TIERS.items()} <= {*ids(plan, "operation")}
    assert "install.post_install" in ids(world.plan(tags=("restore",)), "operation"), "the other tiers need it, too"
    world.write("recipe.yml", "skip: [{tier: custom, reason: needs a camera}]\n")
    assert "custom.setup_custom" not in ids(world.plan())


def test_a_recipe_without_probes_and_hooks_expects_none():
    plain = {item.id for item in expected(Shape()) if isinstance(item, Expected)}
    assert not {name for name in plain if name.endswith((".ready", ".gates", *(f".{hook}" for hook in HOOKS)))}
