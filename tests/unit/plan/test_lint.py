"""What lint finds in a recipe's folder."""

from __future__ import annotations

import pytest

from ccci.errors import UsageError
from ccci.plan.lint import ERROR, NOTE, enrolled, lint_recipe

TASK = "- ansible.builtin.debug: {{msg: {}}}\n"


@pytest.fixture
def good(world):
    world.write("recipe.yml", "health: {path: /x}\n")
    world.write("tests/one.yml", TASK.format(1))
    world.write("tests/two.yml", TASK.format(2))
    world.write("PARITY.md", "| health_check | `install.health` |\n| flow | `demo.one` |\n")
    return world


def errors(world) -> list[str]:
    return [finding.text for finding in lint_recipe("demo", world.settings()) if finding.level == ERROR]


def test_a_good_folder_has_no_errors(good):
    assert errors(good) == []
    assert enrolled() == ["demo"]


def test_under_the_floor_of_two(good):
    (good.tests / "tests" / "two.yml").unlink()
    assert any("1 of at least 2" in text and "demo.one" in text for text in errors(good))


def test_a_copy_counts_once(good):
    good.write("tests/two.yml", "# another comment\n\n" + TASK.format(1))
    assert any("two.yml is a copy of one.yml" in text for text in errors(good))


def test_parity_names_ids_that_exist(good):
    good.write("PARITY.md", "`demo.onn` and `install.helth` and `docs.example.org`\n")
    found = errors(good)
    assert len(found) == 2
    assert "PARITY.md:1 names demo.onn, which is no id; did you mean demo.one?" in found[0]
    assert "install.health" in found[1]
    (good.tests / "PARITY.md").unlink()
    assert "is missing" in errors(good)[0]


def test_files_that_nothing_reads(good):
    good.write("tests/check.py", "def test_x(): ...\n")
    good.write("recipe.yaml", "")
    found = "\n".join(errors(good))
    assert "check.py is no test" in found
    assert "recipe.yaml is read by nothing; did you mean recipe.yml?" in found


def test_the_schema_line_is_wanted(good):
    (good.tests / "recipe.yml").write_text("health: {path: /x}\n")
    assert "yaml-language-server" in errors(good)[0]


def test_a_broken_setting_hides_nothing_else(good):
    good.write("recipe.yml", "helth: {}\n")
    (good.tests / "PARITY.md").unlink()
    found = "\n".join(errors(good))
    assert "recipe.yml:2" in found
    assert "PARITY.md is missing" in found


def test_an_overlay_must_touch_services_that_exist_and_is_shown(good):
    good.write("compose.ccci.yml", "services:\n  app: {healthcheck: {start_period: 5m}}\n  web: {image: x}\n")
    findings = lint_recipe("demo", good.settings())
    assert any(
        "compose.ccci.yml:3: the recipe has no service 'web'; it has app" in finding.text for finding in findings
    )
    assert any(finding.level == NOTE and "changes healthcheck of service app" in finding.text for finding in findings)


def test_the_compose_policy_of_what_is_published_is_told(good):
    compose = "services:\n  app:\n    image: x\n    privileged: true\n    volumes: [/etc:/host]\n"
    commit = good.forge.commit({"compose.yml": compose}, "Ask for much", good.commits["main"])
    good.forge.ref("refs/heads/main", commit)
    notes = "\n".join(finding.text for finding in lint_recipe("demo", good.settings()) if finding.level == NOTE)
    assert "compose.yml:4: privileged" in notes
    assert "compose.yml:5: bind-mount" in notes


def test_an_unknown_rule_in_the_inventory(good):
    good.configure("ccci_compose_allow: {demo: [privilegd]}\n")
    assert "'privilegd', which is no rule" in errors(good)[0]


def test_an_unknown_recipe(good):
    with pytest.raises(UsageError, match="There is no folder") as error:
        lint_recipe("demos", good.settings())
    assert error.value.expected == "demo"
