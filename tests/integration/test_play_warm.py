"""A dep that is kept warm: borrowed by run after run, made anew when it is broken, and never taken away by one."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import killing
import pytest
from playing import Node, Played, Player

pytestmark = pytest.mark.nested
PAIR = Path(__file__).parent / "dep_pair"
GIB = 2**30
# More memory than the rest of it needs, in files that are kept in memory.
BALLAST = """
version: "3.8"
services:
  ballast:
    image: 127.0.0.1:5000/ccci/notes:1.0.0
    entrypoint: [sh, -c, "dd if=/dev/zero of=/ballast/file bs=1M count=1024 && touch /ballast/full && sleep 1d"]
    healthcheck: {test: [CMD, test, -e, /ballast/full], interval: 1s, start_period: 1m}
    volumes: [{type: tmpfs, target: /ballast}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Both recipes' settings, in a copy that a test may change."""
    return Path(shutil.copytree(PAIR, tmp_path / "recipe_tests"))


@pytest.fixture
def warm(player: Player, node: Node, folder: Path) -> Iterator[Player]:
    """A player on whose node the recipe notes is kept warm; it is gone afterwards, and nothing else with it."""
    mine = Player(player.inventory, player.runs, {"CCCI_RECIPE_TESTS_DIR": str(folder)})
    before = node.objects()
    try:
        made = mine.run("deps", "warm", "notes", "--yes", "--format", "json")
        assert (made.code, made.json["verdict"]) == (0, "pass"), made.err
        yield mine
    finally:
        cooled = mine.run("deps", "cool", "notes")
    assert cooled.code == 0, cooled.out + cooled.err
    assert node.objects() == before


def services(node: Node) -> list[str]:
    return [name for name in node.objects()["service"] if name.startswith("note-")]


def verdicts(played: Played) -> dict[str, str]:
    """What a play said of the recipe itself, without its dep."""
    everything = [item for tier in played.json["tiers"] for item in tier["assertions"]]
    return {item["id"]: item["outcome"] for item in everything if ".db." not in item["id"]}


def test_a_cold_and_a_warm_dep_give_the_same_verdicts(warm: Player, node: Node):
    there = node.objects()
    assert len(services(node)) == 2
    for words in (("--pr", "1"), ("--pr", "3", "--tags", "upgrade")):  # a good change, and one that loses the data
        cold, borrowed = (warm.play("custom-html", *words, *more) for more in (("--cold",), ()))
        assert (borrowed.code, borrowed.json["cause"]) == (cold.code, cold.json["cause"]), borrowed.err
        assert verdicts(borrowed) == verdicts(cold)
        assert borrowed.assertion("teardown.db.withdrawn")["outcome"] == "pass"
        assert borrowed.json["deploys"] == {"due": 1, "made": 1}
        assert borrowed.json["foreign"] == []
        assert node.objects() == there
    databases = node.run(f"docker exec $(docker ps -q -f name={services(node)[1]}) psql -U notes -Atc '{QUERY}'")
    assert databases.split() == ["notes", "postgres"]


QUERY = "select datname from pg_database where not datistemplate order by 1"


def test_one_that_is_broken_is_made_anew(warm: Player, node: Node, folder: Path):
    app, db = services(node)
    first = node.run(f"docker service inspect -f '{{{{.ID}}}}' {app}")
    node.run(f"docker service rm {db}")
    played = warm.play("custom-html", "--tags", "install")
    assert played.code == 0, played.err
    assert any("made anew: it has lost db" in note for note in played.json["notes"])
    assert services(node) == [app, db]
    second = node.run(f"docker service inspect -f '{{{{.ID}}}}' {app}")
    assert second != first

    # Up, as far as swarm can see, but nothing leads to it.
    node.run(f"docker service update --detach --network-rm proxy {app}")
    played = warm.play("custom-html", "--tags", "install")
    assert played.code == 0, played.err
    assert any("made anew" in note for note in played.json["notes"])

    overlay = 'version: "3.8"\nservices: {app: {environment: {DB_HOST: nowhere}}}\n'
    (folder / "notes" / "compose.ccci.yml").write_text(overlay)
    played = warm.play("custom-html", "--tags", "install")
    converged = played.assertion("install.db.converged")
    assert (played.code, converged["outcome"], converged["service"]) == (3, "error", "db-app"), played.err
    assert any("other settings" in note for note in played.json["notes"])
    assert services(node) == [], "what was not made to its end is taken away"


def test_two_deps_may_borrow_the_same_one(warm: Player, node: Node, folder: Path):
    recipe = folder / "custom-html" / "recipe.yml"
    other = "deps:\n  - {recipe: notes, as: other, kind: postgres, wants: {database: others}}\n"
    recipe.write_text(recipe.read_text().replace("deps:\n", other))
    there = node.objects()
    played = warm.play("custom-html", "--tags", "install")
    assert played.code == 0, played.err
    for key in ("db", "other"):
        assert played.assertion(f"teardown.{key}.withdrawn")["outcome"] == "pass"
    assert node.objects() == there


def test_one_that_crashes_while_it_is_lent_is_told(warm: Player, node: Node):
    (app, _) = services(node)
    command = killing.play(warm)
    provided = {"type": "result", "id": "install.db.provided"}
    killing.wait_for(lambda: any(provided.items() <= event.items() for event in command.events()), 240, "it is lent")
    node.run(f"for try in 1 2 3; do docker kill $(docker ps -q -f name={app}); sleep 8; done", limit=90)
    played = command.end(300)
    stayed = played.assertion("teardown.db.stayed_up")
    assert (played.code, stayed["outcome"], stayed["service"]) == (3, "error", "db-app"), played.err
    assert (played.run_dir / "logs" / "db-app.log").stat().st_size > 0


def test_a_signal_while_it_is_being_made_leaves_nothing(player: Player, node: Node, folder: Path):
    mine = Player(player.inventory, player.runs, {"CCCI_RECIPE_TESTS_DIR": str(folder)})
    before = node.objects()
    command = killing.Command(mine, "deps", "warm", "notes", "--yes", "--format", "json")
    deployed = {"type": "result", "id": "install.provider.deploy"}
    killing.wait_for(lambda: any(deployed.items() <= event.items() for event in command.events()), 240, "it is there")
    command.process.send_signal(signal.SIGINT)
    ended = command.end(200)
    assert ended.code == 130, ended.err
    assert node.objects() == before


def test_what_a_dead_run_had_made_goes_with_the_next_one(warm: Player, node: Node):
    there = node.objects()
    command = killing.play(warm)
    provided = {"type": "result", "id": "install.db.provided"}
    killing.wait_for(lambda: any(provided.items() <= event.items() for event in command.events()), 240, "it is lent")
    run = command.run_dir.name
    killing.kill_command_line(command)
    killing.clean_and_compare(warm, node, there)
    played = warm.play("custom-html", "--tags", "install")
    assert played.code == 0, played.err
    withdrawn = [event for event in played.events() if event.get("id") == "install.db.withdrawn"]
    assert [event["outcome"] for event in withdrawn] == ["pass"]
    state = node.run("cat /var/lib/ccci/runs/warm-notes/state.json")
    assert run not in state
    assert re.search(r'"loans": \{\}', state)


def test_it_makes_room_for_a_recipe_that_needs_the_memory(player: Player, node: Node, folder: Path, tmp_path: Path):
    (folder / "notes" / "compose.ccci.yml").write_text(BALLAST)
    mine = Player(player.inventory, player.runs, {"CCCI_RECIPE_TESTS_DIR": str(folder)})
    try:
        made = mine.run("deps", "warm", "notes", "--yes", "--format", "json")
        assert made.code == 0, made.err
        free = int(node.run("awk '/MemAvailable/ {print $2}' /proc/meminfo")) * 1024
        (folder / "custom-html" / "recipe.yml").write_text(f"resources: {{memory: {free // 2**20 + 512} MiB}}\n")
        (folder / "custom-html" / "compose.ccci.yml").unlink()
        shutil.rmtree(folder / "custom-html" / "tests")
        there = services(node)
        played = mine.play("custom-html", "--tags", "install")
        assert played.code == 0, played.err
        assert "notes (warm) stopped for the memory" in played.assertion("prepare.node")["observed"]
        assert played.json["foreign"] == []
        replicas = node.run(f"docker service ls --format '{{{{.Name}}}} {{{{.Replicas}}}}' | grep '^{there[0][:11]}'")
        assert sorted(line.rpartition("/")[2] for line in replicas.splitlines()) == ["1", "1", "1"]
    finally:
        assert mine.run("deps", "cool", "notes").code == 0
