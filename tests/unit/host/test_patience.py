"""The modules that clean, on a node whose Docker is away, or where a run begins at the same moment."""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[3]
RUN, OTHER = "20260101-000000-demo-c12afe", "20260101-000100-demo-bbbbbb"
OURS = ("ccci_run_lock", "ccci_teardown", "ccci_converge")
LIFELESS = [("deploy_count", "skip"), ("stayed_up", "skip"), ("removed", "pass")]
AWAY = "Docker does not answer on /var/run/docker.sock: Connection refused"


class End(Exception):  # noqa: N818 - it is how a module ends
    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer


class Module:
    """What AnsibleModule gives a module, with the options of one call."""

    check_mode = False

    def __init__(self, **params: Any) -> None:
        filled = {"cursor": {}, "expired": False, "slice_seconds": 0, "gone": [], "holder": {}, "keep_if_red": False,
                  "half_made_by": ""}  # fmt: skip
        self.params = {**filled, **params}

    def exit_json(self, **answer: Any) -> None:
        raise End(answer)

    def fail_json(self, **answer: Any) -> None:
        raise End({"failed": True, **answer})


class Engine:
    """The configs of a swarm, and nothing else. `before(path)` runs before each answer and may raise."""

    def __init__(self, error: type[Exception]) -> None:
        self.configs: dict[str, dict[str, Any]] = {}
        self.before: Callable[[str], None] = lambda path: None
        self._error = error

    def add(self, name: str, labels: dict[str, str], data: Any = "") -> None:
        encoded = base64.b64encode(json.dumps(data).encode()).decode()
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        spec = {"Name": name, "Labels": labels, "Data": encoded}
        self.configs[name] = {"ID": name, "Version": {"Index": 1}, "UpdatedAt": now, "Spec": spec}

    def add_run(self, run: str) -> None:
        app = {"name": "app", "stack": "demo_ci_test", "domain": "demo.ci.test", "recipe": "demo"}
        self.add(f"ccci-run-{run}", {"ccci.run": run, "ccci.state": "live"}, {"run": run, "apps": [app]})

    def hold(self, run: str) -> None:
        self.add("ccci-lock", {"ccci.run": run, "ccci.holder": '{"pid": 1, "host": "far"}', "ccci.lease": "900"})

    def get(self, path: str, /, **query: Any) -> Any:
        self.before(path)
        if path == "/configs":
            return [one for name, one in self.configs.items() if name.startswith("ccci-run-")]
        if path.startswith("/configs/"):
            name = path.removeprefix("/configs/")
            if name not in self.configs:
                raise self._error(404, "no such config")
            return self.configs[name]
        return {"Volumes": []} if path == "/volumes" else []

    def post(self, path: str, /, body: Any = None, **query: Any) -> Any:
        self.before(path)
        if path == "/configs/create":
            if body["Name"] in self.configs:
                raise self._error(409, "exists")
            self.add(body["Name"], body["Labels"])
        else:
            name = path.split("/")[2]
            self.configs[name]["Spec"]["Labels"] = body["Labels"]

    def delete(self, path: str, /, **query: Any) -> Any:
        self.before(path)
        self.configs.pop(path.split("/")[2], None)

    def system_time(self) -> float:
        return time.time()

    def tasks(self, stack: str) -> list[Any]:
        return self.services(stack)

    def services(self, stack: str) -> list[Any]:
        self.before("/services")
        return []

    def containers(self, stack: str, all: bool = True) -> list[Any]:
        self.before("/containers/json")
        return []


@pytest.fixture(scope="module", autouse=True)
def _ansible_finds_our_utilities() -> Iterator[None]:
    _forget_modules()
    sys.path.insert(0, str(PROJECT / "library"))
    utilities = importlib.import_module("ansible.module_utils").__path__
    utilities.append(str(PROJECT / "module_utils"))
    yield
    sys.path.remove(str(PROJECT / "library"))
    utilities.remove(str(PROJECT / "module_utils"))
    _forget_modules()


def _forget_modules() -> None:
    """Other tests import modules too; two copies of one exception do not catch each other."""
    for name in list(sys.modules):
        if name.startswith("ansible.module_utils.ccci_host") or name in (
            "ccci_run_lock",
            "ccci_teardown",
            "ccci_converge",
        ):
            del sys.modules[name]


def error_class() -> Any:
    return importlib.import_module("ansible.module_utils.ccci_host.docker_errors").DockerError


@pytest.fixture
def engine() -> Engine:
    return Engine(error_class())


