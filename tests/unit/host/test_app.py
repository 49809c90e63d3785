"""Deploy and upgrade through the embedded abra on a real swarm; what is pure about it is tested without."""

from __future__ import annotations

import os
import secrets as random
import stat
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from recipe_repo import RecipeRepo, scope_of

from ccci_host import app_secrets, prepare, state
from ccci_host.answer import Answer
from ccci_host.app import NOT_FOUND, Deployer, Order
from ccci_host.compose import SecretSpec
from ccci_host.docker import STACK_LABEL, Client, DockerError

ABRA = Path(__file__).parents[3] / "embedded" / "abra"
IMAGE = "127.0.0.1:5000/ccci/nginx:1.22.1"
HOSTILE = 'it\'s $HOME ${X:-y} #no "q" \\n `id`\nsecond line'


def spec(name: str, *, generate: bool = True) -> SecretSpec:
    return SecretSpec(name, f"SECRET_{name.upper()}_VERSION", "v1", f"stack_{name}_v1", 16, generate=generate)


def test_described_secrets_are_inserted_and_abra_makes_the_others() -> None:
    key, db, token = spec("key", generate=False), spec("db"), spec("token", generate=False)
    found = app_secrets.steps([key, db, token], {"key": {"hex": 32}, "elsewhere": {"hex": 1}}, existing=())
    assert (found.inserted, found.generated, found.all_new) == ({key: {"hex": 32}}, [db], True)
    later = app_secrets.steps([key, db], {"key": {"hex": 32}}, existing=("stack_key_v1",))
    assert (later.inserted, later.generated, later.all_new) == ({}, [db], False)


def test_values_are_made_as_described() -> None:
    assert len(bytes.fromhex(app_secrets.make_value("x", {"hex": 32}))) == 32
    value = app_secrets.make_value("x", {"length": 24})
    assert (len(value), value.isalnum()) == (24, True)
    assert value != app_secrets.make_value("x", {"length": 24})
    with pytest.raises(app_secrets.NoValue, match="secret x is described by some_other_way"):
        app_secrets.make_value("x", {"some_other_way": 1})


def test_a_secret_of_a_dep_is_inserted_and_no_news(tmp_path: Path) -> None:
    key, client = spec("key", generate=False), spec("client", generate=False)
    how = {"key": {"hex": 4}, "client": {"value_from": "deps.sso.client_secret"}}
    wanted, seen = app_secrets.steps([key, client], how, existing=()), {}

    def call(argv: Any) -> str:
        seen[argv[4]] = Path(argv[6]).read_text()
        assert "s3cret" not in argv
        return ""

    values = app_secrets.provide(wanted, "a.test", tmp_path, call, {"client": "s3cret"})
    assert seen == {"key": values["key"], "client": "s3cret"}
    assert set(values) == {"key"}, "Ansible would mask what it gave, and the mask would count as the secret"
    with pytest.raises(app_secrets.NoValue, match=r"secret client is deps\.sso\.client_secret, and nobody handed"):
        app_secrets.provide(wanted, "a.test", tmp_path, call, {})


def test_a_value_file_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with app_secrets.value_file(tmp_path, "s3cret") as path:
        assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("s3cret", 0o600)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("stdout", "values"),
    [
        ('[{"name":"db","value":"x[1]"},{"name":"b","value":"2"}]\n', {"db": "x[1]", "b": "2"}),
        ('INFO [0001] generating {1}\n{"db": "x"}\n', {"db": "x"}),
        ('WARN [key] exists\n[{"name": "db", "value": "x"}]', {"db": "x"}),
        ("nothing here", {}),
        ("[]", {}),
    ],
)
def test_generated_values_are_found_in_what_abra_prints(stdout: str, values: dict[str, str]) -> None:
    assert app_secrets.generated_values(stdout) == values


COMPOSE = f"""\
version: "3.8"
services:
  app:
    image: {IMAGE}
    command: [sleep, "1000"]
    environment: [VALUE, LATER]
    init: true
    secrets: [db_password, signing_key]
    volumes: [content:/data]
    stop_grace_period: 0s
    deploy:
      labels:
        - traefik.enable=true
        - coop-cloud.${{STACK_NAME}}.version=1.0.0+1
        - coop-cloud.${{STACK_NAME}}.timeout=${{TIMEOUT}}
volumes:
  content:
secrets:
  db_password: {{external: true, name: "${{STACK_NAME}}_db_password_${{SECRET_DB_PASSWORD_VERSION}}"}}
  signing_key: {{external: true, name: "${{STACK_NAME}}_signing_key_${{SECRET_SIGNING_KEY_VERSION}}"}}
"""
SAMPLE = """\
TYPE=web
DOMAIN=web.example.com
LETS_ENCRYPT_ENV=production
TIMEOUT=120
SECRET_DB_PASSWORD_VERSION=v1 # length=20
SECRET_SIGNING_KEY_VERSION=v1 # generate=false
"""
NEW_SECRET = '  extra: {external: true, name: "${STACK_NAME}_extra_${SECRET_EXTRA_VERSION}"}\n'


