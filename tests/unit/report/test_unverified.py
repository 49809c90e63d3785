"""Runs with deps: what is skipped is never green, an end explains what came after it, and deps are told readably."""

from __future__ import annotations

import copy
import json
import textwrap
from pathlib import Path
from typing import Any

import life
import pytest
from life import START, fact, result, stopped_at, task
from rich.console import Console

from ccci.plan import tests_discovery
from ccci.plan.expected import DepShape
from ccci.plan.needs import needs
from ccci.report import html, junit, terminal
from ccci.report.result import compute
from ccci.schemas import check
from ccci_probe import pytest_run

SSO, FORGE = DepShape("sso", 0, "sso (idp)", ready=True), DepShape("git", 1, "git (forge)")
APP, IDP = "cust-c12afe_ci_test", "idpx-aaaaaa_ci_test"


def plan(*deps: DepShape, tests: list[dict[str, Any]] | None = None, **shape: Any) -> dict[str, Any]:
    made = life.plan(deps=deps or (SSO,), **shape)
    made["deps"] = [
        {
            "key": dep.key, "as": dep.key, "kind": {"sso": "sso", "git": "forge"}[dep.key], "recipe": {"name": "idp"},
            "head": {"version": "1.1.0+2", "commit": "c" * 40}, "app": {"domain": f"{dep.key}.ci.test"},
        }
        for dep in (deps or (SSO,))
    ]  # fmt: skip
    names = [item["id"] for item in made["expected"] if item["tier"] == "custom"]
    made["tests"] = tests if tests is not None else [{"id": names[0], "needs": ["sso"]}, {"id": names[1], "needs": []}]
    made["login"] = {"through": "sso"} if shape.get("login") else None
    apps = [{"name": "sso", "stack": IDP}, {"name": "app", "stack": APP}]
    made["scope"] = {"deploys": 1 + len(made["deps"]), "apps": apps}
    return made


def green(made: dict[str, Any]) -> list[dict[str, Any]]:
    stream = life.green(made)
    for event in stream:
        if event.get("name") == "deploys":
            event["value"] = {IDP: 1, APP: 1}
    return stream


def with_outcome(stream: list[dict[str, Any]], name: str, outcome: str, **more: Any) -> list[dict[str, Any]]:
    return [{**event, "outcome": outcome, **more} if event.get("id") == name else event for event in stream]


def outcomes(made: dict[str, Any], stream: list[dict[str, Any]]) -> dict[str, str]:
    return {item.id: item.outcome for tier in compute(made, stream).tiers for item in tier.assertions}


def test_a_run_with_deps_is_green_and_names_them():
    made = plan()
    found = compute(made, green(made))
    assert (found.verdict, found.exit_code) == ("pass", 0)
    assert found.deps == (
        {
            "key": "sso",
            "recipe": "idp",
            "version": "1.1.0+2",
            "commit": "c" * 40,
            "domain": "sso.ci.test",
            "warm": False,
        },
    )
    assert check.problems("result", found.to_json()) == []


def test_a_skipped_test_that_needs_a_dep_is_an_error_and_the_tiers_keep_theirs():
    made = plan()
    name = made["tests"][0]["id"]
    found = compute(made, with_outcome(green(made), name, "skip", evidence="no browser here"))
    assert (found.verdict, found.exit_code, found.failure_id) == ("error", 3, "skip-goes-green")
    assert found.cause == f"{name}: SSO UNVERIFIED: {name} was skipped (no browser here)"
    assert {tier.tier: tier.verdict for tier in found.tiers} == {
        "prepare": "pass", "install": "pass", "upgrade": "pass", "backup": "pass", "restore": "pass",
        "custom": "error", "teardown": "pass",
    }  # fmt: skip


def test_a_skipped_test_that_needs_nothing_stays_a_skip():
    made = plan()
    name = made["tests"][1]["id"]
    found = compute(made, with_outcome(green(made), name, "skip", evidence="no camera"))
    assert found.verdict == "pass"
    assert outcomes(made, with_outcome(green(made), name, "skip", evidence="no camera"))[name] == "skip"


def test_the_kinds_of_all_deps_in_question_are_told():
    made = plan(SSO, FORGE)
    made["tests"][0]["needs"] = ["sso", "git"]
    found = compute(made, with_outcome(green(made), made["tests"][0]["id"], "skip", evidence="x"))
    assert "SSO AND FORGE UNVERIFIED" in str(found.cause)


