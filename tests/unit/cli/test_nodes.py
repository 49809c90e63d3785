"""Nodes: reading inventories, is a node set up, cleaning summaries, the doctor's judgements."""

from __future__ import annotations

import json
import shutil

import pytest

from ccci import bootstrap, cleaning, doctor, inventory, paths
from ccci.engine import life
from ccci.errors import InfrastructureError, UsageError


def test_nodes_in_their_order_with_their_connections(world):
    here, there = inventory.nodes(world.inventory)
    assert (here.name, here.local) == ("here", True)
    assert (there.name, there.local, there.address) == ("there", False, "node.example.org")
    assert inventory.chosen(world.inventory, "ccci_nodes[0]") == here
    assert inventory.chosen(world.inventory, "ccci_nodes[1]") == there
    with pytest.raises(UsageError, match="no node 'her'") as error:
        inventory.chosen(world.inventory, "her")
    assert "here" in error.value.expected


def test_a_node_that_is_a_container(world):
    (world.inventory / "hosts.yml").write_text(
        "all: {children: {ccci_nodes: {children: {boxes: {hosts: {box: "
        "{ansible_connection: community.docker.docker, ansible_host: ccci-box}}}}}}}\n"
    )
    node = inventory.chosen(world.inventory, "box")
    assert (node.container, node.local) == ("ccci-box", False)


def test_an_ini_inventory_is_read_by_ansible(world):
    ini = world.root / "fleet.ini"
    ini.write_text("[ccci_nodes]\na ansible_host=10.0.0.1\nb ansible_connection=local\n")
    assert [(node.name, node.address, node.local) for node in inventory.nodes(ini)] == [
        ("a", "10.0.0.1", False), ("b", "b", True),
    ]  # fmt: skip


def test_the_fingerprint_follows_names_and_contents_and_nothing_else(tmp_path):
    def project(**files: str):
        shutil.rmtree(tmp_path / "p", ignore_errors=True)
        for name, text in files.items():
            path = tmp_path / "p" / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return bootstrap.fingerprint(tmp_path / "p")

    first = project(embedded__a="1", module_utils__ccci_host__b="2")
    assert project(embedded__a="1", module_utils__ccci_host__b="2", docs__c="3") == first
    assert project(embedded__a="1", module_utils__ccci_host__b="2", **{"embedded____pycache____x.pyc": "4"}) == first
    assert project(embedded__a="2", module_utils__ccci_host__b="2") != first
    assert project(embedded__c="1", module_utils__ccci_host__b="2") != first
    assert project(embedded__a="1") != first


def test_a_node_counts_as_set_up_by_its_stamp_and_a_docker_that_answers(world, monkeypatch):
    settings = world.settings()
    assert bootstrap.state(settings).missing == "it was never set up from here"
    stamp = paths.node_facts_dir("here") / bootstrap.STAMP
    stamp.parent.mkdir(parents=True)
    stamp.write_text(json.dumps({"fingerprint": "old"}))
    assert bootstrap.state(settings).missing == "the sources of its set-up changed since"
    stamp.write_text(json.dumps({"fingerprint": bootstrap.fingerprint()}))
    monkeypatch.setattr(bootstrap, "_ask_docker", lambda path: None)
    assert bootstrap.state(settings).missing == "its Docker does not answer"
    monkeypatch.setattr(bootstrap, "_ask_docker", lambda path: "OK")
    assert bootstrap.state(settings).missing is None


def test_large_images_are_those_that_a_recipe_names_in_any_version(tmp_path):
    toml = tmp_path / "embedded/images/images.toml"
    toml.parent.mkdir(parents=True)
    entries = [("big", "1.0", True), ("big", "1.1", True), ("big", "1.10", True), ("not-big", "1.1", True),
               ("small", "1.0", False)]  # fmt: skip
    toml.write_text("".join(
        f'[[image]]\nname = "{name}"\ntag = "{tag}"\non_demand = {str(flag).lower()}\n' for name, tag, flag in entries
    ))  # fmt: skip
    recipe = tmp_path / "embedded/recipes/shop"
    recipe.mkdir(parents=True)
    (recipe / "compose.yml").write_text("image: 127.0.0.1:5000/ccci/big:1.0\nimage: 127.0.0.1:5000/ccci/small:1.0\n")
    (recipe / "history.yml").write_text('"big:1.0": "big:1.10"\n')
    assert bootstrap.images_on_demand(["shop", "elsewhere"], tmp_path) == {"big:1.0", "big:1.10"}
    assert bootstrap.images_on_demand([], tmp_path) == set()