class App:
    """A prepared app whose recipe has a base and a head."""

    def __init__(self, tmp: Path, head: dict[str, Any], overlay: str | None = None) -> None:
        name = f"c-{random.token_hex(3)}"
        self.client = Client()
        self.scope = {**scope_of(tmp / "run"), "domain": f"{name}.ci.test", "stack": f"{name}_ci_test"}
        repo = RecipeRepo(tmp / "repo")
        self.base = repo.commit_files({"compose.yml": COMPOSE, ".env.sample": SAMPLE}, "1.0.0+1")
        self.head = repo.commit_files(head)
        answer = Answer("prepare")
        order = prepare.Order(
            scope=self.scope, bundle=str(repo.bundle(tmp / "recipe.bundle")),
            base={"version": "1.0.0+1", "commit": self.base}, head={"kind": "pr", "label": "x", "commit": self.head},
            env={}, env_from_upgrade={}, compose_files=None, overlay=overlay, policy={},
        )  # fmt: skip
        prepare.prepare(order, {}, answer)
        assert [one["outcome"] for one in answer.results] == ["pass", "pass"], answer.results

    def play(self, what: str, **changes: Any) -> tuple[dict[str, Any], Answer]:
        upgrade = what == "upgraded"
        given: dict[str, Any] = {
            "tier": "upgrade" if upgrade else "install", "commit": self.head if upgrade else self.base,
            "version": None if upgrade else "1.0.0+1", "chaos": upgrade, "env": {"VALUE": HOSTILE},
            "compose_files": None, "secrets": {"signing_key": {"hex": 32}}, "limit": 120, **changes,
        }  # fmt: skip
        answer = Answer(given["tier"])
        getattr(Deployer(self.client, Order(scope=self.scope, **given), answer), what)()
        return answer.results[-1], answer

    def service(self) -> dict[str, Any]:
        (found,) = self.client.services(self.scope["stack"])
        return found

    def environment(self) -> dict[str, str]:
        pairs = self.service()["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"]
        return dict(pair.split("=", 1) for pair in pairs)

    def labels(self) -> dict[str, str]:
        prefix = f"coop-cloud.{self.scope['stack']}."
        return {
            key.removeprefix(prefix): value for key, value in self.service()["Spec"]["Labels"].items() if prefix in key
        }

    def remove(self) -> None:
        stack = self.scope["stack"]
        services = self.client.services(stack)
        if services:  # a container that is made after its service went would keep its volume
            wait_until(lambda: bool(self.client.containers(stack)), "a container comes")
        for service in services:
            self.client.delete(f"/services/{service['ID']}")
        wait_until(lambda: not self.client.containers(stack), "the containers go")
        for secret in self.client.get("/secrets", filters={"name": [f"{stack}_"]}) or []:
            self.client.delete(f"/secrets/{secret['ID']}")
        # By label: the name filter does not see networks that no task on this node uses.
        label = {"label": [f"{STACK_LABEL}={stack}"]}
        for network in self.client.get("/networks", filters=label):
            wait_until(partial(self.deleted, f"/networks/{network['Id']}"), "the network goes")
        for volume in self.client.get("/volumes", filters=label).get("Volumes") or []:
            wait_until(partial(self.deleted, f"/volumes/{volume['Name']}"), "the volume goes")

    def deleted(self, path: str) -> bool:
        try:
            self.client.delete(path)
        except DockerError as error:
            return error.status == 404
        return True


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, f"waited 60 s until {what}"
        time.sleep(0.2)


@pytest.fixture
def make_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("PATH", f"{ABRA}:{os.environ['PATH']}")
    made: list[App] = []

    def make(head: dict[str, Any], **options: Any) -> App:
        made.append(App(tmp_path, head, **options))
        return made[-1]

    yield make
    for app in made:
        app.remove()