@pytest.mark.parametrize("name", ["install.login", "upgrade.login", "restore.login", "install.sso.provided"])
def test_a_skipped_login_or_provision_is_an_error_too(name):
    made = plan(login=True)
    found = compute(made, with_outcome(green(made), name, "skip", evidence="not now"))
    assert (found.verdict, found.exit_code) == ("error", 3)
    assert f"SSO UNVERIFIED: {name} was skipped (not now)" in str(found.cause)


def test_a_warm_dep_that_goes_on_with_a_kept_app_is_no_proof_that_is_missing():
    made = plan(DepShape("sso", 0, "sso (idp)", warm=True))
    kept = compute(made, with_outcome(green(made), "teardown.sso.withdrawn", "skip", evidence="the app is kept"))
    assert kept.verdict == "pass", kept.cause
    failed = compute(made, with_outcome(green(made), "teardown.sso.withdrawn", "error", observed="still there"))
    assert (failed.verdict, failed.exit_code) == ("error", 3)


def test_one_skip_among_the_checks_of_a_test_is_enough():
    made = plan()
    name = made["tests"][0]["id"]
    more = result(name, "custom", "skip", check="second", evidence="got empty parameter set")
    stream = green(made)
    stream.insert(-4, more)
    assert outcomes(made, stream)[name] == "error"


# Every way in which a recipe's test can be skipped, with real pytest.

WAYS = {
    "in the function": "import pytest\ndef test_it(deps):\n    pytest.skip('no provider')\n",
    "mark": "import pytest\n@pytest.mark.skip(reason='later')\ndef test_it(deps):\n    pass\n",
    "mark without a reason": "import pytest\n@pytest.mark.skip\ndef test_it(deps):\n    pass\n",
    "skipif": "import pytest\n@pytest.mark.skipif(True, reason='not here')\ndef test_it(deps):\n    pass\n",
    "mark of the file": "import pytest\npytestmark = pytest.mark.skip(reason='x')\ndef test_it(deps):\n    pass\n",
    "module": "import pytest\npytest.skip('x', allow_module_level=True)\ndef test_it(deps):\n    pass\n",
    "importorskip": "import pytest\npytest.importorskip('no_such_module')\ndef test_it(deps):\n    pass\n",
    "fixture": """
        import pytest
        @pytest.fixture
        def session(deps):
            pytest.skip('no session')
        def test_it(session):
            pass
    """,
    "fixture for all": """
        import pytest
        @pytest.fixture(autouse=True)
        def provider(deps):
            pytest.skip('not ready')
        def test_it():
            pass
    """,
    "usefixtures": "import pytest\n@pytest.mark.usefixtures('deps')\ndef test_it():\n    pytest.skip('x')\n",
    "getfixturevalue": """
        import pytest
        def test_it(request):
            pytest.skip('x')
            request.getfixturevalue('deps')
    """,
    "getfixturevalue of whatever": """
        import pytest
        def test_it(request):
            pytest.skip('x')
            request.getfixturevalue(NAME)
    """,
    "unittest": "import unittest\ndef test_it(deps):\n    raise unittest.SkipTest('x')\n",
    "xfail": "import pytest\n@pytest.mark.xfail(reason='a bug')\ndef test_it(deps):\n    assert False\n",
    "xfail without a run": "import pytest\n@pytest.mark.xfail(run=False, reason='x')\ndef test_it(deps):\n    pass\n",
    "xfail that passes": "import pytest\n@pytest.mark.xfail(reason='a bug')\ndef test_it(deps):\n    pass\n",
    "xfail from inside": "import pytest\ndef test_it(deps):\n    pytest.xfail('a bug')\n",
    "empty parameters": "import pytest\n@pytest.mark.parametrize('n', [])\ndef test_it(deps, n):\n    pass\n",
    "one of the parameters": """
        import pytest
        @pytest.mark.parametrize('n', [1, 2])
        def test_it(deps, n):
            if n == 1:
                pytest.skip('x')
    """,
    "not collected": "def test_it(deps):\n    pass\ntest_it.__test__ = False\n",
    "deleted": "def test_it(deps):\n    pass\ndel test_it\n",
    "replaced": "def test_it(deps):\n    pass\ntest_it = None\n",
    "the run ends with 0": "import os\ndef test_it(deps):\n    os._exit(0)\n",
    "pytest ends with 0": "import pytest\ndef test_it(deps):\n    pytest.exit('done', returncode=0)\n",
    "the head says it": "# needs: sso\nimport pytest\ndef test_it():\n    pytest.skip('no provider')\n",
    "facts are missing": "def test_it(deps):\n    assert deps.sso.issuer\n",
}
DESELECTS = "def pytest_collection_modifyitems(config, items):\n    items[:] = []\n"
SKIPS = "import pytest\n@pytest.fixture\ndef session(deps):\n    pytest.skip('x')\n"


