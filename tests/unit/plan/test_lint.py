"""What lint finds in a recipe's folder."""

from __future__ import annotations

import pytest
from gitrepo import Repo

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


def test_functions_that_tests_and_marker_share_are_no_strangers(good):
    good.write("demo_client.py", "")
    good.write("other_client.py", "")
    assert [text for text in errors(good) if "read by nothing" in text and "demo_client.py is" in text] == []
    assert "other_client.py is read by nothing" in "\n".join(errors(good))


def test_the_schema_line_is_wanted(good):
    (good.tests / "recipe.yml").write_text("health: {path: /x}\n")
    assert "yaml-language-server" in errors(good)[0]


def test_a_broken_setting_hides_nothing_else(good):
    good.write("recipe.yml", "helth: {}\n")
    (good.tests / "PARITY.md").unlink()
    found = "\n".join(errors(good))
    assert "recipe.yml:2" in found
    assert "PARITY.md is missing" in found


def test_a_hook_that_asks_for_a_dep_that_is_not_there(good):
    good.write("hooks/post_install.yml", "- ccci_assert_command: {checks: [], facts_of: sso}\n")
    (found,) = errors(good)
    assert "post_install.yml:1 needs deps, but recipe.yml names none" in found


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


# Deps, providers and logins.

DEPS = "deps: [{recipe: idp, as: sso, wants: {redirect_uris: ['https://{{ domain }}/x']}}]\n"
PROVIDES = (
    "- name: Make a client\n  ccci_provide: {kind: sso, file: '{{ ccci_dep_plan.recipe.tests_dir }}/provides/sso.py'}\n"
)


@pytest.fixture
def with_dep(good):
    provider = good.root / "recipe_tests" / "idp"
    (provider / "provides").mkdir(parents=True)
    (provider / "provides" / "sso.yml").write_text(PROVIDES)
    forge = Repo(good.root / "forge" / "idp.git")
    commit = forge.commit({"compose.yml": "services: {app: {image: 'idp:1'}}\n"}, "First")
    forge.ref("refs/heads/main", forge.tag("1.0.0+1", commit))
    good.write("recipe.yml", DEPS)
    good.write("PARITY.md", "`install.sso.provided` and `install.login`\n")
    good.write("tests/one.yml", "# needs: sso\n" + TASK.format(1))
    return good


def test_a_good_dep_has_no_errors_and_its_ids_are_known(with_dep):
    assert errors(with_dep) == []
    with_dep.write("PARITY.md", "`install.git.provided`\n")
    assert any("names install.git.provided, which is no id" in text for text in errors(with_dep))


def test_a_dep_that_is_not_there_is_an_error_with_its_line(with_dep):
    with_dep.write("recipe.yml", "deps: [{recipe: ipd, as: sso}]\n")
    assert any("recipe.yml:2: there is no folder" in text for text in errors(with_dep))


def test_a_test_that_needs_an_unknown_dep_is_an_error_with_its_line(with_dep):
    with_dep.write("tests/one.yml", "---\n# needs: forge\n" + TASK.format(1))
    assert any("one.yml:2 needs the dep 'forge'" in text for text in errors(with_dep))
    with_dep.write("recipe.yml", "health: {path: /x}\n")
    assert any("one.yml:2 needs deps, but recipe.yml names none" in text for text in errors(with_dep))


def test_a_dep_that_nothing_proves_is_worth_a_note(with_dep):
    with_dep.write("tests/one.yml", TASK.format(1))
    notes = [finding.text for finding in lint_recipe("demo", with_dep.settings()) if finding.level == NOTE]
    assert any("recipe.yml:2: neither a test nor the login needs sso" in text for text in notes)


def test_a_step_of_a_login_that_no_browser_knows_is_an_error(with_dep):
    with_dep.write(
        "recipe.yml",
        DEPS + "login:\n  through: sso\n  then:\n    - expect_txt: x\n    - click: a\n",
    )
    found = [text for text in errors(with_dep) if "recipe.yml:6: a step is one of" in text]
    assert len(found) == 1


def test_a_provider_gives_facts_of_a_kind_that_there_is(good):
    good.write("provides/sso.yml", PROVIDES)
    good.write("provides/sso.py", "def provide(app, wants): ...\n")
    assert errors(good) == []
    (good.tests / "provides" / "sso.py").unlink()
    assert any("sso.yml names sso.py, which is not in" in text for text in errors(good))
    good.write("provides/sso.yml", TASK.format(1))
    assert any("sso.yml gives no facts: expected a task ccci_provide with kind: sso" in text for text in errors(good))
    good.write("provides/sso.yml", PROVIDES.replace("kind: sso", "kind: forge"))
    assert any("gives no facts" in text for text in errors(good))
    good.write("provides/ssso.yml", PROVIDES)
    assert any("ssso.yml is no kind of facts; expected sso.yml" in text for text in errors(good))


def test_what_is_not_run_here_is_a_note_and_its_floor_too(good):
    good.write("recipe.yml", "embedded: {not_run: needs a real registry}\n")
    (good.tests / "tests" / "two.yml").unlink()
    good.configure("ccci_platform: embedded\n")
    findings = lint_recipe("demo", good.settings())
    assert [finding for finding in findings if finding.level == ERROR] == []
    assert any("not run here" in finding.text and "a real registry" in finding.text for finding in findings)
