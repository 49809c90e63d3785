"""A recipe with a dep of its own: the whole life, and a dep that fails in every way."""

from __future__ import annotations

import shutil
from pathlib import Path

import killing
import pytest
from playing import Node, Player

pytestmark = pytest.mark.nested
PAIR = Path(__file__).parent / "dep_pair"
CALLS = {"life": 14, "ready probes": 3, "dep": 5}  # of modules on the node, in a green life


class Pair:
    """The two recipes' folders, in a copy that a test may spoil."""

    def __init__(self, player: Player, folder: Path) -> None:
        self.folder = folder
        self.player = Player(player.inventory, player.runs, {"CCCI_RECIPE_TESTS_DIR": str(folder)})

    def change(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new))


@pytest.fixture
def pair(player: Player, tmp_path: Path) -> Pair:
    return Pair(player, Path(shutil.copytree(PAIR, tmp_path / "recipe_tests")))


def test_the_dep_is_there_before_the_one_deploy_and_gone_afterwards(pair: Pair, node: Node):
    before = node.objects()
    played = pair.player.play("custom-html")
    assert played.json is not None, played.err
    assert (played.code, played.json["verdict"]) == (0, "pass"), played.err
    assert played.json["deploys"] == {"due": 2, "made": 2}
    for name in ("install.ready", "upgrade.ready", "restore.ready"):
        assert "reached https://note-" in played.assertion(name)["observed"]
    assert {path.name for path in (played.run_dir / "logs").glob("db-*")} == {"db-app.log", "db-db.log"}
    assert {"db-app", "db-db", "app"} <= {use["service"] for use in played.json["resources"]}
    assert node.objects() == before

    tasks = [event for event in played.events() if event["type"] == "task" and event.get("on") == "node"]
    assert len([task for task in tasks if task["name"].startswith("dep_provision")]) == CALLS["dep"] - 1, tasks
    assert len(tasks) <= sum(CALLS.values()), [task["name"] for task in tasks]
    order = [event["id"] for event in played.events() if event["type"] == "result"]
    moments = [
        "install.db.deploy",
        "prepare.images_pulled",
        "install.db.converged",
        "install.db.provided",
        "install.deploy",
    ]
    assert sorted(moments, key=order.index) == moments, "the dep boots while the app's images are pulled"


def test_a_dep_that_never_gets_healthy(pair: Pair, node: Node):
    overlay = 'version: "3.8"\nservices: {app: {environment: {DB_HOST: nowhere}}}\n'
    (pair.folder / "notes" / "compose.ccci.yml").write_text(overlay)
    before = node.objects()
    played = pair.player.play("custom-html")
    converged = played.assertion("install.db.converged")
    assert (played.code, converged["outcome"], converged["service"]) == (3, "error", "db-app"), played.err
    assert played.json["deploys"] == {"due": 2, "made": 1}
    assert (played.run_dir / "logs" / "db-app.log").stat().st_size > 0
    assert node.objects() == before


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("notes/provides/postgres.py", ', "password": password}', "}", "needs 'password'"),
        ("notes/provides/postgres.py", "def provide(", "def provided(", "no function provide"),
        ("notes/provides/postgres.yml", "provides/postgres.py", "provides/gone.py", "there is no"),
        ("notes/provides/postgres.py", "create role {name}", "create {name}", "syntax error"),
    ],
)  # fmt: skip
def test_a_dep_that_does_not_provide_what_it_should(pair: Pair, node: Node, name: str, old: str, new: str, words: str):
    pair.change(name, old, new)
    before = node.objects()
    played = pair.player.play("custom-html", "--tags", "install")
    provided = played.assertion("install.db.provided")
    assert (played.code, provided["outcome"]) == (3, "error"), played.err
    assert words in provided["observed"]
    assert played.assertion("install.deploy")["outcome"] == "not reached"
    assert played.json["deploys"] == {"due": 2, "made": 1}
    assert node.objects() == before