# Ways in which the text alone does not tell that a dep is needed; pytest knows.
HIDDEN = {
    "a fixture by another name": """
        from pytest import fixture as made, skip
        @made
        def session(deps):
            skip('no session')
        def test_it(session):
            pass
    """,
    "a fixture that was called": """
        import pytest
        def _session(deps):
            pytest.skip('no session')
        session = pytest.fixture(_session)
        def test_it(session):
            pass
    """,
    "usefixtures in a variable": """
        import pytest
        mark = pytest.mark.usefixtures('deps')
        @mark
        def test_it():
            pytest.skip('x')
    """,
    "an annotated mark of the file": """
        import pytest
        pytestmark: list = [pytest.mark.usefixtures('deps')]
        def test_it():
            pytest.skip('x')
    """,
}


def judged_after(folder: Path, text: str, conftest: str = "", in_text: bool = True) -> Any:
    """The result of a run whose custom tier is this test file, played by a real pytest. `in_text`: whether its text
    tells the planner that it needs a dep."""
    files = {str(folder / "test_it.py"): textwrap.dedent(text)}
    files |= {str(folder / "conftest.py"): conftest} if conftest else {}
    for path, content in files.items():
        Path(path).write_text(content)
    (test,) = tests_discovery.tests_of("custom-html", files)
    needed = list(needs(test.uses, ["sso"], test.path))
    assert needed == (["sso"] if in_text else [])
    made = plan(tests=[{"id": test.id, "needs": needed}])
    made["expected"] = [item for item in made["expected"] if item["tier"] != "custom"]
    made["expected"].insert(-4, {"id": test.id, "tier": "custom", "kind": "assertion", "title": test.id})
    about = {"recipe": "custom-html", "domain": "a.ci.test", "url": "https://a", "stack": "s", "version": None}
    done = pytest_run.run(
        [test.path], {**about, "run_dir": str(folder), "tests": [{"id": test.id, "path": test.path}]}, 60
    )
    results, _ = pytest_run.judge(done, [test.id], 60)
    stream = [event for event in green(made) if event.get("id") != test.id]
    place = next(index for index, event in enumerate(stream) if event.get("tier") == "teardown")
    at = stream[place]["at"]
    events = [result(one.pop("id"), "custom", one.pop("outcome"), **{**one, "at": at}) for one in results]
    return compute(made, [*stream[:place], *events, task("custom", at, "ok", "ccci_pytest"), *stream[place:]])


@pytest.mark.parametrize("way", WAYS)
def test_no_skip_of_a_test_that_needs_a_dep_goes_green(tmp_path, way):
    found = judged_after(tmp_path, WAYS[way])
    assert found.verdict != "pass"
    assert found.exit_code in (1, 3)
    assert {tier.tier: tier.verdict for tier in found.tiers}["install"] == "pass", "others keep their verdicts"


@pytest.mark.parametrize("way", HIDDEN)
def test_pytest_sees_what_the_text_does_not_tell(tmp_path, way):
    found = judged_after(tmp_path, HIDDEN[way], in_text=False)
    assert (found.verdict, found.exit_code) == ("error", 3), way
    assert "SSO UNVERIFIED" in str(found.cause)


def test_the_same_test_is_green_when_it_runs(tmp_path):
    assert judged_after(tmp_path, "def test_it(deps):\n    assert True\n").verdict == "pass"


def test_a_deselected_test_is_red(tmp_path):
    assert judged_after(tmp_path, "def test_it(deps):\n    pass\n", DESELECTS).exit_code == 3


def test_a_skipping_fixture_of_conftest_is_red(tmp_path):
    found = judged_after(tmp_path, "def test_it(session):\n    pass\n", SKIPS)
    assert "SSO UNVERIFIED: custom-html.test_it was skipped (x)" in str(found.cause)


