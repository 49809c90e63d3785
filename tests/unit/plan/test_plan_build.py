"""Materials from a real little forge → plan.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccci import run
from ccci.errors import InfrastructureError, UsageError
from ccci.plan.build import plan_of
from ccci.plan.describe import describe
from ccci.plan.load import Request, load
from ccci.report.result import reproduce
from ccci.schemas import check
from ccci.source.mirror import Selector
from ccci_host import bounded


def ids(plan: dict, kind: str | None = None) -> list[str]:
    return [item["id"] for item in plan["expected"] if kind in (None, item["kind"])]


def test_main_head_is_played_from_the_newest_version_before_it(world):
    plan = world.plan()
    assert plan["head"]["commit"] == world.commits["main"]
    assert plan["base"]["version"] == "1.1.0+1.3.0"
    assert plan["base"]["commit"] == world.commits["second"]
    assert check.problems("plan", plan) == []


def test_an_asked_for_base_wins_over_the_settings_one(world):
    world.write("recipe.yml", "base: {version: 1.1.0+1.3.0}\n")
    assert world.plan(base_version="1.0.0+1.2.0")["base"]["version"] == "1.0.0+1.2.0"
    assert world.plan()["base"]["version"] == "1.1.0+1.3.0"


def test_the_domain_is_the_same_for_the_same_ref_and_another_for_another(world):
    assert world.plan()["app"] == world.plan()["app"]
    assert world.plan("pr", "2")["app"]["domain"] != world.plan()["app"]["domain"]
    assert world.plan()["app"]["stack"] == world.plan()["app"]["domain"].replace(".", "_")


def test_the_first_version_has_no_upgrade_but_a_backup_with_its_marker(world):
    plan = world.plan("version", "1.0.0+1.2.0")
    assert plan["base"] is None
    assert plan["not_planned"] == [{"tier": "upgrade", "reason": "no version was published before 1.0.0+1.2.0"}]
    assert "upgrade.marker_seeded" in ids(plan), "backup and restore need the marker"
    assert "upgrade.deploy" not in ids(plan)


def test_only_restore_brings_the_operations_that_it_needs_and_only_its_own_assertions(world):
    plan = world.plan(tags=("restore",))
    assert [id for id in ids(plan, "operation") if not id.startswith(("prepare", "teardown"))] == [
        "install.deploy", "install.converged", "upgrade.marker_seeded", "backup.survey", "backup.snapshot",
        "restore.mutated", "restore.run", "restore.converged",
    ]  # fmt: skip
    assert {id.split(".")[0] for id in ids(plan, "assertion")} == {"restore", "teardown"}
    assert plan["run"]["tags"] == ["restore"]


def test_skipped_tags_become_their_complement(world):
    plan = world.plan(skip_tags=("upgrade", "custom"))
    assert plan["run"]["tags"] == ["install", "backup", "restore"]
    assert "upgrade.commit" not in ids(plan)
    assert plan["not_planned"] == [], "what was not asked for is no gap of the recipe"


def test_a_broken_compose_file_does_not_stop_the_planning(world):
    plan = world.plan("pr", "1")
    assert plan["marker"]["volume"] == "content", "inferred from the base"
    assert plan["notes"][0].startswith("head: compose.yml:")


def test_dropped_backup_labels_do_not_move_the_marker_or_unplan_the_backup(world):
    plan = world.plan("pr", "3")
    assert plan["marker"] == world.plan()["marker"]
    assert "backup.survey" in ids(plan)
    assert plan["not_planned"] == []


def test_tests_of_a_pull_request_are_listed_and_not_run(world):
    plan = world.plan("pr", "2")
    assert plan["untrusted_tests"] == [".ccci/tests/own.yml"]
    assert plan["tests"] == []


def test_tests_of_a_pull_request_run_where_the_inventory_trusts_the_recipe(world):
    world.configure("ccci_trusted_recipes: [demo]\n")
    materials = load(Request("demo", Selector("pr", "2")), world.settings())
    plan = plan_of(materials)
    assert plan["untrusted_tests"] == []
    assert [test["id"] for test in plan["tests"]] == ["demo.pr.own"]
    run.save_run(materials, plan)
    assert Path(plan["tests"][0]["path"]).read_text() == "- ansible.builtin.debug:\n"


def test_two_tests_of_a_pull_request_cannot_have_one_file_name(world):
    world.configure("ccci_trusted_recipes: [demo]\n")
    test, base = "def test_{}(app):\n    pass\n", world.commits["main"]
    files = {".ccci/tests/a/test_x.py": test.format("a"), ".ccci/tests/b/test_x.py": test.format("b")}
    world.forge.ref("refs/pull/9/head", world.forge.commit(files, "Two", base))
    with pytest.raises(UsageError, match=r"both called 'test_x.py'") as caught:
        world.plan("pr", "9")
    assert "'.ccci/tests/a/test_x.py', '.ccci/tests/b/test_x.py'" in str(caught.value)
    world.forge.ref("refs/pull/9/head", world.forge.commit({".ccci/tests/test_x.py": test.format("x")}, "One", base))
    world.write("tests/test_x.py", test.format("x"))
    assert set(ids(world.plan("pr", "9"))) >= {"demo.test_x", "demo.pr.test_x"}


def test_the_recipes_settings_can_refuse_what_the_inventory_trusts(world):
    world.configure("ccci_trusted_recipes: [demo]\n")
    world.write("recipe.yml", "trust: {pr_tests: false}\n")
    assert world.plan("pr", "2")["untrusted_tests"] == [".ccci/tests/own.yml"]


def test_skip_settings_give_their_reason_and_take_the_tests_along(world):
    world.write("recipe.yml", "skip: [{tier: custom, reason: needs a camera}, {tier: backup, reason: keeps no data}]\n")
    world.write("tests/one.yml", "- ansible.builtin.debug:\n")
    plan = world.plan()
    reasons = {entry["tier"]: entry["reason"] for entry in plan["not_planned"]}
    assert reasons["custom"] == "needs a camera"
    assert reasons["backup"] == "keeps no data"
    assert "keeps no data" in reasons["restore"], "what was not backed up cannot be restored"
    assert plan["tests"] == []
    assert not [id for id in ids(plan) if id.startswith(("demo.", "backup.", "restore."))]


def test_no_marker_where_nothing_would_look_at_it(world):
    world.write(
        "recipe.yml", "backup: {not_applicable: keeps nothing at all}\nskip: [{tier: upgrade, reason: one version}]\n"
    )
    plan = world.plan()
    assert plan["marker"]["kind"] == "none"
    assert "upgrade.marker_seeded" not in ids(plan)


def test_env_may_use_the_documented_names_and_set_wins(world):
    world.write("recipe.yml", 'env: {URL: "https://{{ domain }}/x", A: "1"}\nenv_from_upgrade: {A: "2"}\n')
    plan = world.plan(env={"A": "3"})
    assert plan["env"] == {"URL": f"https://{plan['app']['domain']}/x", "A": "3"}
    assert plan["env_from_upgrade"]["A"] == "3"


def test_the_head_may_have_other_compose_files(world):
    world.write("recipe.yml", "compose_files: [compose.yml]\n")
    plan = world.plan()
    assert plan["compose_files"] == plan["compose_files_from_upgrade"] == ["compose.yml"]
    world.write("recipe.yml", "compose_files_from_upgrade: [compose.yml, compose.new.yml]\n")
    plan = world.plan()
    assert (plan["compose_files"], plan["compose_files_from_upgrade"]) == (None, ["compose.yml", "compose.new.yml"])
    problems = [note for note in plan["notes"] if "compose.new.yml" in note]
    assert [note.partition(":")[0] for note in problems] == ["head"], "the base does not need that file"


def test_an_unknown_name_in_a_template_is_refused_with_its_place(world):
    world.write("recipe.yml", 'env: {URL: "{{ domian }}"}\n')
    with pytest.raises(UsageError, match=r"recipe.yml:2.*domian") as error:
        world.plan()
    assert "domain" in error.value.next_step


def test_a_markers_service_that_does_not_exist_is_named_before_the_run(world):
    world.write("recipe.yml", "marker: {kind: postgres, service: db}\n")
    with pytest.raises(UsageError, match="no service 'db'") as error:
        world.plan()
    assert "app" in error.value.expected


def test_the_lease_is_longer_than_the_longest_step(world):
    world.write("recipe.yml", "timeouts: {deploy: 900}\n")
    assert world.plan()["scope"]["lease"] == 1020


def test_a_missing_wildcard_domain_is_said(world):
    file = world.inventory / "group_vars" / "all" / "ccci.yml"
    file.write_text(file.read_text().replace("ccci_wildcard_domain: ci.test", ""))
    with pytest.raises(UsageError, match="ccci_wildcard_domain"):
        world.plan()


def test_a_saved_run_is_private_and_complete(world):
    materials = load(Request("demo"), world.settings())
    plan = plan_of(materials)
    path = run.save_run(materials, plan)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert json.loads(path.read_text()) == plan
    assert Path(plan["source"]["bundle"]).read_bytes().startswith(b"# v2 git bundle")


def test_the_next_run_in_the_same_second_gets_a_folder_of_its_own(world):
    materials = load(Request("demo"), world.settings())
    run.save_run(materials, plan_of(materials))
    assert load(Request("demo"), world.settings(), now=materials.created).run_id != materials.run_id


def test_a_full_disk_is_an_error_of_the_infrastructure_and_leaves_nothing(world, monkeypatch):
    materials = load(Request("demo"), world.settings())
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(run, "_write_private", lambda path, text: (_ for _ in ()).throw(full))
    with pytest.raises(InfrastructureError, match="Cannot write") as error:
        run.save_run(materials, plan_of(materials))
    assert "No space left" in error.value.observed
    assert list((world.root / "runs").iterdir()) == []


def test_the_description_tells_prerequisites_from_what_is_judged(world):
    text = "\n".join(describe(world.plan(tags=("restore",))))
    assert "custom: not asked for" in text
    assert "The app is deployed  (prerequisite)" in text
    assert "The backup was restored  (prerequisite)" not in text


def test_what_strangers_wrote_cannot_speak_to_the_terminal_and_is_no_template(world):
    name = ".ccci/tests/\x1b[2J{{ lookup('pipe', 'id') }}.yml"
    commit = world.forge.commit(
        {name: "- ansible.builtin.debug:\n"}, "\x1b]0;owned\x07 {{ 7 * 7 }}", world.commits["main"]
    )
    world.forge.ref("refs/pull/9/head", commit)
    plan = world.plan("pr", "9")
    assert plan["untrusted_tests"] == [".ccci/tests/�[2J{{ lookup('pipe', 'id') }}.yml"]
    assert plan["head"]["subject"].endswith("{{ 7 * 7 }}")
    assert "\x1b" not in "\n".join(describe(plan))


def test_hooks_of_a_tier_that_is_not_planned_do_not_run(world):
    world.write("recipe.yml", "skip: [{tier: custom, reason: needs a camera}]\n")
    world.write("hooks/setup_custom.yml", "- ansible.builtin.debug:\n")
    world.write("hooks/pre_install.yml", "- ansible.builtin.debug:\n")
    assert list(world.plan()["hooks"]) == ["pre_install"]


def test_no_file_name_of_a_pull_request_breaks_the_plan_or_its_lines(world) -> None:
    forge, index = world.forge, {"GIT_INDEX_FILE": str(world.root / "index")}
    forge.git("read-tree", world.commits["main"], **index)
    blob = forge.git("hash-object", "-w", "--stdin", stdin="x")
    for name in ("compose\nx.yml", ".ccci/tests/a\nverdict: pass\n.yml"):
        forge.git("update-index", "-z", "--index-info", stdin=f"100644 {blob}\t{name}\0", **index)
    commit = forge.git("commit-tree", forge.git("write-tree", **index), "-m", "x", "-p", world.commits["main"])
    forge.ref("refs/pull/9/head", commit)
    plan = world.plan("pr", "9")
    assert plan["untrusted_tests"] == [".ccci/tests/a�verdict: pass�.yml"]
    assert [note for note in plan["notes"] if note.startswith("head")] == []


def test_a_head_that_is_too_large_to_read_is_the_runs_to_judge(world, monkeypatch):
    monkeypatch.setattr(bounded, "MOST_OUTPUT", 1000)
    forge, main = world.forge, world.commits["main"]
    forge.ref("refs/pull/9/head", forge.commit({"compose.x.yml": "#" * 2000}, "x", parent=main))
    assert "head: the repository answers with more than" in " ".join(world.plan("pr", "9")["notes"])


def test_what_a_person_gave_besides_is_kept_for_the_command_that_does_it_again(world):
    given = Request("demo", Selector(), "1.0.0+1.2.0", env={"TITLE": "two words"})
    url = world.settings().recipe_url.format(recipe="demo")
    plan = plan_of(load(given, world.settings(source=url)))
    assert {name: plan["run"].get(name) for name in ("source", "from", "set")} == {
        "source": url, "from": "1.0.0+1.2.0", "set": {"TITLE": "two words"},
    }  # fmt: skip
    assert reproduce(plan, None).endswith(f" --source {url} --from 1.0.0+1.2.0 --set 'TITLE=two words'")
    assert not {"source", "from", "set"} & world.plan()["run"].keys()
