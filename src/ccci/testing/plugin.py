"""The pytest plugin for recipe tests: fixtures, and a file with what became of each test.

The module ccci_pytest loads it with `-p ccci.testing.plugin`. Outside a run it only says that there is no app.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ccci.testing import deps as dep_facts
from ccci.testing.app import App
from ccci.testing.context import VARIABLE, Context, load_if_run, write_line
from ccci.testing.pages import AppPage, Pages

EVIDENCE_LIMIT = 4000  # characters
# Not the recipe's fault: the controller has no browser, the node or the ingress cannot be reached.
OURS = ("NoBrowserError", "NodeError", "ConnectTimeout")
OUR_IDS = ("browser-transient",)
RETRIES = 20  # lines
_NO_REASON = ("", "unconditional skip", "skipped")
RECORDER = "ccci-recorder"
FIXTURE = "deps"
_pages_key = pytest.StashKey[Pages]()


@pytest.fixture(scope="session")
def ccci_context() -> Context:
    context = load_if_run()
    if context is None:
        pytest.fail(f"{VARIABLE} is not set: recipe tests run inside `ccci play`", pytrace=False)
    return context


@pytest.fixture(scope="session")
def app(ccci_context: Context, request: pytest.FixtureRequest) -> App:
    """The deployed app: domain, url, version, http(), exec_in(service, argv), sidecar(image, argv), converges(),
    secret(name)."""
    recorder = request.config.pluginmanager.get_plugin(RECORDER)
    return App(ccci_context, recorder.journal if recorder else None)


@pytest.fixture(scope="session")
def deps(ccci_context: Context) -> dep_facts.Facts:
    """What the recipe's deps provide, by their names: `deps.sso.issuer`, `deps.sso.user.password`."""
    return dep_facts.load(ccci_context)


@pytest.fixture(scope="session")
def ccci_browser(ccci_context: Context) -> Iterator[Any]:
    """One browser for all tests of a run."""
    from ccci_probe.browser import browser

    with browser(ccci_context.ingress_address or None, ccci_context.spki_file or None) as made:
        yield made


@pytest.fixture
def ccci_pages(ccci_browser: Any, ccci_context: Context, request: pytest.FixtureRequest) -> Iterator[Pages]:
    pages = Pages(ccci_browser, ccci_context)
    request.node.stash[_pages_key] = pages
    yield pages
    pages.close()


@pytest.fixture
def page(ccci_pages: Pages) -> AppPage:
    """A page of a fresh browser context, with goto_with_retry, find_in_frames, find_text, keep_picture and console."""
    return ccci_pages.fresh()


@pytest.fixture
def fresh_context(ccci_pages: Pages) -> Callable[[], AppPage]:
    """Makes a further page in a browser context of its own, for what another person would see."""
    return ccci_pages.fresh


def pytest_configure(config: pytest.Config) -> None:
    context = load_if_run()
    if context is not None:
        config.pluginmanager.register(Recorder(context, config.rootpath), RECORDER)


