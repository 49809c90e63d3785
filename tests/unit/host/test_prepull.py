"""Pulling for real, from a registry of its own; the decisions about it are in test_registry.py."""

from __future__ import annotations

import fcntl
import io
import json
import os
import secrets
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ccci_host import image_pulls, prepull, puller
from ccci_host.answer import Answer
from ccci_host.docker import Client, DockerError
from ccci_host.image_space import Space, Weight
from ccci_host.prepull import ID, Wish
from ccci_host.puller import DONE, PULLING, WAITING, Progress, Pull

REGISTRY_IMAGE = "127.0.0.1:5000/ccci/registry:2.8.2"
MISSING_WORDS = "manifest unknown"


def test_each_image_is_asked_for_once_and_says_who_needs_it() -> None:
    found = Wish({}, {"base": ["a:1", "db:1"], "head": ["a:2", "db:1", "db:1"]}, 60)
    assert found.sides == {"a:1": "base", "db:1": "base and head", "a:2": "head"}


def test_bytes_are_summed_over_layers_and_extracting_does_not_count_again() -> None:
    layers: dict[str, tuple[int, int]] = {}
    for event in (
        {"status": "Pulling from ccci/nginx", "id": "1.22.1"},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": 10, "total": 100}},
        {"status": "Downloading", "id": "b", "progressDetail": {"current": 5, "total": 50}},
        {"status": "Download complete", "id": "a", "progressDetail": {}},
        {"status": "Extracting", "id": "a", "progressDetail": {"current": 1, "total": 100}},
        {"status": "Already exists", "id": "c", "progressDetail": {}},
    ):
        image_pulls.count(event, layers)
    assert layers == {"a": (100, 100), "b": (5, 50)}


def space(*downloads: int, unknown: tuple[str, ...] = ()) -> Space:
    return Space(tuple(Weight("x", one, 3 * one, "") for one in downloads), unknown, 0, "/d")


PULLS = {
    "a:1": Pull("a:1", DONE, 5_000_000, 5_000_000, began=101.0, ended=102.0),
    "b:1": Pull("b:1", PULLING, 1_500_000, 3_000_000, began=100.0),
    "c:1": Pull("c:1", WAITING, words="toomanyrequests: slow down", until=112.0),
}
WISH = Wish({}, {"head": list(PULLS)}, 60)


def test_progress_says_what_is_under_way_and_how_long_the_rest_takes() -> None:
    now = Progress(PULLS, wanted=list(PULLS), space=space(5_000_000, 3_000_000, 5_000_000))
    assert prepull.told(now, WISH, 99.0, 104.2) == (
        "pulled 1 of 3 images, 6.5 of 13.0 MB (5 s, about 4 s to go): "
        "b:1 1.5 of 3.0 MB, c:1 waits 8 s for its registry: toomanyrequests: slow down"
    )


def test_without_sizes_from_the_registries_nobody_guesses_the_end() -> None:
    now = Progress(PULLS, wanted=list(PULLS), space=space(5_000_000, unknown=("b:1", "c:1")))
    assert prepull.told(now, WISH, 99.0, 104.2).startswith("pulled 1 of 3 images, 6.5 of 8.0 MB (5 s): b:1")


def test_when_all_bytes_are_here_they_are_unpacked() -> None:
    now = Progress({"b:1": Pull("b:1", PULLING, 10, 10, began=100.0)}, wanted=["b:1"], space=space(10))
    assert "(5 s, unpacking): b:1" in prepull.told(now, WISH, 99.0, 104.2)


def test_before_anything_is_known_it_says_whom_it_asks() -> None:
    assert prepull.told(Progress(), WISH, 99.0, 104.2) == "asking the registries of 3 images (5 s)"
    waiting = Progress({"c:1": PULLS["c:1"]})
    assert prepull.told(waiting, WISH, 99.0, 104.2) == "c:1 waits 8 s for its registry: toomanyrequests: slow down"


def test_a_half_written_line_is_no_progress() -> None:
    lines = ['{"image": "a:1", "state": "done", "current": 1, "total": 1, "words": ""}', '{"image": "b:1", "sta']
    found = puller.progress_of(lines, alive=True)
    assert (list(found.pulls), found.finished) == (["a:1"], False)


class Registry:
    """A registry of its own. `push` makes an image of random bytes there and takes it off the node again."""

    def __init__(self) -> None:
        self.name = f"c-registry-{secrets.token_hex(4)}"
        docker("run", "--detach", "--rm", "--name", self.name, "--publish", "127.0.0.1::5000", REGISTRY_IMAGE)
        self.host = docker("port", self.name, "5000/tcp").split()[0]

    def push(self, tag: str, size: int = 1000, keep: bool = False) -> str:
        image = f"{self.host}/c-test:{tag}"
        import_image(image, size)
        docker("push", "--quiet", image)
        if not keep:
            docker("rmi", image)
        return image


