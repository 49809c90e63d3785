"""Warm deps in a plan: borrowed, not deployed, and nothing of the run's own."""

from __future__ import annotations

import pytest
from test_deps import WANTS, Others, ids

from ccci import inventory, warm
from ccci.errors import UsageError
from ccci.plan.build import plan_of
from ccci.plan.load import Request, load
from ccci.schemas import check


@pytest.fixture
def others(world) -> Others:
    others = Others(world)
    others.recipe("idp", "health: {path: /up}\nresources: {memory: 1GiB}\n")
    world.write("recipe.yml", f"deps: [{{recipe: idp, as: sso, {WANTS}}}]\nresources: {{memory: 2GiB}}\n")
    return others


@pytest.fixture
def node(world) -> str:
    settings = world.settings()
    name = inventory.chosen(settings.inventory, settings.node).name
    warm.remember(name, "idp")
    return name


def test_a_warm_dep_belongs_to_no_run(world, others, node):
    plan = world.plan()
    (dep,) = plan["deps"]
    assert check.problems("plan", plan) == []
    assert (dep["scope"]["run"], dep["scope"]["node_dir"]) == ("warm-idp", "/var/lib/ccci/runs/warm-idp")
    assert [app["stack"] for app in dep["scope"]["apps"]] == [dep["app"]["stack"]]
    assert dep["warm"]["name"] == f"{plan['run']['id']}-sso"
    assert [app["name"] for app in plan["scope"]["apps"]] == ["app"]
    assert plan["scope"]["deploys"] == 1
    assert (plan["resources"]["memory"], dep["warm"]["memory"]) == (2 * 2**30, 2**30)
    told = [name for name in ids(plan) if ".sso." in name]
    assert told == [
        "prepare.sso.warm", "install.sso.health", "install.sso.provided", "teardown.sso.stayed_up",
        "teardown.sso.withdrawn",
    ]  # fmt: skip
    assert ids(plan).index("teardown.sso.withdrawn") < ids(plan).index("teardown.removed")


def test_it_is_the_same_for_every_run_until_what_it_is_made_from_changes(world, others, node):
    first, second = (world.plan()["deps"][0], world.plan("pr", "2")["deps"][0])
    assert first["app"] == second["app"]
    assert first["warm"]["digest"] == second["warm"]["digest"]
    assert first["warm"]["name"] != second["warm"]["name"]
    others.write("idp", "compose.ccci.yml", "services: {app: {environment: {MORE: memory}}}\n")
    overlaid = world.plan()["deps"][0]["warm"]["digest"]
    others.write("idp", "hooks/pre_install.yml", "- ansible.builtin.debug:\n")
    hooked = world.plan()["deps"][0]["warm"]["digest"]
    others.write("idp", "recipe.yml", "env: {LEVEL: debug}\n")
    assert len({first["warm"]["digest"], overlaid, hooked, world.plan()["deps"][0]["warm"]["digest"]}) == 4


def test_two_that_are_the_same_warm_one_are_named_once_inside(world, others, node):
    wants = WANTS.replace("callback", "other")
    world.write(
        "recipe.yml", f"deps:\n- {{recipe: idp, as: sso, {WANTS}}}\n- {{recipe: idp, as: two, kind: sso, {wants}}}\n"
    )
    plan = world.plan()
    assert len({dep["warm"]["name"] for dep in plan["deps"]}) == 2
    assert plan["inside"] is None or len(plan["inside"]["hosts"]) == len(set(plan["inside"]["hosts"])) == 2


def test_its_settings_cannot_know_the_run(world, others, node):
    others.write("idp", "recipe.yml", 'env: {SEEN: "{{ run.id }} {{ run.recipe }}"}\n')
    (dep,) = world.plan()["deps"]
    assert dep["env"]["SEEN"] == "warm-idp idp"


def test_cold_means_a_dep_of_the_runs_own(world, others, node):
    settings = world.settings()
    plan = plan_of(load(Request("demo", cold=True), settings))
    assert plan["deps"][0]["warm"] is None
    assert plan["run"]["cold"] is True
    assert [app["name"] for app in plan["scope"]["apps"]] == ["sso", "app"]
    warm.forget(node, "idp")
    assert world.plan()["deps"][0]["warm"] is None


def test_one_with_deps_of_its_own_is_never_borrowed(world, others, node):
    others.recipe("db", provides=("postgres",))
    others.write("idp", "recipe.yml", "deps: [{recipe: db, as: db, kind: postgres}]\n")
    assert [(dep["key"], dep["warm"]) for dep in world.plan()["deps"]] == [("sso-db", None), ("sso", None)]


def test_the_plan_that_sees_to_it(world, others):
    request = Request("idp", tags=("prepare",), keep_warm=True)
    plan = plan_of(load(request, world.settings()))
    assert check.problems("plan", plan) == []
    assert plan["deps"][0]["warm"]["name"] is None
    assert plan["deps"][0]["head"]["version"] == "1.1.0+2"
    assert plan["base"] is None
    assert "prepare.provider.warm" in ids(plan)
    assert not [name for name in ids(plan) if name.endswith((".withdrawn", ".deploy", ".provided"))]


def test_a_provider_that_takes_nothing_away_cannot_be_kept_warm(world, others):
    others.write("idp", "provides/sso.py", "def provide(app, wants):\n    return {}\n")
    request = Request("idp", tags=("prepare",), keep_warm=True)
    with pytest.raises(UsageError, match="never takes away") as refused:
        load(request, world.settings())
    assert "sso.py has none" in str(refused.value)
    others.write("idp", "provides/sso.py", "def provide(app, wants): ...\ndef withdraw(app, wants): ...\n")
    assert load(request, world.settings()).deps[0].warm


def test_what_cannot_be_kept_warm(world, others):
    others.recipe("db", provides=("postgres",))
    others.write("idp", "recipe.yml", "deps: [{recipe: db, as: db, kind: postgres}]\n")
    for recipe, words in (("demo", "provides nothing"), ("idp", "needs db itself")):
        with pytest.raises(UsageError, match=words):
            load(Request(recipe, tags=("prepare",), keep_warm=True), world.settings())
