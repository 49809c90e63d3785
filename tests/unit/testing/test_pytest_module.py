"""The pytest plugin and the run around it, with real pytest processes; nothing may go green unseen."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from webserver import Site

from ccci_probe.pytest_run import judge, run


def play(folder: Path, text: str, *expected: str, limit: float = 60, **context: Any) -> dict[str, dict[str, Any]]:
    """Runs a test file; `{name: result}`, names without the recipe. The worst of several results stays."""
    file = folder / "tests" / "test_it.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(textwrap.dedent(text))
    about = {"recipe": "demo", "domain": "app.ci.test", "url": "https://app.ci.test", "stack": "s", "version": None}
    done = run([str(file)], {**about, **context}, limit)
    results, artefacts = judge(done, [f"demo.{name}" for name in expected], limit)
    found: dict[str, dict[str, Any]] = {}
    for one in results:
        name = one["id"].removeprefix("demo.")
        if name not in found or one["outcome"] != "pass":
            found[name] = {**one, "all_artefacts": artefacts}
    return found


def test_each_function_is_one_result(tmp_path: Path) -> None:
    found = play(
        tmp_path,
        """
        import pytest

        def test_good(app):
            assert app.domain == "app.ci.test"

        def test_bad():
            value = {"status": "down"}
            assert value["status"] == "ok", "the status is wrong"

        def test_raises():
            raise ValueError("no such thing")

        @pytest.mark.parametrize("n", [1, 2, 3])
        def test_many(n):
            assert n != 2

        class TestGroup:
            def test_inside(self):
                pass
        """,
        "test_good", "test_bad", "test_raises", "test_many", "test_inside",
    )  # fmt: skip
    assert {name: one["outcome"] for name, one in found.items()} == {
        "test_good": "pass", "test_bad": "fail", "test_raises": "fail", "test_many": "fail", "test_inside": "pass",
    }  # fmt: skip
    assert found["test_bad"]["observed"].startswith("AssertionError: the status is wrong (test_it.py:")
    assert "assert 'down' == 'ok'" in found["test_bad"]["evidence"]
    assert found["test_many"]["check"] == "2"
    assert found["test_good"]["end"] >= found["test_good"]["start"]


def test_skips_and_expected_failures_need_reasons(tmp_path: Path) -> None:
    found = play(
        tmp_path,
        """
        import pytest

        def test_reason():
            pytest.skip("the plan has no mail server")

        def test_none():
            pytest.skip()

        @pytest.mark.skip
        def test_mark():
            pass

        @pytest.mark.xfail(reason="known upstream")
        def test_known():
            assert False

        @pytest.mark.xfail(reason="was broken")
        def test_healed():
            pass
        """,
    )
    assert {name: one["outcome"] for name, one in found.items()} == {
        "test_reason": "skip", "test_none": "error", "test_mark": "error", "test_known": "skip", "test_healed": "fail",
    }  # fmt: skip
    assert found["test_reason"]["evidence"] == "the plan has no mail server"


def test_what_is_expected_and_does_not_report_is_red(tmp_path: Path) -> None:
    found = play(tmp_path, "def test_here():\n    pass\n", "test_here", "test_gone")
    assert (found["test_here"]["outcome"], found["test_gone"]["outcome"]) == ("pass", "error")
    assert "not discovered" in found["test_gone"]["observed"]
    assert found["test_gone"]["failure_id"] == "stale-checkout"
    broken = play(tmp_path, "import no_such_module\ndef test_here():\n    pass\n", "test_here")
    assert (broken["test_here"]["outcome"], broken["test_here"]["observed"]) == ("error", "its file cannot be loaded")
    assert "no_such_module" in broken["test_here"]["evidence"]
    dead = play(
        tmp_path, "import os\ndef test_here():\n    os._exit(0)\ndef test_next():\n    pass\n", "test_here", "test_next"
    )
    assert [dead[name]["outcome"] for name in ("test_here", "test_next")] == ["error", "error"]
    assert "in the middle of it" in dead["test_here"]["observed"]
    empty = play(tmp_path, "X = 1\n", "test_here")
    assert empty["test_here"]["outcome"] == "error"


def test_broken_fixtures_are_no_fault_of_the_recipe(tmp_path: Path) -> None:
    found = play(
        tmp_path,
        """
        import pytest

        @pytest.fixture
        def broken():
            raise RuntimeError("no")

        @pytest.fixture
        def dirty():
            yield
            raise RuntimeError("cannot clean up")

        def test_setup(broken):
            pass

        def test_teardown(dirty):
            pass

        def test_both(dirty):
            assert 1 == 2
        """,
    )
    assert [found[name]["outcome"] for name in ("test_setup", "test_teardown", "test_both")] == [
        "error",
        "error",
        "fail",
    ]


def test_what_a_fixture_asserts_is_said_of_the_app(tmp_path: Path) -> None:
    found = play(
        tmp_path,
        """
        import pytest

        @pytest.fixture
        def owner():
            assert 500 == 200, "the owner is not let in"

        @pytest.fixture
        def guest():
            pytest.fail("the guest is not let in")

        @pytest.fixture
        def target():
            yield
            assert False, "the target was gone before it was stopped"

        def test_owner(owner):
            pass

        def test_guest(guest):
            pass

        def test_target(target):
            pass
        """,
    )
    assert {name: found[name]["outcome"] for name in ("test_owner", "test_guest", "test_target")} == {
        "test_owner": "fail", "test_guest": "fail", "test_target": "fail",
    }  # fmt: skip
    assert "the owner is not let in" in found["test_owner"]["observed"]


def test_a_test_that_never_ends_is_named(tmp_path: Path) -> None:
    text = """
    import subprocess

    def test_quick():
        pass

    def test_hangs():
        subprocess.run(["sleep", "300"])

    def test_later():
        pass
    """
    found = play(tmp_path, text, "test_quick", "test_hangs", "test_later", limit=15)
    assert [found[name]["outcome"] for name in ("test_quick", "test_hangs", "test_later")] == ["pass", "fail", "error"]
    assert (found["test_hangs"]["observed"], found["test_hangs"]["failure_id"]) == (
        "still running after 15 s", "interactive-hang",
    )  # fmt: skip


def test_a_pull_requests_tests_and_the_recipes_own_may_have_the_same_names(tmp_path: Path) -> None:
    """Nothing but the folder tells them apart: neither may stand for the other."""
    files, text = [], "import helper_{0}\n\ndef test_same():\n    assert '{0}' == 'own'\n"
    for folder, prefix in (("own", "demo"), ("pr_tests", "demo.pr")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "conftest.py").write_text(
            "import pathlib, sys\nsys.path.insert(0, str(pathlib.Path(__file__).parent))\n"
        )
        (tmp_path / folder / f"helper_{folder}.py").touch()
        (tmp_path / folder / "test_it.py").write_text(text.format(folder))
        files.append({"id": f"{prefix}.test_same", "path": str(tmp_path / folder / "test_it.py")})
    for ordered in (files, files[::-1]):
        paths, ids = [[test[key] for test in ordered] for key in ("path", "id")]
        about = {"recipe": "demo", "domain": "d", "url": "https://d", "stack": "s", "version": None, "tests": ordered}
        results, _ = judge(run(paths, about, 60), ids, 60)
        assert {one["id"]: one["outcome"] for one in results} == {"demo.test_same": "pass", "demo.pr.test_same": "fail"}


def test_failures_that_have_a_name_keep_it(tmp_path: Path) -> None:
    found = play(
        tmp_path,
        """
        from ccci.testing.node import NodeError, NotConverged, WrongService
        from ccci_probe.browser import Late

        def test_service(app):
            raise WrongService("no service 'db'; it has: postgres", "wrong-service", "db")

        def test_stack(app):
            raise NotConverged("worker exits with 1", "crash-loop", "worker")

        def test_frame():
            raise Late("#editor is not visible", "cold-frame")

        def test_network():
            raise Late("net::ERR_NETWORK_CHANGED", "browser-transient")

        def test_node():
            raise NodeError("Docker does not answer")
        """,
    )
    told = {name: (one["outcome"], one.get("failure_id"), one.get("service")) for name, one in found.items()}
    assert told == {
        "test_service": ("fail", "wrong-service", "db"), "test_stack": ("fail", "crash-loop", "worker"),
        "test_frame": ("fail", "cold-frame", None), "test_network": ("error", "browser-transient", None),
        "test_node": ("error", None, None),
    }  # fmt: skip
    assert "it has: postgres" in found["test_service"]["observed"]


def test_tests_see_no_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_TOKEN", "hunter2hunter2")
    found = play(tmp_path, "import os\ndef test_env():\n    assert 'CI_TOKEN' not in os.environ\n")
    assert found["test_env"]["outcome"] == "pass"


def test_the_app_is_reached_and_looked_at(site: Site, tmp_path: Path, authority: tuple[Path, Path, Path]) -> None:
    site.answers["/api"] = lambda count: (
        (200, {"Content-Type": "application/json"}, b"{}") if count > 1 else (503, {}, b"")
    )
    (tmp_path / "secrets.json").write_text('{"admin": "s3cret-value"}')
    found = play(
        tmp_path,
        """
        import pytest

        def test_http(app):
            http = app.http(retry_for=20)
            assert http.get("/api").json() == {}
            assert http.get("/none").status_code == 404
            assert len(http.retried) == 2, http.retried

        def test_retries_are_this_tests_own(app):
            pass

        def test_secret(app):
            assert app.secret("admin") == "s3cret-value"
            with pytest.raises(KeyError, match="this run made admin"):
                app.secret("other")

        def test_page(app, page, fresh_context):
            page.goto_with_retry(app.url)
            assert page.title() == "A page"
            frame, element = page.find_in_frames("#deep", retry_for=10)
            assert element.inner_text() == "Inside the frame"
            page.keep_picture("page", "The page")
            page.context.add_cookies([{"name": "a", "value": "b", "url": app.url}])
            assert fresh_context().context.cookies() == []
            assert not page.console.errors

        def test_looks_wrong(app, page):
            page.goto_with_retry(app.url)
            assert page.title() == "Another page"
        """,
        url=site.url().rstrip("/"), ingress_address="127.0.0.1", ca_file=site.ca_file, spki_file=str(authority[2]),
        run_dir=str(tmp_path),
    )  # fmt: skip
    outcomes = {name: one["outcome"] for name, one in found.items()}
    assert outcomes == {
        "test_http": "pass",
        "test_retries_are_this_tests_own": "pass",
        "test_secret": "pass",
        "test_page": "pass",
        "test_looks_wrong": "fail",
    }, found
    retries = found["test_http"]["evidence"].splitlines()
    assert (retries[0], len(retries)) == ("retries:", 3)
    assert retries[1].startswith("after 0.")
    assert retries[1].endswith("/api: status 503:")
    assert "evidence" not in found["test_retries_are_this_tests_own"]
    assert {one["path"] for one in found["test_page"]["all_artefacts"]} == {
        "screenshots/page.png", "screenshots/test_looks_wrong-failed.png",
    }  # fmt: skip
    assert (tmp_path / "screenshots/test_looks_wrong-failed.png").is_file()


def test_a_service_that_cannot_be_reached_says_why(tmp_path: Path) -> None:
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"ccci_controller": local, "here": local}}}))
    scope = {"run": "none", "stack": "g-no-such-stack", "lease": 60}
    found = play(
        tmp_path,
        """
        from ccci.testing.node import NodeError

        def test_exec(app):
            try:
                app.exec_in("app", ["echo", "{{ lookup('pipe', 'id') }}"])
            except NodeError as error:
                assert "uid=" not in str(error)
                raise
        """,
        inventory=str(tmp_path / "hosts.yml"), node="here", scope=scope,
    )  # fmt: skip
    assert found["test_exec"]["outcome"] == "error"
    assert "NodeError: echo {{ lookup('pipe', 'id') }} in app: " in found["test_exec"]["observed"]