def test_a_provides_file_that_asks_nobody(pair: Pair, node: Node):
    (pair.folder / "notes/provides/postgres.yml").write_text("---\n- name: Do nothing\n  ansible.builtin.meta: noop\n")
    before = node.objects()
    played = pair.player.play("custom-html", "--tags", "install")
    assert played.code == 3, played.err
    assert "dep db has provided no facts" in played.assertion("install.deploy")["observed"]
    assert played.json["deploys"] == {"due": 2, "made": 1}
    assert node.objects() == before


def test_a_missing_provides_file_is_said_before_the_run(pair: Pair):
    (pair.folder / "notes/provides/postgres.yml").unlink()
    played = pair.player.run("plan", "custom-html")
    assert played.code == 2
    assert "notes" in played.err
    assert "postgres.yml" in played.err


def test_a_killed_run_is_taken_away_with_its_deps(pair: Pair, node: Node):
    before = node.objects()
    command = killing.play(pair.player)
    deployed = {"type": "result", "id": "install.db.deploy"}
    killing.wait_for(
        lambda: any(deployed.items() <= event.items() for event in command.events()), 240, "the dep is deployed"
    )
    killing.kill_command_line(command)
    assert any(name.startswith("note-") for name in node.objects()["service"]), "the kill came too late"
    killing.clean_and_compare(pair.player, node, before)


MIDDLE = {
    "recipe.yml": """
timeouts: {deploy: 120, http: 30}
deps: [{recipe: notes, as: db, kind: postgres, wants: {database: middle}}]
env: {UPSTREAM: "{{ deps.db.host }}/{{ deps.db.database }}"}
""",
    "compose.ccci.yml": 'version: "3.8"\nservices: {app: {environment: {UPSTREAM: "${UPSTREAM}"}}}\n',
    "provides/postgres.yml": """
- name: Say what the middle one got
  ccci_provide:
    kind: postgres
    file: "{{ ccci_dep_plan.recipe.tests_dir }}/provides/postgres.py"
    wants: "{{ ccci_dep_plan.wants }}"
""",
    "provides/postgres.py": """
def provide(app, wants):
    host, _, database = app.exec_in("app", ["printenv", "UPSTREAM"]).stdout.strip().partition("/")
    return {"host": host, "port": 5432, "database": database, "user": "x", "password": app.hide("p", "middle-password")}
""",
}


def test_a_dep_of_a_dep_and_two_of_one_recipe(pair: Pair, node: Node):
    """Each parent gets an app of its own, those below come up first, and facts go up from one to the next."""
    for name, text in MIDDLE.items():
        path = pair.folder / "faultbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    pair.change("custom-html/recipe.yml", "deps:\n", "deps:\n  - {recipe: faultbox, as: mid, kind: postgres}\n")
    pair.change("custom-html/recipe.yml", "env:\n", 'env:\n  EXTRA: "{{ deps.mid.host }}/{{ deps.mid.database }}"\n')
    overlay = pair.folder / "custom-html" / "compose.ccci.yml"
    overlay.write_text(overlay.read_text().replace("environment:\n", "environment:\n      EXTRA: ${EXTRA}\n"))
    (pair.folder / "custom-html/tests/test_database.py").write_text(
        "def test_everybody_has_their_own(app, deps):\n"
        "    seen = app.exec_in('app', ['printenv', 'EXTRA']).stdout.strip()\n"
        "    assert seen == f'{deps.mid.host}/middle'\n"
        "    assert deps.mid.host != deps.db.host\n"
    )
    before = node.objects()
    played = pair.player.play("custom-html", "--tags", "custom")
    assert (played.code, played.json["verdict"]) == (0, "pass"), played.err
    assert [dep["key"] for dep in played.json["deps"]] == ["mid-db", "db", "mid"]
    assert played.json["deploys"] == {"due": 4, "made": 4}
    order = [event["id"] for event in played.events() if event["type"] == "result"]
    moments = ["install.mid-db.provided", "install.mid.deploy", "install.mid.provided", "install.deploy"]
    assert sorted(moments, key=order.index) == moments
    assert node.objects() == before
