from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ccci_host import upgrade_checks as checks
from ccci_host.snapshot import read

RECORDED = Path(__file__).parent / "recorded"
COMMIT = "7ae7b0f7c0ffee00c0ffee00c0ffee00c0ffee00"
KEY = "coop-cloud.cust-1_ci_test.chaos-version"
STACK = "cust-1_ci_test"


@pytest.mark.parametrize(
    ("labels", "ok", "observed"),
    [
        ({"app": {KEY: "7ae7b0f7"}}, True, "app: 7ae7b0f7"),
        ({"app": {KEY: "7ae7b0f7+U"}, "db": {}}, True, "app: 7ae7b0f7+U"),
        ({"app": {KEY: "0badc0de"}}, False, "app: 0badc0de"),
        ({"app": {KEY: "7"}}, False, "app: 7"),
        ({"app": {KEY: ""}}, False, "app: "),
        ({"app": {"coop-cloud.other.chaos-version": "7ae7b0f7"}}, False, "no service has this label"),
    ],
)
def test_commit(labels: dict[str, dict[str, str]], ok: bool, observed: str) -> None:
    one = checks.commit_of(labels, STACK, COMMIT)
    assert (one.ok, one.observed) == (ok, observed)


def image(tag: str, digest: str) -> dict[str, Any]:
    return {"image": f"r/nginx:{tag}", "digest": digest, "version": 1}


def test_images_that_changed_are_named() -> None:
    one = checks.images({"app": image("1", "sha256:a")}, {"app": image("2", "sha256:b"), "db": image("3", "sha256:c")})
    assert one.ok
    assert one.observed == "app: r/nginx:1 → r/nginx:2, db: new service"


@pytest.mark.parametrize("after", [image("1", "sha256:a"), image("1.0", "sha256:a")])
def test_an_upgrade_to_the_same_digests_is_said_to_be_a_no_op(after: dict[str, Any]) -> None:
    one = checks.images({"app": image("1", "sha256:a")}, {"app": after})
    assert (one.ok, one.observed) == (True, "no-op upgrade: image digests unchanged")


def test_a_digest_inside_the_reference_counts_too() -> None:
    before = {"app": {"image": "r/nginx:1@sha256:a", "version": 1}}
    assert checks.images(before, {"app": image("1", "sha256:a")}).observed.startswith("no-op")
    assert checks.images(before, {"app": image("1", "sha256:b")}).observed == "app: r/nginx:1 → r/nginx:1"


def volume(name: str, identity: str = "1:2:3", mounts: tuple[str, ...] = ()) -> dict[str, Any]:
    full = f"{STACK}_{name}"
    return {full: {"name": full, "identity": identity, "mounts": list(mounts)}}


def test_volumes_that_are_kept() -> None:
    one = checks.volumes(volume("content"), {**volume("content"), **volume("cache")}, STACK)
    assert (one.ok, one.observed) == (True, "1 kept: content")


@pytest.mark.parametrize("mounts", [(), ("app:/usr/share/nginx/html",)])
def test_a_renamed_volume_is_a_changed_identity(mounts: tuple[str, ...]) -> None:
    one = checks.volumes(volume("content", mounts=mounts), volume("content2", mounts=mounts), STACK)
    assert (one.ok, one.observed) == (False, "volume identity changed: content → content2")


def test_the_heir_of_a_volume_is_what_stands_in_its_place() -> None:
    after = {**volume("cache", mounts=("app:/cache",)), **volume("files", mounts=("app:/data",))}
    one = checks.volumes(volume("data", mounts=("app:/data",)), after, STACK)
    assert one.observed == "volume identity changed: data → files"


def test_a_volume_that_nothing_replaces_and_one_made_anew() -> None:
    before = {**volume("content"), **volume("data", identity="1:2:3")}
    one = checks.volumes(before, volume("data", identity="1:2:4"), STACK)
    assert not one.ok
    assert "volume identity changed: content → mounted no more" in one.observed
    assert "data was made anew" in one.observed


def test_secrets() -> None:
    before = {f"{STACK}_db_password_v1": "id1", f"{STACK}_key_v1": "id2"}
    assert checks.secrets(before, {**before, f"{STACK}_new_v1": "id3"}, STACK).ok
    rotated = {f"{STACK}_db_password_v2": "id9", f"{STACK}_key_v1": "other"}
    one = checks.secrets(before, rotated, STACK)
    assert not one.ok
    assert one.observed == "secret identity changed: db_password_v1 → db_password_v2; secret key_v1 was made anew"


def updates_of(recording: str) -> checks.Judgement:
    head, *frames = (RECORDED / f"{recording}.docker-20.10.24.jsonl").read_text().splitlines()
    snapshot = read(json.loads(frames[-1]), json.loads(head)["stack"])
    return checks.updates(snapshot.services, snapshot.at)


def test_update_states_as_swarm_reports_them() -> None:
    assert updates_of("upgrade-green").observed == "app: completed"
    assert updates_of("no-op-upgrade").observed == "app: no update was due"
    rolled_back, paused = updates_of("health-kill-upgrade"), updates_of("health-kill-paused")
    assert (rolled_back.ok, rolled_back.observed, rolled_back.service) == (False, "app: rollback_completed", "app")
    assert (paused.ok, paused.observed) == (False, "app: paused")
    assert "due to failure or early termination" in str(paused.hint)
