"""One id is one test: in every way in which it could become two, or none."""

from __future__ import annotations

import pytest

from ccci.errors import UsageError
from ccci.plan.lint import ERROR, lint_recipe

TASK = "- ansible.builtin.debug: {msg: 1}\n"


@pytest.mark.parametrize(
    "files",
    [
        {"test_a.py": "def test_x(): ...\n", "test_b.py": "\ndef test_x(): ...\n"},
        {"test_a.py": "def test_x(): ...\ndef test_x(): ...\n"},
        {"test_a.py": "class TestOne:\n    def test_x(self): ...\nclass TestTwo:\n    def test_x(self): ...\n"},
        {"test_x.yml": TASK, "test_b.py": "def test_x(): ...\n"},
    ],
)
def test_two_tests_of_one_id_are_refused_before_anything_runs(world, files):
    for name, text in files.items():
        world.write(f"tests/{name}", text)
    with pytest.raises(UsageError, match=r"The test id 'demo\.test_x' is used twice") as error:
        world.plan()
    for name in files:
        assert f"tests/{name}:" in error.value.observed
    assert any("is used twice" in one.text for one in lint_recipe("demo", world.settings()) if one.level == ERROR)


def test_a_test_with_many_parameters_counts_once_for_the_floor(world):
    world.write("tests/test_a.py", "import pytest\n@pytest.mark.parametrize('n', [1, 2, 3])\ndef test_x(n): ...\n")
    assert [test["id"] for test in world.plan()["tests"]] == ["demo.test_x"]
    found = [one.text for one in lint_recipe("demo", world.settings()) if one.level == ERROR]
    assert any("1 of at least 2 tests" in text for text in found)


@pytest.mark.parametrize(("name", "text"), [("one.yml", ""), ("test_one.py", "X = 1\n"), ("one.yaml", TASK)])
def test_a_file_that_holds_no_test_is_refused_and_not_passed_over(world, name, text):
    world.write(f"tests/{name}", text)
    with pytest.raises(UsageError, match=name):
        world.plan()
