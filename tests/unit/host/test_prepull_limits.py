"""From the registries' answers to the verdict, without Docker: limits, room, names of one digest, credentials.

A real registry server, a server that answers as the engine does, and the real process in between.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from engine_server import EngineServer, running
from registry_server import AMD64, Limit, RegistryServer, serving

from ccci_host import image_survey, prepull, puller, state
from ccci_host.answer import Answer
from ccci_host.image_space import SEEN_FILE
from ccci_host.image_survey import Patience, pause
from ccci_host.prepull import ID, Wish

WORDS = "toomanyrequests: You have reached your pull rate limit."
DISK = 10**15  # bytes compressed: no disk has room for that


@dataclass
class World:
    registry: RegistryServer
    engine: EngineServer
    folder: Path  # the run's
    credentials: Path

    def name(self, rest: str) -> str:
        return f"{self.registry.host}/{rest}"

    def play(self, images: dict[str, list[str]], limit: float = 30, credentials: str = "") -> Play:
        """All slices as the action plugin would call them."""
        wish = Wish({"node_dir": str(self.folder)}, images, limit, credentials)
        answer, lines, client = Answer("prepare"), [], self.engine.client
        cursor, deadline = prepull.begin(client, wish, answer), time.monotonic() + limit
        while cursor is not None:
            cursor = json.loads(json.dumps(cursor))
            line = prepull.go_on(client, wish, cursor, 0.2, time.monotonic() >= deadline, answer)
            if line is None:
                break
            lines.append(line)
            assert len(lines) < 200
        return Play(answer.results[-1], lines, answer)


@dataclass
class Play:
    result: dict[str, Any]
    lines: list[str]
    answer: Answer


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    folder = tmp_path / "runs" / "r"
    folder.mkdir(parents=True)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    (tmp_path / "docker").mkdir()
    with serving() as registry, running(tmp_path, registry) as engine:
        yield World(registry, engine, folder, tmp_path / "docker" / "config.json")


def test_what_is_missing_is_pulled_with_sizes_times_and_moments(world: World) -> None:
    world.registry.add("a/b:1", [4000, 1000], platforms=[AMD64])
    world.registry.add("a/b:2", [4000, 500])
    one, two = world.name("a/b:1"), world.name("a/b:2")
    played = world.play({"base": [one], "head": [two]})
    assert (played.result["id"], played.result["outcome"]) == (ID, "pass"), played.result
    pulled = played.answer.facts["pulled"]
    assert (pulled["images"], pulled["bytes"]) == ([one, two], 5500)
    assert (pulled["each"][one]["bytes"], pulled["each"][one]["size"]) == (5000, 15000)
    assert pulled["each"][two]["bytes"] == 500  # the other layer comes with the first image
    moments = {(one["service"], one["what"]): one["at"] for one in played.answer.timeline}
    assert set(moments) == {(one, "pull"), (one, "pulled"), (two, "pull"), (two, "pulled")}
    assert moments[one, "pull"] <= moments[one, "pulled"]
    assert "free below" in played.result["evidence"]
    assert state.load({"node_dir": world.folder})[state.PREPULLED] == [one, two]
    seen = json.loads((world.folder.parent.parent / SEEN_FILE).read_text())
    assert seen[world.registry.tags["a/b:1"]]["size"] == 15000
    again = world.play({"base": [one], "head": [two]})
    assert (again.result["observed"], again.answer.facts) == ("2 images, all here", {})


def test_too_little_room_is_refused_with_the_numbers_before_a_byte_is_pulled(world: World) -> None:
    world.registry.add("a/b:1", [DISK // 2], platforms=[AMD64])
    world.registry.add("a/b:2", [DISK // 2], seed="other")
    played = world.play({"base": [world.name("a/b:1")], "head": [world.name("a/b:2")]})
    assert (played.result["outcome"], played.result["failure_id"]) == ("error", "disk-full")
    told = re.fullmatch(
        r"needs 3725291\.3 GiB \(931322\.6 GiB to pull, about 2793967\.7 GiB unpacked, 1\.0 GiB to stay free\), "
        rf"([\d.]+) GiB free below {re.escape(world.engine.root)}", played.result["observed"],
    )  # fmt: skip
    assert told, played.result["observed"]
    assert float(told[1]) == pytest.approx(shutil.disk_usage(world.folder).free / 1024**3, abs=2)
    assert len(played.result["evidence"].splitlines()) == 2
    assert world.engine.pulled == []


def test_a_limit_at_the_first_question_is_waited_for_as_the_registry_asks(world: World) -> None:
    world.registry.add("a/b:1", [10])
    world.registry.limits["a/b"] = Limit(2, "2")  # HEAD and GET
    began = time.monotonic()
    played = world.play({"head": [world.name("a/b:1")]})
    assert played.result["outcome"] == "pass"
    assert 1.9 < time.monotonic() - began < 6
    waits = [line for line in played.lines if "waits" in line]
    assert waits
    assert waits[0].startswith(f"{world.name('a/b:1')} waits 2 s for its registry: {WORDS}")


def test_a_limit_that_stays_is_told_in_the_registrys_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_survey, "LEAST_PAUSE", 0.05)
    world.registry.add("a/b:1", [10])
    world.registry.limits["a/b"] = Limit(None, "0")
    played = world.play({"head": [world.name("a/b:1")]})
    assert (played.result["outcome"], played.result["failure_id"]) == ("error", "rate-limit")
    assert f"{WORDS} (asked 4 times; it wants 0 s before the next one)" in played.result["observed"]
    asked = [line for line in world.registry.asked if line.startswith("GET")]
    assert len(asked) == image_survey.TRIES


def test_a_limit_longer_than_the_runs_own_is_not_waited_for(world: World) -> None:
    world.registry.add("a/b:1", [10])
    world.registry.limits["a/b"] = Limit(None, "3600")
    began = time.monotonic()
    played = world.play({"head": [world.name("a/b:1")]})
    assert played.result["failure_id"] == "rate-limit"
    assert "wants 3600 s" in played.result["observed"]
    assert time.monotonic() - began < 5


def test_a_limit_in_the_middle_of_pulling_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_survey, "PAUSES", (1.2, 1.2, 1.2))
    world.registry.add("a/b:1", [10])
    world.engine.refusals = [WORDS, WORDS]
    played = world.play({"head": [world.name("a/b:1")]})
    assert played.result["outcome"] == "pass"
    assert any("waits" in line for line in played.lines)


def test_a_limit_is_not_waited_for_when_another_image_does_not_exist(world: World) -> None:
    world.registry.add("a/b:1", [10])
    world.registry.limits["a/b"] = Limit(None, "20")
    began = time.monotonic()
    played = world.play({"base": [world.name("a/b:1")], "head": [world.name("c/d:9")]})
    assert (played.result["outcome"], played.result["failure_id"]) == ("fail", "missing-image")
    assert time.monotonic() - began < 5
    assert played.result["observed"].startswith(
        f"{world.name('c/d:9')} (used by head): manifest unknown: manifest unknown; {world.name('a/b:1')}"
    )


def test_a_limit_does_not_matter_for_what_is_here(world: World) -> None:
    digest = world.registry.add("a/b:1", [10])
    world.engine.have(world.name("a/b"), "1", digest)
    world.registry.limits["a/b"] = Limit(None, "20")
    played = world.play({"head": [world.name("a/b:1")]})
    assert played.result["observed"] == "1 image, all here"
    assert state.load({"node_dir": world.folder})[state.PREPULLED] == [world.name("a/b:1")]
    assert "could not be asked whether it is current: toomanyrequests" in played.result["evidence"]


def test_a_time_that_is_up_while_a_registry_makes_us_wait_is_the_registrys(world: World) -> None:
    world.registry.add("a/b:1", [10])
    world.registry.limits["a/b"] = Limit(None, "2")
    played = world.play({"head": [world.name("a/b:1")]}, limit=3)
    assert (played.result["outcome"], played.result["failure_id"]) == ("error", "rate-limit")


def test_several_names_of_one_digest_are_pulled_once(world: World) -> None:
    digest = world.registry.add("a/b:1", [10])
    world.registry.tags["a/b:stable"] = digest
    world.registry.tags["mirror/b:1"] = digest
    names = [world.name(rest) for rest in ("a/b:1", "a/b:stable", f"a/b@{digest}", "mirror/b:1")]
    played = world.play({"head": names})
    assert played.result["outcome"] == "pass"
    assert world.engine.pulled == [names[0], names[3]]  # another repository: no layer comes twice
    assert world.engine.tagged == [names[1]]
    assert played.answer.facts["pulled"]["images"] == names
    assert played.answer.facts["pulled"]["bytes"] == 10


def test_what_is_here_by_its_digest_only_gets_its_tag(world: World) -> None:
    digest = world.registry.add("a/b:1", [10])
    world.engine.have(world.name("a/b"), "", digest)
    played = world.play({"base": [f"{world.name('a/b')}@{digest}"], "head": [world.name("a/b:1")]})
    assert played.result["observed"] == "2 images, all here"
    assert "cached-untagged" in played.result["evidence"]
    assert (world.engine.tagged, world.engine.pulled) == ([world.name("a/b:1")], [])


def test_layers_that_are_here_are_not_counted(world: World) -> None:
    world.registry.add("a/b:2", [4000, 500], diffs=["sha256:low", "sha256:high"])
    world.engine.have("other/image", "1", "sha256:x", layers=["sha256:low"])
    played = world.play({"head": [world.name("a/b:2")]})
    assert played.answer.facts["pulled"]["bytes"] == 500


def accounts(world: World, mode: int) -> str:
    secret = base64.b64encode(b"robot:hunter2").decode()
    world.credentials.write_text(json.dumps({"auths": {world.registry.host: {"auth": secret}}}))
    world.credentials.chmod(mode)
    return str(world.credentials)


def test_the_account_of_a_registry_is_used_and_told_nowhere(world: World) -> None:
    world.registry.account, world.registry.anonymous = "robot:hunter2", False
    world.registry.add("a/b:1", [10])
    path = accounts(world, 0o600)
    for chosen in ("", path):  # the docker command's own file, and one that the inventory names
        world.engine.images.clear()
        played = world.play({"head": [world.name("a/b:1")]}, credentials=chosen)
        assert played.result["outcome"] == "pass", played.result
        sent = json.loads(base64.urlsafe_b64decode(world.engine.credentials[-1]))
        assert (sent["username"], sent["password"]) == ("robot", "hunter2")
        told = json.dumps([vars(played.answer), played.lines]) + (world.folder / puller.FILE).read_text()
        assert "hunter2" not in told
        assert base64.b64encode(b"robot:hunter2").decode() not in told


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_of_accounts_that_others_can_read_is_refused_with_the_fix(world: World, mode: int) -> None:
    path = accounts(world, mode)
    played = world.play({"head": [world.name("a/b:1")]})
    assert played.result["outcome"] == "error"
    assert f"may be read by others than their owner (mode {mode:04o})" in played.result["observed"]
    assert played.result["hint"] == f"On the node: chmod 600 {path}"
    assert world.registry.asked == []


def test_pauses() -> None:
    assert [pause(tried, None, 99) for tried in (1, 2, 3, 4)] == [2.0, 5.0, 10.0, None]
    assert (pause(1, 7.0, 99), pause(1, 0.0, 99), pause(1, 7.0, 7.0)) == (7.0, 1.0, None)


def test_nobody_waits_when_all_is_lost() -> None:
    patience = Patience(time.time() + 60)
    patience.hopeless.set()
    assert not patience.waits("a:1", WORDS, 30.0, 1)