class Recorder:
    """Writes what happens as it happens, so that a test that never ends is known by name."""

    def __init__(self, context: Context, root: Path) -> None:
        self._context, self._root = context, root
        self._prefixes = {Path(test["path"]).resolve(): test["id"].rpartition(".")[0] for test in context.tests}
        self._began: dict[str, float] = {}
        self._worst: dict[str, dict[str, Any]] = {}
        self._asks_for_deps: set[str] = set()
        self.journal: list[str] = []  # retries of the test that is running

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        # Pytest knows better than our reading of the text, however a fixture was made.
        self._asks_for_deps = {item.nodeid for item in session.items if FIXTURE in getattr(item, "fixturenames", ())}
        self._write({"discovered": [self._id(item.nodeid) for item in session.items]})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write({"broken": report.nodeid, "evidence": str(report.longrepr)[-EVIDENCE_LIMIT:]})

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._began[nodeid] = time.time()
        self.journal.clear()
        self._write({"started": self._id(nodeid)})

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
        outcome = yield
        report = outcome.get_result()
        error = call.excinfo.value if call.excinfo is not None else None
        report.ccci_asserted = isinstance(error, AssertionError | pytest.fail.Exception)
        report.ccci_failure = {name: getattr(error, name, None) for name in ("failure_id", "service")}
        pages = item.stash.get(_pages_key, None)
        if pages is None:
            return
        if report.when == "call" and report.failed and pages.open:
            self._picture(item.name, pages.open[-1])
        if report.when == "call":
            report.ccci_artefacts = list(pages.kept)
            report.ccci_console = "\n".join(page.console.told() for page in pages.open).strip()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        known = self._worst.get(report.nodeid)
        red = known is not None and known["outcome"] in ("fail", "error")
        if (report.when == "call" and known is None) or report.skipped or (report.failed and not red):
            self._worst[report.nodeid] = known = self._result(report)
        if report.when == "teardown" and known is not None:
            began = self._began.get(report.nodeid, time.time())
            self._write({"result": {**known, "start": round(began, 3), "end": round(time.time(), 3)}})

    def _picture(self, name: str, page: AppPage) -> None:
        from playwright.sync_api import Error

        try:
            page.keep_picture(f"{name}-failed", f"{name}, when it failed")
        except Error:
            return  # the page is gone; the test's own failure says more

    def _id(self, nodeid: str) -> str:
        """The plan's id. The file tells a test of the pull request from the recipe's own of the same name."""
        place, _, test = nodeid.partition("::")
        prefix = self._prefixes.get((self._root / place).resolve(), self._context.recipe)
        return f"{prefix}.{test.partition('[')[0].rpartition('::')[2]}"

    def _result(self, report: pytest.TestReport) -> dict[str, Any]:
        outcome, observed, evidence = _judged(report)
        named = {name: value for name, value in getattr(report, "ccci_failure", {}).items() if isinstance(value, str)}
        if outcome == "fail" and named.get("failure_id") in OUR_IDS:
            outcome = "error"
        unproved = {"failure_id": "skip-goes-green"} if report.nodeid in self._asks_for_deps else {}
        console = getattr(report, "ccci_console", "")
        retries = "\n".join(self.journal[-RETRIES:])
        texts = [
            evidence, f"retries:\n{retries}" if retries else "", f"console of the page:\n{console}" if console else "",
            report.caplog,
        ]  # fmt: skip
        kept = "\n".join(text for text in texts if text)[-EVIDENCE_LIMIT:]
        fields = {"expected": "the test passes" if outcome in ("fail", "error") else None, "observed": observed}
        check = report.nodeid.partition("[")[2].rstrip("]") or None
        named = {"pass": {}, "skip": unproved}.get(outcome, named)
        return {
            "id": self._id(report.nodeid), "outcome": outcome, "check": check, "evidence": kept or None, **fields,
            "artefacts": getattr(report, "ccci_artefacts", []), **named,
        }  # fmt: skip

    def _write(self, line: dict[str, Any]) -> None:
        write_line(self._context, line)


def _judged(report: pytest.TestReport) -> tuple[str, str | None, str]:
    """Outcome, observed, evidence."""
    expected_failure = getattr(report, "wasxfail", None)
    if expected_failure is not None:
        reason = f"expected to fail: {expected_failure.removeprefix('reason: ')}"
        if report.passed:
            return "fail", f"it passed, although it is marked as {reason}", ""
        return ("skip", None, reason) if expected_failure.strip() else ("error", "xfail without a reason", "")
    if report.skipped:
        told = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = told.removeprefix("Skipped: ").removeprefix("Skipped").strip()
        return ("error", "skipped without a reason", "") if reason.lower() in _NO_REASON else ("skip", None, reason)
    if report.passed:
        return "pass", None, ""
    crash = getattr(report.longrepr, "reprcrash", None)
    said = crash.message if crash is not None else report.longreprtext
    first = said.strip().split("\n")[0]
    shown = first if len(first) <= 600 else f"{first[:600]}…"  # the mark, so that half a secret is known as one
    kind = first.partition(":")[0].rpartition(".")[2]
    # What a fixture asserts is said of the app; whatever else goes wrong in one is the test's own trouble.
    asserted = report.when == "call" or getattr(report, "ccci_asserted", False)
    outcome = "fail" if asserted and kind not in OURS else "error"
    where = f" ({Path(crash.path).name}:{crash.lineno})" if crash is not None else ""
    return outcome, f"{shown}{where}", report.longreprtext[-EVIDENCE_LIMIT:]
