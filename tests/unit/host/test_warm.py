"""What a node knows of its warm deps: loans, and what was stopped for whom. Docker is a table of services here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ccci_host import journal, preflight, state, warm
from ccci_host.docker_errors import DockerError

GIB = 2**30


class Docker:
    """Services with replicas; one container per replica that runs, which needs `memory` bytes."""

    def __init__(self, services: dict[str, int], memory: int = GIB, free: int = 0) -> None:
        self.table, self.memory, self.free = services, memory, free
        self.journals: dict[str, str] = {}
        self.stumbles = 0

    def services(self, stack: str) -> list[dict[str, Any]]:
        return [self._service(name) for name in self.table if name.startswith(f"{stack}_")]

    def containers(self, stack: str) -> list[str]:
        return [name for name, count in self.table.items() if name.startswith(f"{stack}_") for _ in range(count)]

    def get(self, path: str, **_: Any) -> Any:
        name = path.rpartition("/")[2]
        if path.startswith("/services/") and name in self.table:
            return self._service(name)
        raise DockerError(404, f"there is no {path}")

    def post(self, path: str, body: Any, version: int) -> None:
        assert version == 7
        if self.stumbles:
            self.stumbles -= 1
            raise DockerError(500, "rpc error: update out of sequence")
        self.table[path.split("/")[2]] = body["Mode"]["Replicated"]["Replicas"]

    def available(self) -> int:
        return self.free - self.memory * sum(self.table.values())

    def _service(self, name: str) -> dict[str, Any]:
        mode = {"Replicated": {"Replicas": self.table[name]}}
        return {"ID": name, "Version": {"Index": 7}, "Spec": {"Name": name, "Mode": mode}}


@pytest.fixture
def made(tmp_path: Path):
    def make(name: str, **more: Any) -> dict[str, Any]:
        scope = {"run": f"warm-{name}", "recipe": name, "stack": name, "node_dir": str(tmp_path / name)}
        (tmp_path / name).mkdir()
        state.update(scope, warm={"digest": "one", "services": ["app"], "since": 0, **more})
        return scope

    return make


def test_loans_are_owed_when_their_run_is_gone(made) -> None:
    scope = made("idp")
    for run in ("alive", "dead", "kept"):
        warm.lend(scope, f"{run}-sso", run)
    assert warm.owed(warm.known(scope), {"alive", "kept"}) == ["dead-sso"]
    warm.take_back(scope, "dead-sso")
    warm.take_back(scope, "never-lent")
    assert warm.owed(warm.known(scope), set()) == ["alive-sso", "kept-sso"]
    assert warm.known(scope)["digest"] == "one"


@pytest.mark.parametrize(
    ("kept_as", "digest", "services", "words"),
    [
        ("warm", "one", {"idp_app": 1}, ""),
        ("warm", "two", {"idp_app": 1}, "other settings, or another version"),
        ("live", "one", {"idp_app": 1}, "not made to its end"),
        (None, "one", {"idp_app": 1}, "there was none"),
        ("warm", "one", {"idp_db": 1}, "it has lost app"),
    ],
)
def test_why_one_is_made_anew(made, monkeypatch, kept_as, digest, services, words) -> None:
    scope = made("idp")
    found = journal.Journal("i", 1, "warm-idp", kept_as, scope) if kept_as else None
    monkeypatch.setattr(journal, "find", lambda client, run: found if run == "warm-idp" else None)
    why = warm.unusable(Docker(services), scope, digest)
    assert words in why
    assert bool(why) == bool(words)


def test_a_spoilt_note_is_no_warm_dep(made, monkeypatch) -> None:
    scope = made("idp")
    (Path(scope["node_dir"]) / state.STATE_FILE).write_text("{")
    monkeypatch.setattr(journal, "find", lambda *_: journal.Journal("i", 1, "warm-idp", "warm", scope))
    assert warm.unusable(Docker({"idp_app": 1}), scope, "one") == "the last one was not made to its end"


def test_memory_is_made_as_long_as_it_is_short_and_given_back(made, monkeypatch) -> None:
    one, two = made("one"), made("two")
    docker = Docker({"one_app": 1, "one_db": 2, "two_app": 1}, free=5 * GIB)
    monkeypatch.setattr(preflight, "memory", docker.available)
    assert warm.make_room(docker, GIB, [one, two], "run-a") == []
    assert warm.make_room(docker, 3 * GIB, [one, two], "run-a") == ["one"]
    assert docker.table == {"one_app": 0, "one_db": 0, "two_app": 1}
    docker.stumbles = 2
    assert warm.restore(docker, one)
    assert docker.table == {"one_app": 1, "one_db": 2, "two_app": 1}
    assert not warm.restore(docker, one)


def test_nothing_stays_stopped_for_a_recipe_that_does_not_fit_anyway(made, monkeypatch) -> None:
    one, two = made("one"), made("two")
    docker = Docker({"one_app": 1, "two_app": 1}, free=5 * GIB)
    monkeypatch.setattr(preflight, "memory", docker.available)
    assert warm.make_room(docker, 9 * GIB, [one, two], "run-a") == []
    assert docker.table == {"one_app": 1, "two_app": 1}


def test_what_was_stopped_for_a_run_is_started_after_it_and_for_one_that_is_gone(made, monkeypatch) -> None:
    one, two = made("one"), made("two")
    docker = Docker({"one_app": 1, "two_app": 1})
    journals = [journal.Journal("i", 1, scope["run"], "warm", scope) for scope in (one, two)]
    monkeypatch.setattr(journal, "read_all", lambda client: journals)
    assert warm.shed(docker, one, "run-a")
    assert not warm.shed(docker, one, "run-b"), "it does not run"
    assert warm.shed(docker, two, "run-b")
    assert warm.restore_after(docker, "run-a") == ["one"]
    assert docker.table == {"one_app": 1, "two_app": 0}
    second = journal.Journal("j", 1, "run-b", "live", {})
    warm.adopt([*journals, second], [], "run-c")
    assert warm.known(two)["shed"]["by"] == "run-b", "it lives, and needs the memory"
    warm.adopt([*journals, second], ["run-b"], "run-c")
    assert warm.restore_after(docker, "run-b") == [], "run-c counts on the memory"
    assert docker.table == {"one_app": 1, "two_app": 0}
    assert warm.restore_after(docker, "run-c") == ["two"]
    assert docker.table == {"one_app": 1, "two_app": 1}


def test_one_that_is_being_made_is_dead_only_with_its_maker(made, monkeypatch) -> None:
    scope = made("idp")
    half = journal.Journal("i", 1, "warm-idp", "live", {**scope, "maker": "run-a"})
    assert journal.dead([half], alive="run-a") == []
    assert journal.dead([half], alive="run-b") == [half]
    assert journal.dead([half], alive="") == [half]
    monkeypatch.setattr(journal, "find", lambda *_: half)
    assert warm.is_half_made(None, scope, "run-a")
    assert not warm.is_half_made(None, scope, "run-b")
    monkeypatch.setattr(journal, "find", lambda *_: journal.Journal("i", 1, "warm-idp", "warm", half.scope))
    assert not warm.is_half_made(None, scope, "run-a")


def test_one_that_is_doubted_is_made_anew(made, monkeypatch) -> None:
    scope = made("idp")
    monkeypatch.setattr(journal, "find", lambda *_: journal.Journal("i", 1, "warm-idp", "warm", scope))
    warm.doubt(scope)
    assert "did not get what it provides" in warm.unusable(Docker({"idp_app": 1}), scope, "one")


def test_a_note_that_is_no_mapping_stops_nobody(made) -> None:
    scope = made("idp")
    for text in ("null", "[]", '{"warm": 3}'):
        (Path(scope["node_dir"]) / state.STATE_FILE).write_text(text)
        assert warm.known(scope) == {}


def test_a_service_that_is_gone_is_not_started(made) -> None:
    scope = made("one", shed={"by": "run-a", "replicas": {"one_app": 1, "one_db": 1}})
    docker = Docker({"one_app": 0})
    assert warm.restore(docker, scope)
    assert docker.table == {"one_app": 1}
