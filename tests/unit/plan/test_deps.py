"""Deps: which apps a run has, in which order, and what is refused before it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gitrepo import Repo

from ccci import run
from ccci.errors import UsageError
from ccci.plan.build import plan_of
from ccci.plan.describe import describe
from ccci.plan.expected import generic_ids, needed_for
from ccci.plan.load import Request, load
from ccci.schemas import check

PROVIDER = "- name: Provide\n  ccci_provide: {kind: KIND, file: x.py}\n"
WANTS = 'wants: {redirect_uris: ["https://{{ domain }}/callback"]}'
SSO = f"deps: [{{recipe: idp, as: sso, {WANTS}}}]\n"
COMPOSE = "services:\n  app: {image: 'idp:NUMBER'}\n"


class Others:
    """Makes further recipes with folders of their own."""

    def __init__(self, world) -> None:
        self.root = world.root

    def recipe(self, name: str, text: str = "", provides: tuple[str, ...] = ("sso",)) -> Repo:
        forge = Repo(self.root / "forge" / f"{name}.git")
        first = forge.commit({"compose.yml": COMPOSE.replace("NUMBER", "1")}, "First")
        forge.ref("refs/heads/main", forge.commit({"compose.yml": COMPOSE.replace("NUMBER", "2")}, "Second", first))
        forge.tag("1.0.0+1", first)
        forge.tag("1.1.0+2", forge.git("rev-parse", "main"))
        self.write(name, "recipe.yml", text or "health: {path: /up}\n")
        for kind in provides:
            self.write(name, f"provides/{kind}.yml", PROVIDER.replace("KIND", kind))
        return forge

    def write(self, name: str, file: str, text: str) -> None:
        path = self.root / "recipe_tests" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def others(world) -> Others:
    others = Others(world)
    others.recipe("idp", "health: {path: /up}\nresources: {memory: 1GiB}\ntimeouts: {deploy: 700}\n")
    world.write("recipe.yml", SSO)
    return others


def ids(plan: dict) -> list[str]:
    return [item["id"] for item in plan["expected"]]


def refused(world, text: str, match: str) -> UsageError:
    world.write("recipe.yml", text)
    with pytest.raises(UsageError, match=match) as caught:
        world.plan()
    return caught.value


def test_a_dep_is_an_app_of_its_own_in_the_scope_of_the_run(world, others):
    plan = world.plan()
    (dep,) = plan["deps"]
    assert (dep["key"], dep["as"], dep["kind"], dep["level"], dep["parent"]) == ("sso", "sso", "sso", 0, "app")
    assert dep["head"]["version"] == "1.1.0+2"
    assert dep["base"] is None
    assert dep["app"]["domain"].startswith("idpx-")
    assert dep["app"]["stack"] == dep["app"]["domain"].replace(".", "_") != plan["app"]["stack"]
    assert [app["name"] for app in plan["scope"]["apps"]] == ["sso", "app"]
    assert dep["scope"] == {
        **plan["scope"],
        "recipe": "idp",
        "domain": dep["app"]["domain"],
        "stack": dep["app"]["stack"],
    }
    assert plan["scope"]["deploys"] == 2
    assert plan["scope"]["lease"] == 820, "the dep's own limit counts"
    assert plan["resources"]["memory"] == 2**30
    assert dep["wants"] == {"redirect_uris": [f"https://{plan['app']['domain']}/callback"]}
    assert dep["provides"] == str(world.root / "recipe_tests" / "idp" / "provides" / "sso.yml")
    assert check.problems("plan", plan) == []


def test_domains_of_deps_are_the_same_for_the_same_ref_and_others_for_another_parent(world, others):
    domains = [dep["app"]["domain"] for dep in world.plan()["deps"]]
    assert [dep["app"]["domain"] for dep in world.plan()["deps"]] == domains
    assert [dep["app"]["domain"] for dep in world.plan("pr", "2")["deps"]] != domains


def test_deps_of_deps_come_first_and_each_parent_has_its_own(world, others):
    others.recipe("forge", SSO, ("forge",))
    wants = 'wants: {redirect_uris: ["https://{{ domain }}/login"]}'
    world.write(
        "recipe.yml",
        f"deps:\n- {{recipe: forge, as: git, kind: forge, {wants}}}\n- {{recipe: idp, as: sso, {WANTS}}}\n",
    )
    plan = world.plan()
    told = [(dep["key"], dep["level"], dep["parent"], dep["needs"]) for dep in plan["deps"]]
    assert told == [("git-sso", 0, "git", []), ("sso", 0, "app", []), ("git", 1, "app", ["git-sso"])]
    domains = [app["domain"] for app in plan["scope"]["apps"]]
    assert len(set(domains)) == 4
    by_key = {dep["key"]: dep for dep in plan["deps"]}
    assert by_key["git-sso"]["wants"]["redirect_uris"] == [f"https://{by_key['git']['app']['domain']}/callback"]


def test_a_dep_for_tests_is_made_for_the_recipe_that_is_played_and_not_for_a_dep(world, others):
    own = f"deps: [{{recipe: idp, as: sso, for_tests: true, {WANTS}}}]\nlogin: {{through: sso, then: [{{click: a}}]}}\n"
    others.recipe("forge", own, ("forge",))
    world.write("recipe.yml", 'deps: [{recipe: forge, wants: {redirect_uris: ["https://{{ domain }}/login"]}}]\n')
    plan = world.plan()
    assert [(dep["key"], dep["level"], dep["needs"]) for dep in plan["deps"]] == [("forge", 0, [])]
    assert [app["name"] for app in plan["scope"]["apps"]] == ["forge", "app"]
    world.write("recipe.yml", own)
    plan = world.plan()
    assert ([dep["key"] for dep in plan["deps"]], plan["login"]["through"]) == (["sso"], "sso")


def test_two_recipes_may_need_each_other_when_one_does_so_for_its_tests(world, others):
    others.recipe("forge", f"deps: [{{recipe: idp, as: sso, for_tests: true, {WANTS}}}]\n", ("forge",))
    others.write("idp", "recipe.yml", 'deps: [{recipe: forge, wants: {redirect_uris: ["https://x"]}}]\n')
    world.write("recipe.yml", SSO)
    assert [dep["key"] for dep in world.plan()["deps"]] == ["sso-forge", "sso"]


def test_the_ids_of_deps_stand_where_the_life_comes_to_them(world, others):
    for hook in ("pre_install", "post_install", "setup_custom"):  # only the first is run for a dep
        others.write("idp", f"hooks/{hook}.yml", "- ansible.builtin.debug:\n")
    others.write("idp", "recipe.yml", "ready: [{tcp: {port: 99}}]\n")
    names = ids(world.plan())
    start = names.index("prepare.sso.compose_valid")
    assert names[start - 1 : names.index("install.deploy") + 1] == [
        "prepare.policy", "prepare.sso.compose_valid", "prepare.sso.policy", "prepare.sso.images_pulled",
        "install.sso.pre_install", "install.sso.deploy", "prepare.images_pulled", "install.sso.converged",
        "install.sso.no_restart_loop", "install.sso.health", "install.sso.ready", "install.sso.provided",
        "install.deploy",
    ]  # fmt: skip
    titles = {item["id"]: item["title"] for item in world.plan()["expected"]}
    assert titles["install.sso.deploy"] == "sso (idp): the app is deployed"


def test_a_tier_alone_brings_the_operations_of_the_deps_and_none_of_their_assertions(world, others):
    names = ids(world.plan(tags=("custom",)))
    assert "install.sso.provided" in names
    assert "install.sso.health" in names
    assert "install.sso.no_restart_loop" not in names
    assert needed_for("install.sso.provided") == ("upgrade", "backup", "restore", "custom")
    assert needed_for("prepare.sso.policy") == ()


def test_values_that_need_facts_are_late_and_bring_along_what_else_they_use(world, others):
    world.write(
        "recipe.yml",
        SSO + 'env: {ISSUER: "{{ deps.sso.issuer }}", URL: "https://{{ domain }}"}\n'
        'env_from_upgrade: {BOTH: "{{ domain }} {{ deps.sso.user.username }}"}\n',
    )
    plan = world.plan()
    domain = plan["app"]["domain"]
    assert plan["env"] == {"ISSUER": "known-later.invalid", "URL": f"https://{domain}"}
    assert plan["late_env"] == {"ISSUER": "{{ deps.sso.issuer }}"}
    assert plan["env_from_upgrade"] == {"BOTH": "known-later.invalid"}
    from ccci.plan.templates import render_late

    facts = {"sso": {"user": {"username": "ann"}}}
    assert render_late(plan["late_env_from_upgrade"], facts) == {"BOTH": f"{domain} ann"}
    assert world.plan(env={"ISSUER": "x"})["late_env"] == {}, "--set wins"


def test_names_inside_are_every_app_of_an_embedded_run_and_nothing_on_real_dns(world, others):
    world.configure("ccci_platform: embedded\n")
    plan = world.plan()
    assert plan["inside"] == {
        "hosts": [app["domain"] for app in plan["scope"]["apps"]], "ca": "/var/lib/ccci/platform/ingress/ca.crt"
    }  # fmt: skip
    world.configure("ccci_platform: released\n")
    assert world.plan()["inside"] is None
    world.configure("ccci_platform: embedded\n")
    world.write("recipe.yml", "")
    assert world.plan()["inside"] is None


def test_a_login_is_judged_after_every_change_and_its_steps_know_the_user_later(world, others):
    world.write(
        "recipe.yml",
        SSO + 'login:\n  through: sso\n  start: [{goto: "https://{{ domain }}/x"}]\n'
        '  then: [{expect_text: "{{ user.username }}"}]\n',
    )
    plan = world.plan()
    assert plan["login"] == {
        "through": "sso", "path": "/", "start": [{"goto": f"https://{plan['app']['domain']}/x"}],
        "then": [{"expect_text": "{{ user.username }}"}], "logout": [],
    }  # fmt: skip
    assert {name for name in ids(plan) if name.endswith(".login")} == {
        "install.login",
        "upgrade.login",
        "restore.login",
    }
    assert {"install.login", "upgrade.login", "restore.login"} <= generic_ids()
    assert "user.password" in str(
        refused(world, SSO + 'login: {through: sso, then: [{expect_text: "{{ user.password }}"}]}\n', "recipe.yml:3")
    )
    refused(world, SSO + "login: {through: idp, then: [{click: a}]}\n", "'idp' is no dep of kind sso")


def test_the_bundles_of_deps_are_saved_with_the_run(world, others):
    materials = load(Request("demo"), world.settings())
    plan = plan_of(materials)
    path = run.save_run(materials, plan)
    assert json.loads(path.read_text()) == plan
    assert plan["deps"][0]["source"]["bundle"] == str(path.parent / "deps" / "sso.bundle")
    assert Path(plan["deps"][0]["source"]["bundle"]).read_bytes().startswith(b"# v2 git bundle")


def test_the_description_tells_order_versions_and_domains(world, others):
    plan = world.plan()
    text = "\n".join(describe(plan))
    assert f"sso: idp 1.1.0+2, https://{plan['deps'][0]['app']['domain']}" in text


def test_a_recipe_without_deps_has_none_of_this(world):
    plan = world.plan()
    assert (plan["deps"], plan["inside"], plan["login"], plan["late_env"]) == ([], None, None, {})
    assert plan["scope"]["deploys"] == 1


# What is refused, with file and line.


def test_an_unknown_recipe_is_refused_with_those_that_provide_the_kind(world, others):
    error = refused(world, "deps:\n- {recipe: keycloak, as: sso}\n", r"recipe.yml:3: there is no folder .*keycloak")
    assert "idp" in error.expected


def test_a_missing_provider_is_refused_with_those_that_exist(world, others):
    error = refused(
        world, "deps: [{recipe: idp, as: git, kind: forge}]\n", r"recipe.yml:2: .*provides/forge.yml is missing"
    )
    assert error.expected == "a kind that it provides: sso"


def test_an_unknown_kind_is_refused_with_the_nearest(world, others):
    assert "forge" in refused(world, "deps: [{recipe: idp, as: git, kind: forg}]\n", "no kind 'forg'").expected


def test_a_circle_is_refused_and_told(world, others):
    others.recipe("forge", f"deps: [{{recipe: idp, as: sso, {WANTS}}}]\n", ("forge",))
    others.write("idp", "recipe.yml", 'deps: [{recipe: forge, wants: {redirect_uris: ["https://x"]}}]\n')
    error = refused(world, SSO, r"forge/recipe.yml:1: the deps go round in a circle")
    assert error.observed == "idp → forge → idp"


def test_what_a_kind_does_not_want_is_refused_with_its_line(world, others):
    refused(
        world, "deps:\n- recipe: idp\n  as: sso\n  wants:\n    redirect_uri: x\n", r"recipe.yml:6: wants: unknown key"
    )
    refused(world, "deps: [{recipe: idp, as: sso}]\n", "needs 'redirect_uris'")


def test_a_name_that_no_template_could_use_needs_another_one(world, others):
    refused(world, "deps: [{recipe: my-idp, kind: sso}]\n", "'my-idp' cannot be the name of a dep")
    refused(world, "deps: [{recipe: idp, as: app, kind: sso}]\n", "'app' cannot be")
    refused(world, f"deps: [{{recipe: idp, as: sso, {WANTS}}}, {{recipe: idp, as: sso, {WANTS}}}]\n", "two deps")


@pytest.mark.parametrize(
    ("used", "said"),
    [
        ("{{ deps.sso.client_secret }}", "is secret.*readable"),
        ("{{ deps.sso['user'].password }}", "is secret"),
        ("{{ deps.sso.isuer }}", "does not provide(.|\n)*issuer"),
        ("{{ deps.sso.user }}", "no single fact(.|\n)*user.username"),
        ("{{ deps.sso }}", "no single fact"),
        ("{% set d = deps %}{{ d.sso.client_secret }}", "as a whole"),
        ("{{ deps.idp.issuer }}", "no dep 'idp'"),
        ("{{ deps.sso.issuer }} {{ domian }}", "unknown name 'domian'"),
    ],
)
def test_what_env_may_not_use_of_deps(world, others, used, said):
    error = refused(world, SSO + "env:\n  A: |-\n    " + used + "\n", "recipe.yml:4 uses")
    import re

    assert re.search(said, str(error))


def test_a_secret_fact_goes_into_a_secret(world, others):
    world.write(
        "recipe.yml",
        SSO + "secrets: {oidc: {value_from: deps.sso.client_secret}, pw: {value_from: deps.sso.user.password}}\n",
    )
    assert world.plan()["secrets"]["oidc"] == {"value_from": "deps.sso.client_secret"}
    refused(world, SSO + "secrets: {oidc: {value_from: deps.sso.secret}}\n", "recipe.yml:3 uses deps.sso.secret, which")
    refused(world, SSO + "secrets: {oidc: {value_from: deps.other.secret}}\n", "no dep 'other'")


@pytest.mark.parametrize(
    ("wired", "fact"),
    [
        ('env: {OIDC: "{{ deps.sso.issuer }}"}', "issuer"),
        ('env_from_upgrade: {OIDC: "{{ deps.sso.user.email | upper }}"}', "user.email"),
        ("secrets: {key: {value_from: deps.sso.client_secret}}", "client_secret"),
    ],
)
def test_the_app_itself_may_not_need_a_dep_that_is_for_tests(world, others, wired, fact):
    dep = f"deps: [{{recipe: idp, as: sso, for_tests: true, {WANTS}}}]\n"
    error = refused(world, f"{dep}{wired}\n", rf"recipe.yml:3 uses deps.sso.{fact}, but sso is made for tests alone")
    assert "post_install" in error.next_step
    world.write("recipe.yml", f"{dep.replace('for_tests: true', 'for_tests: false')}{wired}\n")
    assert world.plan()["deps"]


def test_facts_go_nowhere_but_into_env_and_secrets(world, others):
    error = refused(world, SSO + 'health: {host: "{{ deps.sso.issuer }}"}\n', "recipe.yml:3 uses 'deps'")
    assert "only env" in error.observed


def test_a_recipe_that_is_not_run_here_is_refused_here_and_planned_elsewhere(world, others):
    others.write("idp", "recipe.yml", "embedded: {not_run: needs a real registry}\n")
    world.configure("ccci_platform: embedded\n")
    error = refused(world, SSO, r"demo/recipe.yml:2: idp is not run on the embedded platform")
    assert "needs a real registry" in error.observed
    world.configure("ccci_platform: released\n")
    assert world.plan()["deps"]
    world.configure("ccci_platform: embedded\n")
    refused(world, "embedded: {not_run: needs a real registry}\n", "demo is not run on the embedded platform")


def test_a_dep_whose_repository_is_not_there_is_refused_with_its_line(world, others):
    others.write("gone", "provides/sso.yml", PROVIDER.replace("KIND", "sso"))
    refused(world, SSO.replace("idp", "gone"), "recipe.yml:2: Unknown recipe 'gone'")


def test_a_dep_without_a_published_version_is_refused(world, others):
    forge = Repo(world.root / "forge" / "fresh.git")
    forge.ref("refs/heads/main", forge.commit({"compose.yml": COMPOSE}, "First"))
    others.write("fresh", "provides/sso.yml", PROVIDER.replace("KIND", "sso"))
    refused(world, SSO.replace("idp", "fresh"), "recipe.yml:2: no version of fresh is published")


def test_the_tier_of_tests_that_need_deps_cannot_be_skipped(world, others):
    world.write("tests/test_x.py", "def test_a(deps):\n    deps.sso\n")
    assert world.plan()["tests"][0]["needs"] == ["sso"]
    text = SSO + "skip: [{tier: custom, reason: too slow for us}]\n"
    refused(world, text, r"recipe.yml:3 skips tests that need deps: demo.test_a")