@pytest.mark.parametrize(
    "text",
    [
        "- ccci_assert_oidc: {facts_of: sso}\n",
        "# needs: sso\n- ccci_record: {outcome: skip, evidence: x}\n",
    ],
)
def test_a_task_file_that_records_a_skip_is_red(text):
    (test,) = tests_discovery.tests_of("custom-html", {"/x/tests/login.yml": text})
    assert needs(test.uses, ["sso", "git"], test.path) == ("sso",)
    made = plan(tests=[{"id": life.TESTS[0], "needs": ["sso"]}])
    stream = with_outcome(green(made), life.TESTS[0], "skip", evidence="x", check="one")
    assert compute(made, stream).exit_code == 3


def test_a_task_file_that_runs_nothing_is_red():
    made = plan()
    name = made["tests"][0]["id"]
    stream = [event for event in green(made) if event.get("id") != name]
    found = compute(made, stream)
    assert (found.verdict, outcomes(made, stream)[name]) == ("error", "missing")


# What an end explains.


@pytest.mark.parametrize(
    "name", ["install.sso.deploy", "install.sso.converged", "install.sso.provided", "install.git.health"]
)
def test_a_dep_that_fails_explains_everything_after_it_and_nothing_is_missing(name):
    made = plan(SSO, FORGE)
    stream = with_outcome(stopped_at(made, name), "teardown.deploy_count", "skip", evidence="the run ended early")
    for event in stream:
        if event.get("name") == "deploys":
            event["value"] = {IDP: 1}
    found = compute(made, stream)
    assert found.verdict == "fail"
    assert str(found.cause).startswith(f"{name}: ")
    assert "missing" not in outcomes(made, stream).values()
    assert outcomes(made, stream)["install.deploy"] == "not reached"


def test_the_apps_images_are_not_missing_when_the_first_dep_is_not_deployed():
    made = plan()
    assert outcomes(made, stopped_at(made, "install.sso.deploy"))["prepare.images_pulled"] == "not reached"
    assert outcomes(made, stopped_at(made, "install.sso.converged"))["prepare.images_pulled"] == "pass"


def test_a_broken_task_of_a_dep_explains_the_apps_images():
    made = plan()
    kept = [item for item in stopped_at(made, "install.sso.deploy") if item.get("id") != "install.sso.deploy"]
    assert outcomes(made, kept)["prepare.images_pulled"] == "not reached"


def test_a_dep_that_never_reported_is_missing():
    made = plan()
    stream = [event for event in green(made) if event.get("id") != "install.sso.provided"]
    assert outcomes(made, stream)["install.sso.provided"] == "missing"
    assert compute(made, stream).exit_code == 3


# How often things were deployed.


def test_each_app_is_deployed_once_even_when_the_sum_is_right():
    made = plan()
    stream = [*green(made), fact("teardown", "deploys", {IDP: 2, APP: 0}, START + 900)]
    found = compute(made, stream)
    (item,) = [one for tier in found.tiers for one in tier.assertions if one.id == "teardown.deploy_count"]
    assert (item.outcome, item.observed, item.failure_id) == ("fail", "sso 2, app 0", "redeploy-flake")
    assert found.deploys == {"due": 2, "made": 2}


# How deps are told.


def test_renderers_tell_deps_by_their_names(tmp_path):
    made = plan()
    stream = with_outcome(green(made), "install.sso.health", "fail", observed="status 500", service="sso-app")
    images = [fact("prepare", "images", {"head": ["app:1"]}), fact("prepare", "sso.images", {"head": ["idp:2"]})]
    stream[1:1] = images
    found = compute(made, stream)
    data = json.loads(json.dumps(found.to_json()))
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    terminal.print_result(found, console)
    text = console.export_text()
    assert "install.sso.health  sso (idp): the app answers its health check" in text
    assert "dep       sso: idp 1.1.0+2" in text
    page = html.render(data, stream, tmp_path)
    assert "sso (idp): the app answers its health check" in page
    assert "sso head" in page
    assert "idp:2" in page
    assert 'classname="custom-html.install.sso"' in junit.render(data)
    assert found.reproduce == "ccci play custom-html --pr 2 --tags install"


def test_an_older_plan_without_deps_is_still_reported():
    made = life.plan()
    before = copy.deepcopy(made)
    assert compute(made, life.green(made)).deps == ()
    assert made == before
