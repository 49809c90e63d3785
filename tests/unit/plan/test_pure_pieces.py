"""Tiers, templates, domains, discovery, recipe.yml: the planner's small parts."""

from __future__ import annotations

import pytest

from ccci import yaml_file
from ccci.errors import UsageError
from ccci.plan import domains
from ccci.plan.recipe_settings import settings_of
from ccci.plan.templates import Renderer
from ccci.plan.tests_discovery import check_task_file, discover_hooks
from ccci.plan.tests_discovery import tests_of as ids_of
from ccci.plan.tiers import requested, run_tags


def of(text: str):
    return settings_of(yaml_file.parse(text, "recipe.yml"))


@pytest.mark.parametrize(
    ("tags", "skip", "expected"),
    [
        ([], [], ["all"]),
        (["restore", "install"], [], ["install", "restore"]),
        (["all", "restore"], [], ["all"]),
        ([], ["upgrade"], ["install", "backup", "restore", "custom"]),
        ([], ["install", "upgrade", "backup", "restore", "custom"], ["prepare"]),
    ],
)
def test_tags(tags, skip, expected):
    assert run_tags(tags, skip) == expected


def test_prepare_and_teardown_cannot_be_skipped():
    with pytest.raises(UsageError, match="teardown cannot be skipped"):
        run_tags([], ["teardown"])
    assert requested(["restore"]) == ("prepare", "restore", "teardown")


def test_domains_are_short_and_stable():
    prefix = domains.app_prefix("custom-html", "main head", None)
    assert prefix == domains.app_prefix("custom-html", "main head", None)
    assert len(prefix) == len(domains.app_prefix("n8n", "pull request 12", 12)) == 11
    assert domains.app_domain(prefix, "*.ci.test.") == f"{prefix}.ci.test"
    with pytest.raises(UsageError, match="46 characters"):
        domains.stack_name("a" * 46)


def test_templates_know_only_what_is_documented():
    renderer = Renderer({"domain": "a.ci.test", "stack": "a_ci_test", "run": {"id": "x"}})
    assert renderer.text("{{ domain }}/{{ run.id }}", "here") == "a.ci.test/x"
    assert renderer.text("no template { }", "here") == "no template { }"
    for bad in ("{{ ''.__class__.__mro__ }}", "{{ lookup('pipe', 'id') }}", "{{ run.nothing }}", "{% for x in y %}"):
        with pytest.raises(UsageError, match="here"):
            renderer.text(bad, "here")


def test_a_value_that_looks_like_a_template_is_not_rendered_twice():
    assert Renderer({"domain": "{{ stack }}", "stack": "s"}).text("{{ domain }}", "here") == "{{ stack }}"


def test_ids_come_from_file_names_and_functions_without_running_anything():
    tests = ids_of(
        "n8n",
        {
            "/t/flow.yml": "# from: upgrade\n- ansible.builtin.debug:\n",
            "/t/test_a.py": "raise SystemExit\ndef test_one(): ...\nclass TestB:\n    def test_two(self): ...\n",
            "/t/helper.txt": "x",
        },
    )
    assert [(test.id, test.kind, test.since) for test in tests] == [
        ("n8n.flow", "yaml", "upgrade"), ("n8n.test_one", "pytest", "base"), ("n8n.test_two", "pytest", "base"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- ansible.builtin.meta: end_play\n", r"t\.yml:1 uses meta: end_play"),
        ("- block:\n  - meta: end_host\n", r"t\.yml:2 uses meta"),
        ("- action: meta end_batch\n", "uses meta"),
        ("- hosts: all\n", "is a play"),
        ("a: b\n", "no list of tasks"),
        ("- a: [\n", "not valid YAML"),
        ("[]\n", "no list of tasks"),
    ],
)
def test_a_task_file_that_would_break_the_play_is_refused_before_the_lock(text, said):
    with pytest.raises(UsageError, match=said):
        check_task_file("t.yml", text)


def test_a_hook_with_an_unknown_name_is_refused(tmp_path):
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "pre_instal.yml").write_text("- ansible.builtin.debug:\n")
    with pytest.raises(UsageError, match="is not a hook") as error:
        discover_hooks(tmp_path)
    assert "pre_install.yml" in error.value.expected


def test_defaults_and_derived_limits():
    assert of("").timeouts.upgrade == 300
    assert of("timeouts: {deploy: 900}").timeouts.upgrade == 900
    assert of("resources: {memory: 1.5GiB}").memory == 3 * 2**29
    assert of("env: {A: true, B: 3}").env == {"A": "true", "B": "3"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("health:\n  pth: /", r"recipe\.yml:2: unknown key 'pth'; did you mean 'path'"),
        ("skip: [{tier: upgrad, reason: too heavy}]", "did you mean"),
        ("marker: {kind: file}", "needs 'path'"),
        ("health: {kind: tcp}", "needs 'port'"),
        ("deps: [{recipe: keycloak}]", "no kind 'keycloak' of facts"),
        ("a: 1\na: 2", "says 'a' twice"),
    ],
)
def test_mistakes_in_recipe_yml_name_the_line_and_the_nearest(text, said):
    with pytest.raises(UsageError, match=said):
        of(text)


@pytest.mark.parametrize("path", ["/", "//", ".", "./", "/..", "data/../backup.sql"])
def test_a_path_that_any_snapshot_holds_or_none_is_refused_with_its_line(path):
    with pytest.raises(UsageError, match=r"recipe\.yml:2: the path .* names nothing of a snapshot's") as error:
        of(f"backup:\n  expect_paths: [data, '{path}']\n")
    assert "with a name in it" in str(error.value.expected)


def test_paths_with_a_name_are_taken():
    paths = ["mysql/backup.sql.gz", "data", "data/", "/secrets", "data/.env"]
    assert of(f"backup: {{expect_paths: {paths}}}").expect_paths == tuple(paths)