@pytest.mark.docker
def test_a_life_from_the_base_to_the_head(make_app: Any) -> None:
    head = COMPOSE.replace("[db_password, signing_key]", "[db_password, signing_key, extra]") + NEW_SECRET
    app = make_app({"compose.yml": head, ".env.sample": SAMPLE + "SECRET_EXTRA_VERSION=v1  # length=12\nNEW_KEY=new\n"})
    folder = prepare.recipe_folder(app.scope)

    result, answer = app.play("deployed")
    assert result["outcome"] == "pass", result
    assert (len(answer.secrets["db_password"]), len(answer.secrets["signing_key"])) == (20, 64)
    assert answer.facts["deploys"] == state.load(app.scope)["deploys"] == {app.scope["stack"]: 1}
    assert answer.facts["abra"].startswith("0.1")
    assert app.environment()["VALUE"] == HOSTILE
    assert app.environment()["LETS_ENCRYPT_ENV"] == ""
    assert app.labels()["timeout"] == "120"
    env = Path(app.scope["node_dir"]) / "abra" / "servers" / "default" / f"{app.scope['domain']}.env"
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    before = {one["Spec"]["Name"]: one["ID"] for one in app.client.get("/secrets")}

    result, answer = app.play("upgraded", env={"VALUE": "plain", "LATER": "yes"})
    assert result["outcome"] == "pass", result
    assert (set(answer.secrets), len(answer.secrets["extra"])) == ({"extra"}, 12)
    assert app.labels()["chaos-version"].removesuffix("+U") == app.head[:8]
    assert (app.environment()["VALUE"], app.environment()["LATER"]) == ("plain", "yes")
    assert app.environment()["NEW_KEY"] == "new"
    after = {one["Spec"]["Name"]: one["ID"] for one in app.client.get("/secrets")}
    assert before.items() <= after.items()
    left = state.load(app.scope)
    assert left["deploys"] == {app.scope["stack"]: 1}  # an upgrade in place is no deploy
    assert set(left["before_upgrade"]["secrets"]) == {
        f"{app.scope['stack']}_{x}_v1" for x in ("db_password", "signing_key")
    }
    assert list(left["before_upgrade"]["volumes"]) == [f"{app.scope['stack']}_content"]
    assert [path.name for path in Path(app.scope["node_dir"]).glob(".secret-*")] == []
    assert (folder / "compose.yml").read_text() == head


@pytest.mark.docker
def test_a_release_is_deployed_as_its_version_where_no_overlay_is_needed(
    make_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccci_host.node.has_ipvs", lambda: True)
    app = make_app({"README.md": "x"})
    result, _ = app.play("deployed")
    assert result["observed"] == f"deploy of {app.base[:8]} (1.0.0+1), 1 service"
    assert (app.labels()["chaos"], app.labels()["version"]) == ("false", "1.0.0+1")
    assert "chaos-version" not in app.labels()


@pytest.mark.docker
def test_the_tests_overlay_reaches_both_deploys_and_no_file_of_the_recipe_is_lost(make_app: Any) -> None:
    theirs = 'version: "3.8"\nservices: {app: {hostname: theirs}}\n'
    ours = 'version: "3.8"\nservices: {app: {hostname: ours}}\n'
    app = make_app({"compose.ccci.yml": theirs}, overlay=ours)
    folder = prepare.recipe_folder(app.scope)
    for what in ("deployed", "upgraded"):
        assert app.play(what)[0]["outcome"] == "pass"
        assert app.service()["Spec"]["TaskTemplate"]["ContainerSpec"]["Hostname"] == "ours"
    assert (folder / "compose.ccci.yml").read_text() == theirs
    assert (folder / "compose.ccci-2.yml").read_text() == ours


@pytest.mark.parametrize(
    ("words", "service"),
    [("service app: config not found: x_greeting_v1", "app"), ("secret not found: x_token_v1", None)],
)
def test_what_nobody_made_is_known_by_dockers_words(words: str, service: str | None) -> None:
    found = NOT_FOUND.search(f"docker stack deploy: Creating network x_internal {words}")
    assert found is not None
    assert found[1] == service
    assert NOT_FOUND.search("network proxy could not be found; page not found") is None


@pytest.mark.docker
def test_a_secret_that_nobody_can_make_is_red_before_anything_is_deployed(make_app: Any) -> None:
    app = make_app({"README.md": "x"})
    result, answer = app.play("deployed", secrets={})
    assert (result["outcome"], result["id"]) == ("fail", "install.deploy")
    assert "signing_key" in result["observed"]
    assert "recipe.yml" in result["hint"]
    assert app.client.services(app.scope["stack"]) == []
    assert answer.facts["deploys"] == {}
    assert answer.secrets["db_password"] not in str(answer.results)


@pytest.mark.docker
def test_without_abra_the_node_is_at_fault(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app({"README.md": "x"})
    monkeypatch.setattr("ccci_host.abra_call._environment", lambda scope: {"PATH": "/nonexistent"})
    monkeypatch.setenv("PATH", "/nonexistent:/usr/bin:/bin")
    result, _ = app.play("deployed")
    assert result["outcome"] == "error"
    assert "no abra on this node" in result["observed"]