def docker(*arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["docker", *arguments], input=stdin, check=True, capture_output=True, timeout=120)
    return done.stdout.decode().strip()


def import_image(image: str, size: int) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("data")
        entry.size = size
        tar.addfile(entry, io.BytesIO(secrets.token_bytes(size)))
    docker("import", "-", image, stdin=archive.getvalue())


def words_of(registry: Registry) -> str:
    try:
        return str(Client().get(f"/distribution/{registry.host}/c-none:1/json"))
    except DockerError as error:
        return error.message


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    found = Registry()
    deadline = time.monotonic() + 20
    while MISSING_WORDS not in words_of(found):
        assert time.monotonic() < deadline, words_of(found)
        time.sleep(0.2)
    yield found
    docker("rm", "--force", found.name)
    images = docker("images", "--quiet", f"{found.host}/c-test").split()
    if images:
        docker("rmi", "--force", *images)


@pytest.fixture
def scope(tmp_path: Path) -> dict[str, Any]:
    return {"node_dir": str(tmp_path), "run": "x"}


def play(
    scope: dict[str, Any], images: dict[str, list[str]], seconds: float = 0.3
) -> tuple[dict[str, Any], list[str], Answer]:
    """All slices, as the action plugin would call them, with the cursor through JSON as Ansible would."""
    client, answer, lines, wish = Client(), Answer("prepare"), [], Wish(scope, images, 60)
    cursor = prepull.begin(client, wish, answer)
    while cursor is not None:
        cursor = json.loads(json.dumps(cursor))
        line = prepull.go_on(client, wish, cursor, seconds, False, answer)
        if line is None:
            break
        lines.append(line)
        assert len(lines) < 200
    return answer.results[-1], lines, answer


@pytest.mark.docker
def test_missing_images_are_pulled_side_by_side_and_then_all_are_here(
    registry: Registry, scope: dict[str, Any]
) -> None:
    images = {"base": [registry.push("one", 4_000_000)], "head": [registry.push("two", 4_000_000)]}
    result, _, answer = play(scope, images)
    assert (result["id"], result["outcome"]) == (ID, "pass"), result
    assert answer.facts["pulled"]["images"] == images["base"] + images["head"]
    assert answer.facts["pulled"]["bytes"] > 7_000_000
    for image in (images["base"][0], images["head"][0]):
        assert docker("image", "inspect", "--format", "{{.RepoDigests}}", image)
    before = time.monotonic()
    again, lines, answer = play(scope, images)
    assert (again["outcome"], again["observed"], lines) == ("pass", "2 images, all here", [])
    assert time.monotonic() - before < 2
    assert "pulled" not in answer.facts


@pytest.mark.docker
def test_what_swarm_pulled_by_digest_gets_its_tag_and_is_not_pulled_again(
    registry: Registry, scope: dict[str, Any]
) -> None:
    image = registry.push("untagged", keep=True)
    digest = docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", image).partition("@")[2]
    docker("rmi", image)
    pinned = f"{image.rpartition(':')[0]}@{digest}"
    docker("pull", "--quiet", pinned)
    result, _, answer = play(scope, {"head": [pinned, image]})
    assert (result["observed"], answer.facts) == ("2 images, all here", {})
    assert "cached-untagged" in result["evidence"]
    assert docker("image", "inspect", "--format", "{{.RepoTags}}", pinned) == f"[{image}]"


@pytest.mark.docker
def test_two_names_of_one_digest(registry: Registry, scope: dict[str, Any]) -> None:
    image = registry.push("twice", 2_000_000, keep=True)
    other = image.replace("c-test", "c-test/other")
    docker("tag", image, other)
    docker("push", "--quiet", other)
    docker("rmi", image, other)
    result, _, answer = play(scope, {"base": [image], "head": [other]})
    assert result["outcome"] == "pass", result
    assert answer.facts["pulled"]["images"] == [image, other]
    assert answer.facts["pulled"]["each"][other]["bytes"] == 0
    digests = {docker("image", "inspect", "--format", "{{.Id}}", name) for name in (image, other)}
    assert len(digests) == 1
    docker("rmi", other)


@pytest.mark.docker
def test_a_tag_that_moved_is_pulled_again(registry: Registry, scope: dict[str, Any]) -> None:
    image = registry.push("moving", keep=True)
    old = docker("image", "inspect", "--format", "{{.Id}}", image)
    docker("tag", image, "c-keep-old:1")
    new = registry.push("moving")
    docker("tag", "c-keep-old:1", new)
    try:
        result, _, _ = play(scope, {"head": [new]})
        assert result["outcome"] == "pass"
        assert docker("image", "inspect", "--format", "{{.Id}}", new) != old
    finally:
        docker("rmi", "--force", "c-keep-old:1")