@pytest.fixture
def lock_module(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = importlib.import_module("ccci_run_lock")
    monkeypatch.setattr(module, "Client", lambda: engine)
    monkeypatch.setattr(module, "RUNS_DIR", str(tmp_path))
    monkeypatch.setattr(module.processes, "marks", set)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    return module


@pytest.fixture
def teardown_module(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = importlib.import_module("ccci_teardown")
    monkeypatch.setattr(module, "Client", lambda: engine)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    return module


def answer_of(step: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(End) as caught:
        step()
    return caught.value.answer


def listed(module: ModuleType, **params: Any) -> dict[str, Any]:
    return answer_of(lambda: module.list_patiently(Module(**params)))


def names(scopes: list[dict[str, Any]]) -> list[str]:
    return [scope["run"] for scope in scopes]


def test_a_run_that_takes_the_node_while_it_is_listed_is_not_dead(engine: Engine, lock_module: ModuleType) -> None:
    def begin(path: str) -> None:
        if path == "/configs/ccci-lock" and not engine.configs:
            return  # the lock is asked for before anything is there
        if not engine.configs:
            engine.hold(OTHER)
            engine.add_run(OTHER)

    engine.before = begin
    answer = listed(lock_module)
    assert answer["ccci_slice"]["cursor"]["holders"] == {OTHER: {"pid": 1, "host": "far"}}
    facts = listed(lock_module, cursor=answer["ccci_slice"]["cursor"])["ccci"]["facts"]
    assert (names(facts["live"]), facts["dead"]) == ([OTHER], [])


def test_a_module_that_is_about_to_write_its_journal_is_waited_for(
    engine: Engine, lock_module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module.processes, "marks", lambda: {RUN})
    cursor = listed(lock_module)["ccci_slice"]["cursor"]
    engine.add_run(RUN)
    assert names(listed(lock_module, cursor=cursor)["ccci"]["facts"]["dead"]) == [RUN]


def test_a_run_that_waits_for_the_node_does_not_hold_up_a_cleaning(
    engine: Engine, lock_module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module.processes, "marks", lambda: {RUN})
    cursor = {"since": time.time() - lock_module.STRAY_SECONDS - 1}
    assert listed(lock_module, cursor=cursor)["ccci"]["facts"]["dead"] == []


def test_the_list_waits_for_docker_but_not_for_ever(engine: Engine, lock_module: ModuleType) -> None:
    def away(path: str) -> None:
        raise error_class()(0, AWAY)

    engine.before = away
    piece = listed(lock_module)["ccci_slice"]
    assert piece["progress"] == f"waiting for Docker: {AWAY}"
    assert not piece["done"]
    with pytest.raises(error_class()):
        lock_module.list_patiently(Module(expired=True))


def scope_of(folder: Path) -> dict[str, Any]:
    app = {"name": "app", "stack": "demo_ci_test", "domain": "demo.ci.test", "recipe": "demo"}
    return {"run": RUN, "stack": app["stack"], "domain": app["domain"], "recipe": "demo", "apps": [app],
            "node_dir": str(folder / RUN), "server": "default", "deploys": 1}  # fmt: skip


@pytest.mark.parametrize("calls", range(1, 16))
def test_a_teardown_goes_on_wherever_docker_went_away(
    engine: Engine, teardown_module: ModuleType, tmp_path: Path, calls: int
) -> None:
    """Docker answers `calls` times, is away for one slice, and comes back."""
    scope = scope_of(tmp_path)
    Path(scope["node_dir"]).mkdir()
    engine.add_run(RUN)
    engine.hold(RUN)
    left = [calls]

    def count(path: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise error_class()(0, AWAY)

    engine.before = count
    cursor: dict[str, Any] = {}
    for _ in range(6):
        module = Module(scope=scope, keep=False, evidence=True, cursor=cursor)
        answer = answer_of(lambda module=module: teardown_module.tear_down(module))  # type: ignore[misc]
        engine.before = lambda path: None
        if "ccci_slice" not in answer:
            break
        cursor = answer["ccci_slice"]["cursor"]
    results = [(one["id"], one["outcome"]) for one in answer["ccci"]["results"]]
    assert results == [(f"teardown.{name}", said) for name, said in LIFELESS]
    assert engine.configs == {}
    assert not Path(scope["node_dir"]).exists()


def test_a_teardown_without_docker_ends_as_the_nodes_fault(
    engine: Engine, teardown_module: ModuleType, tmp_path: Path
) -> None:
    def away(path: str) -> None:
        raise error_class()(0, AWAY)

    engine.before = away
    module = Module(scope=scope_of(tmp_path), keep=False, evidence=True, expired=True)
    guarded = teardown_module.guarded
    answer = answer_of(lambda: guarded(module, lambda: teardown_module.tear_down(module), id="teardown.removed"))
    result = answer["ccci"]["results"][0]
    assert (result["outcome"], result["failure_id"]) == ("error", "docker-down")
    assert answer["failed"]


def test_what_was_taken_away_by_somebody_else_is_not_touched_again(
    engine: Engine, teardown_module: ModuleType, tmp_path: Path
) -> None:
    """The journal goes while this cleaning is at work: from then on the names may be the next run's."""
    scope = scope_of(tmp_path)
    engine.add_run(RUN)
    engine.hold(RUN)
    deleted: list[str] = []
    listed_volumes = []

    def other(path: str) -> None:
        if path == "/volumes":
            listed_volumes.append(path)
            if len(listed_volumes) == 2:
                engine.configs.clear()

    real_get, engine.before = engine.get, other

    def get(path: str, /, **query: Any) -> Any:
        found = real_get(path, **query)
        return {"Volumes": [{"Name": "demo_ci_test_data"}]} if path == "/volumes" else found

    def request(method: str, path: str, query: Any = None) -> None:
        deleted.append(path)

    engine.get, engine.request = get, request  # type: ignore[method-assign, attr-defined]
    answer = answer_of(
        lambda: teardown_module.tear_down(Module(scope=scope, keep=False, evidence=True, slice_seconds=2))
    )
    assert answer["ccci"]["results"][-1]["outcome"] == "pass"
    assert deleted == []


def test_a_stack_that_converged_is_remembered_and_one_that_did_not_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converge, state = importlib.import_module("ccci_converge"), tmp_path / RUN / "state.json"
    scope = scope_of(tmp_path)
    Path(scope["node_dir"]).mkdir()
    parts = importlib.import_module("ansible.module_utils.ccci_host.converge")
    shot = importlib.import_module("ansible.module_utils.ccci_host.snapshot").Snapshot(1234.5, (), 1, ())
    for outcome in ("error", "pass"):
        finding = importlib.import_module("ansible.module_utils.ccci_host.known_words").Finding("x", "", "s", "e")
        decision = parts.Decision(outcome, "", (finding,))
        seen = converge.watch.Seen(parts.Memory(1.0), decision, shot)
        module = Module(scope=scope, tier="install", limit=9, assert_restarts=False)
        monkeypatch.setattr(converge, "AnsibleModule", lambda module=module, **_: module)
        monkeypatch.setattr(converge.watch, "watch", lambda *_, seen=seen: seen)
        monkeypatch.setattr(converge.lock, "renew", lambda *_: None)
        monkeypatch.setattr(converge.resources, "note", lambda *_: None)
        answer_of(converge.main)
        assert state.exists() == (outcome == "pass")
    assert json.loads(state.read_text())["converged"] == {"demo_ci_test": 1234.5}


@pytest.mark.parametrize(
    ("keep", "stayed_up", "taken"),
    # A dead run has no last look, so nothing of it can be red.
    [("keep", "pass", 0), ("", "fail", 2), ("keep_if_red", "pass", 2), ("keep_if_red", "fail", 1)],
)
def test_a_run_that_ends_is_looked_at_before_its_stack_goes_and_a_dead_one_is_not(
    engine: Engine, teardown_module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    keep: str, stayed_up: str, taken: int,
) -> None:  # fmt: skip
    scope, ours, looked = scope_of(tmp_path), teardown_module, []
    Path(scope["node_dir"]).mkdir()
    engine.add_run(RUN)
    engine.hold(RUN)
    there = {kind: {} for kind in ours.teardown.PATHS} | {"service": {"1": {"stack": "demo_ci_test", "name": "w"}}}
    monkeypatch.setattr(ours.teardown, "remaining", lambda *_: there)
    monkeypatch.setattr(ours.teardown, "begin", lambda *_: looked.append("taken away"))

    def judge(*given: Any) -> None:
        looked.append(given[2:4])
        given[4].result("teardown.stayed_up", stayed_up)

    monkeypatch.setattr(ours.teardown, "judge", lambda *_: None)
    monkeypatch.setattr(ours.stayed, "judge", judge)
    for evidence in (True, False):
        answer = importlib.import_module("ansible.module_utils.ccci_host.answer").Answer("teardown")
        options = {"keep": keep == "keep", "keep_if_red": keep == "keep_if_red"}
        module = Module(scope=scope, evidence=evidence, **options)
        with contextlib.suppress(End):
            ours.start(module, engine, answer, scope, ours.teardown.Progress())
    look = ({"demo_ci_test": ""}, {"demo_ci_test"})
    assert looked == [look, *["taken away"] * taken]