def test_a_node_that_lacks_images_of_a_recipe_is_set_up_for_it_and_keeps_those_of_others(world, monkeypatch):
    monkeypatch.setattr(bootstrap, "_ask_docker", lambda path: "OK")
    monkeypatch.setattr(bootstrap, "images_on_demand", lambda recipes: {f"{recipe}:1" for recipe in recipes})
    stamp = paths.node_facts_dir("here") / bootstrap.STAMP
    stamp.parent.mkdir(parents=True)
    stamp.write_text(json.dumps({"fingerprint": bootstrap.fingerprint(), "images": ["forge:1"]}))
    assert bootstrap.state(world.settings(), ["forge"]).missing is None
    found = bootstrap.state(world.settings(), ["forge", "shop"])
    assert found.missing == "it lacks the images shop:1, which take minutes to build"
    assert found.images == ("forge:1", "shop:1")


@pytest.mark.parametrize("text", ["{} not JSON", '{"fingerprint": "old"}'])
def test_a_set_up_that_does_not_end_leaves_a_node_that_is_not_set_up(world, monkeypatch, text):
    monkeypatch.setattr(bootstrap, "_ask_docker", lambda path: "OK")
    monkeypatch.setattr(life, "simple", lambda *_: 2)
    stamp = paths.node_facts_dir("here") / bootstrap.STAMP
    stamp.parent.mkdir(parents=True)
    stamp.write_text(text)
    with pytest.raises(InfrastructureError, match="Setting up here failed"):
        bootstrap.ensure(world.settings(), assume_yes=True)
    assert not stamp.exists()


def test_a_fleet_is_set_up_by_its_operators(world):
    world.configure("ccci_platform: production\n")
    assert bootstrap.state(world.settings(node="there")).missing is None


def test_what_clean_says():
    scope = {"run": "20260101-000000-demo-abcdef", "apps": [{"stack": "demo_ci_test"}]}
    stream = [
        {"type": "fact", "name": "dead", "value": [scope]},
        {"type": "fact", "name": "kept", "value": [{"run": "k", "apps": []}]},
        {"type": "fact", "name": "left_behind", "value": [{"kind": "volume", "name": "demo_ci_test_data"}]},
    ]
    lines = cleaning.describe(cleaning.summarize(stream, dry_run=False))
    assert lines[0] == "20260101-000000-demo-abcdef: removed (demo_ci_test)"
    assert "volume demo_ci_test_data: could not be removed" in lines
    assert "k: kept; `ccci clean --run k` removes it" in lines
    assert cleaning.describe(cleaning.summarize(stream, dry_run=True))[0].split(": ")[1].startswith("would be removed")
    assert cleaning.describe(cleaning.summarize([], dry_run=False)) == ["There was nothing to clean."]


def test_what_cleaning_images_says():
    cleaned = {"node": "here", "removed": [{"name": "sha256:1", "bytes": 10}], "bytes": 2_500_000,
               "kept": [{"name": "web@sha256:2", "why": "a recipe names its digest"}]}  # fmt: skip
    assert cleaning.describe_images(cleaned, dry_run=False) == [
        "here: sha256:1: removed", "here: web@sha256:2: kept, because a recipe names its digest",
        "here: 1 dangling image removed, 2.5 MB",
    ]  # fmt: skip
    assert cleaning.describe_images(cleaned, dry_run=True)[-1] == (
        "here: 1 dangling image would be removed, 2.5 MB at most"
    )


def test_cleaning_one_run_says_nothing_of_the_others():
    entries = {name: [{"run": name, "stacks": []}] for name in ("dead", "kept", "live")}
    summary = {**cleaning.summarize([], dry_run=False), **entries}
    assert [entry["run"] for entry in cleaning.only(summary, "kept")["dead"]] == ["kept"]
    with pytest.raises(UsageError, match="No node knows the run other") as error:
        cleaning.only(summary, "other")
    assert error.value.expected == "dead, kept, live"


def test_the_doctors_judgements():
    assert doctor.system('ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n').state == doctor.OK
    assert doctor.system("ID=fedora\nVERSION_ID=40\n").state == doctor.BAD
    assert doctor.memory("MemTotal: 1000000 kB\nMemAvailable: 5 kB\n").state == doctor.WARNING
    assert doctor.swarm({"Swarm": {"LocalNodeState": "inactive"}}).state == doctor.WARNING
    ours = {"LocalNodeState": "active", "ControlAvailable": True, "Nodes": 1}
    assert doctor.swarm({"Swarm": ours}).state == doctor.OK
    foreign = doctor.swarm({"Swarm": {**ours, "Nodes": 3}})
    assert (foreign.state, foreign.fix) == (doctor.BAD, "another machine, or a node in a container: -i nested")
    assert doctor.docker({"ServerVersion": "29", "SecurityOptions": ["name=rootless"]}).state == doctor.BAD


def test_a_folder_that_cannot_be_written_or_is_full(tmp_path):
    assert doctor.writable("runs", tmp_path / "a" / "b", 0, "").state == doctor.OK
    assert doctor.writable("runs", tmp_path, 2**60, "make room") == doctor.Check(
        "runs", doctor.BAD, doctor.space("runs", tmp_path, 0, "").found, "make room"
    )