@pytest.mark.docker
def test_an_image_pinned_by_digest(registry: Registry, scope: dict[str, Any]) -> None:
    image = registry.push("pinned", keep=True)
    digest = docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", image).partition("@")[2]
    docker("rmi", image)
    pinned = f"{image}@{digest}"
    first, _, answer = play(scope, {"head": [pinned]})
    assert (first["outcome"], answer.facts["pulled"]["images"]) == ("pass", [pinned])
    second, lines, _ = play(scope, {"head": [pinned]})
    assert (second["observed"], lines) == ("1 image, all here", [])


@pytest.mark.docker
def test_a_tag_that_does_not_exist_is_the_recipes_fault_in_the_registrys_words(
    registry: Registry, scope: dict[str, Any]
) -> None:
    good = registry.push("good")
    result, _, _ = play(scope, {"base": [good], "head": [f"{registry.host}/c-test:9.9.9"]})
    assert (result["outcome"], result["failure_id"]) == ("fail", "missing-image")
    assert f"{registry.host}/c-test:9.9.9 (used by head)" in result["observed"]
    assert MISSING_WORDS in result["observed"]
    with pytest.raises(subprocess.CalledProcessError):  # nothing is pulled for a run that cannot go on
        docker("image", "inspect", good)


@pytest.mark.docker
def test_a_registry_that_nobody_answers_for_is_no_fault_of_the_recipe(scope: dict[str, Any]) -> None:
    result, _, _ = play(scope, {"head": ["127.0.0.1:1/c-test:1"]})
    assert result["outcome"] == "error"
    assert "failure_id" not in result
    assert "refused" in result["observed"]


@pytest.mark.docker
def test_an_image_that_only_this_node_has_is_fine(registry: Registry, scope: dict[str, Any]) -> None:
    image = f"{registry.host}/c-test:homemade"
    import_image(image, 1000)
    result, _, _ = play(scope, {"head": [image]})
    assert result["outcome"] == "pass"
    assert "only on this node" in result["evidence"]


@pytest.mark.docker
def test_a_name_that_is_no_image(scope: dict[str, Any]) -> None:
    result, _, _ = play(scope, {"head": ["Not An Image"]})
    assert (result["outcome"], "used by head" in result["observed"]) == ("fail", True)


@pytest.mark.docker
def test_a_puller_that_dies_is_started_once_more_and_an_expired_one_is_ended(
    registry: Registry, scope: dict[str, Any]
) -> None:
    client, answer = Client(), Answer("prepare")
    wish = Wish(scope, {"head": [registry.push("dying", 30_000_000)]}, 60)
    docker("pause", registry.name)
    try:
        cursor = prepull.begin(client, wish, answer)
        assert cursor
        pid = int(cursor["pid"])
        assert puller.read(Path(scope["node_dir"])).alive
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        assert prepull.go_on(client, wish, cursor, 0.3, False, answer) is not None
        assert cursor["starts"] == 2
        assert cursor["pid"] != pid
        assert puller.read(Path(scope["node_dir"])).alive
        assert prepull.go_on(client, wish, cursor, 0.3, True, answer) is None
        os.waitpid(int(cursor["pid"]), 0)
        assert not puller.read(Path(scope["node_dir"])).alive
    finally:
        docker("unpause", registry.name)
    assert answer.results[-1]["outcome"] == "error"
    assert "asking the registries of 1 image" in answer.results[-1]["observed"]


@pytest.mark.docker
def test_a_puller_waits_for_one_that_is_just_ending_and_not_for_one_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = os.open(tmp_path / puller.FILE, os.O_RDWR | os.O_CREAT)
    os.write(holder, b'{"finished": true}\n')
    fcntl.flock(holder, fcntl.LOCK_EX)
    order = puller.Order(tmp_path, [], "", time.time() + 60)
    monkeypatch.setattr(puller, "ENDING", 0.2)
    with pytest.raises(BlockingIOError):
        puller.start(order, lambda order, journal: None)
    assert puller.read(tmp_path).finished, "what it wrote is not ours to empty"
    monkeypatch.setattr(puller, "ENDING", 10.0)
    threading.Timer(0.5, os.close, [holder]).start()
    os.waitpid(puller.start(order, lambda order, journal: None), 0)


def test_a_puller_ends_when_the_runs_folder_is_gone(registry: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    image = registry.push("orphan", 5_000_000)
    docker("pause", registry.name)
    try:
        order = puller.Order(folder, [image], "", time.time() + 60)
        pid = puller.start(order, partial(image_pulls.work, Client()))
        (folder / puller.FILE).unlink()
        folder.rmdir()
    finally:
        docker("unpause", registry.name)
    deadline = time.monotonic() + 20
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        assert time.monotonic() < deadline, "the puller lives on"
        time.sleep(0.1)
