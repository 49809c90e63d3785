"""Which deps a test needs, from its text."""

from __future__ import annotations

import pytest

from ccci.errors import UsageError
from ccci.plan.needs import needs
from ccci.plan.tests_discovery import tests_of as discovered  # pytest would take the other name for a test

DEPS = ["sso", "git"]
FIXTURE = "import pytest\n@pytest.fixture\ndef session(deps):\n    return deps.sso\n"


def needed(text: str, name: str = "test_x.py", **others: str) -> dict[str, tuple[str, ...]]:
    files = {f"/t/{name}": text, **{f"/t/{other}.py": content for other, content in others.items()}}
    return {test.id.removeprefix("demo."): needs(test.uses, DEPS, test.path) for test in discovered("demo", files)}


def test_a_function_needs_what_it_names_or_all_of_them():
    text = "def test_a(deps):\n    deps.sso.issuer\ndef test_b(deps):\n    use(deps)\ndef test_c(app):\n    deps = 1\n"
    assert needed(text) == {"test_a": ("sso",), "test_b": ("sso", "git"), "test_c": ()}
    assert needed("def test_a(deps):\n    deps['git']['url']\n") == {"test_a": ("git",)}
    assert needed("async def test_a(*, deps):\n    pass\n") == {"test_a": ("sso", "git")}


def test_fixtures_bring_their_needs_along():
    chain = (
        FIXTURE
        + "@pytest.fixture\ndef user(session):\n    pass\ndef test_a(user):\n    pass\ndef test_b():\n    pass\n"
    )
    assert needed(chain) == {"test_a": ("sso",), "test_b": ()}
    assert needed("def test_a(session):\n    pass\n", conftest=FIXTURE) == {"test_a": ("sso",)}
    named = FIXTURE.replace("fixture\ndef", "fixture(name='who')\ndef") + "def test_a(who):\n    pass\n"
    assert needed(named) == {"test_a": ("sso",)}
    for_all = FIXTURE.replace("fixture\ndef", "fixture(autouse=True)\ndef") + "def test_a():\n    pass\n"
    assert needed(for_all) == {"test_a": ("sso",)}


def test_a_fixture_that_takes_the_place_of_ours_counts_when_it_asks_for_it():
    own = "import pytest\n@pytest.fixture\ndef deps({}):\n    return 1\ndef test_a(deps):\n    pass\n"
    assert needed(own.format("")) == {"test_a": ()}
    assert needed(own.format("deps")) == {"test_a": ("sso", "git")}


def test_marks_of_function_class_and_file_count():
    mark = "pytest.mark.usefixtures('deps')"
    assert needed(f"import pytest\n@{mark}\ndef test_a():\n    pass\n") == {"test_a": ("sso", "git")}
    group = f"import pytest\n@{mark}\nclass TestX:\n    def test_a(self):\n        pass\n"
    assert needed(group) == {"test_a": ("sso", "git")}
    assert needed(f"import pytest\npytestmark = [{mark}]\ndef test_a():\n    pass\n") == {"test_a": ("sso", "git")}


def test_the_head_of_a_file_says_it_for_all_of_its_tests():
    assert needed("# needs: git\ndef test_a():\n    pass\n") == {"test_a": ("git",)}
    assert needed("# needs: sso, git\n- debug:\n", "a.yml") == {"a": ("sso", "git")}
    assert needed("- debug:\n# needs: sso\n", "a.yml") == {"a": ()}, "only the head counts"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- m: {facts_of: sso}\n", ("sso",)),
        ("- m: {facts_of: '{{ x }}'}\n", ("sso", "git")),
        ("- m: {url: '{{ ccci_deps | length }}'}\n", ("sso", "git")),
        ("- m: {url: '{{ my_ccci_deps }}'}\n", ()),
        ('- m: {"facts_of": git}\n', ("git",)),
        ("- ccci_assert_oidc: facts_of=sso\n", ("sso",)),
        ("- ansible.builtin.include_tasks: ../shared.yml\n", ("sso", "git")),
    ],
)
def test_task_files(text, found):
    assert needed(text, "a.yml") == {"a": found}


def test_a_dep_that_is_not_there_is_told_with_its_place():
    (test,) = discovered("demo", {"/t/test_x.py": "\ndef test_a(deps):\n    deps.ssso\n"})
    with pytest.raises(UsageError, match=r"/t/test_x.py:2 needs the dep 'ssso'") as caught:
        needs(test.uses, DEPS, test.path)
    assert "sso" in caught.value.expected
    with pytest.raises(UsageError, match="names none"):
        needs(test.uses, [], test.path)


def test_tasks_from_elsewhere_need_nothing_where_there_is_nothing():
    (test,) = discovered("demo", {"/t/x.yml": "- ansible.builtin.include_tasks: ../shared.yml\n"})
    assert needs(test.uses, [], test.path) == ()
