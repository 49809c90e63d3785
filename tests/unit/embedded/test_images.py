"""What the images of the embedded platform are made of, and what a node still has to get."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EMBEDDED = Path(__file__).resolve().parents[3] / "embedded"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"copy_of_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def images(tmp_path: Path) -> ModuleType:
    """The program in a copy of embedded/ that a test may change."""
    shutil.copytree(EMBEDDED, tmp_path / "embedded", ignore=shutil.ignore_patterns("__pycache__", "recipes"))
    return load(tmp_path / "embedded" / "images" / "images.py")


def planned(images: ModuleType, archives: Path) -> list[dict[str, Any]]:
    return list(images.plan(archives, "x86_64"))


def state(plan: list[dict[str, Any]], local: Collection[str] = (), pushed: Collection[str] = ()) -> Any:
    return {image["ref"]: {"local": image["id"] in local, "pushed": image["id"] in pushed} for image in plan}


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def inputs(images: ModuleType) -> dict[str, str]:
    return {name: image["inputs"] for name, image in images.read_images().items()}


def changed(images: ModuleType, before: dict[str, str]) -> set[str]:
    return {name for name, value in inputs(images).items() if before[name] != value}


def test_a_bare_machine_builds_bases_first_and_everything_on_them(images: ModuleType, tmp_path: Path) -> None:
    plan = planned(images, tmp_path)
    todo = images.decide(plan, state(plan))
    assert ids(todo["bases"]) == ["base:bookworm", "base:trixie"]
    assert set(ids(todo["build"])) == {image["id"] for image in plan} - {"base:bookworm", "base:trixie"}
    assert todo["load"] == []
    assert {"nginx:1.22.1", "nginx:1.26.3"} <= set(ids(todo["push"]))
    assert "traefik:3.7.15" not in ids(todo["push"])


def test_large_images_are_made_on_demand_and_apart_from_the_others(images: ModuleType, tmp_path: Path) -> None:
    assert not any(image["on_demand"] for image in planned(images, tmp_path))
    plan = images.plan(tmp_path, "x86_64", ["mariadb:10.11", "gone:1.0"])
    todo = images.decide(plan, state(plan))
    assert ids(todo["build_alone"]) == ["mariadb:10.11"]
    assert "nginx:1.22.1" in ids(todo["build"])
    assert "mariadb:10.11" not in ids(todo["build"])
    assert "mariadb:10.11" in ids(todo["push"])


def test_what_the_controller_trusts_is_no_input(images: ModuleType, tmp_path: Path) -> None:
    before = inputs(images)
    (tmp_path / "embedded" / images.CA_BUNDLE).write_text("other")
    assert changed(images, before) == set()


def test_a_complete_node_has_nothing_to_do(images: ModuleType, tmp_path: Path) -> None:
    plan = planned(images, tmp_path)
    pushed = {image["id"] for image in plan if image["push"]}
    platform = {image["id"] for image in plan if not image["push"]}
    todo = images.decide(plan, state(plan, local=platform, pushed=pushed))
    assert [todo[key] for key in ("load", "bases", "build", "push")] == [[], [], [], []]


def test_what_the_cache_holds_is_sent_and_no_base_with_it(images: ModuleType, tmp_path: Path) -> None:
    for image in planned(images, tmp_path):
        (tmp_path / image["archive"]).touch()
    plan = planned(images, tmp_path)
    todo = images.decide(plan, state(plan))
    assert (todo["bases"], todo["build"]) == ([], [])
    assert "nginx:1.22.1" in ids(todo["load"])
    assert not any(name.startswith("base:") for name in ids(todo["load"]))


def test_one_image_to_build_brings_its_base_from_the_cache(images: ModuleType, tmp_path: Path) -> None:
    for image in planned(images, tmp_path):
        if image["id"] != "nginx:1.22.1":
            (tmp_path / image["archive"]).touch()
    plan = planned(images, tmp_path)
    others = {image["id"] for image in plan if image["id"] not in ("nginx:1.22.1", "base:bookworm")}
    todo = images.decide(plan, state(plan, local=others))
    assert ids(todo["load"]) == ["base:bookworm"]
    assert ids(todo["build"]) == ["nginx:1.22.1"]


def test_a_changed_file_changes_only_what_is_made_of_it(images: ModuleType, tmp_path: Path) -> None:
    before = inputs(images)
    (tmp_path / "embedded" / "images" / "nginx" / "index.html").write_text("other")
    assert changed(images, before) == {"nginx:1.22.1", "nginx:1.26.3"}


def test_a_changed_base_changes_what_stands_on_it(images: ModuleType, tmp_path: Path) -> None:
    before = inputs(images)
    toml = tmp_path / "embedded" / "images" / "images.toml"
    toml.write_text(toml.read_text().replace('suite = "trixie"', 'suite = "sid"'))
    above = {name for name, image in images.read_images().items() if image.get("base") == "base:trixie"}
    assert "nginx:1.26.3" in above
    assert "nginx:1.22.1" not in above
    assert changed(images, before) == {"base:trixie", *above}


def test_caches_of_python_are_no_input(images: ModuleType, tmp_path: Path) -> None:
    before = inputs(images)
    cache = tmp_path / "embedded" / "backupbot" / "__pycache__"
    cache.mkdir()
    (cache / "backup.cpython-311.pyc").write_bytes(b"x")
    assert changed(images, before) == set()


def test_every_context_has_a_dockerfile(images: ModuleType, tmp_path: Path) -> None:
    derived = [image for image in images.read_images().values() if "suite" not in image]
    assert derived
    for image in derived:
        assert (tmp_path / "embedded" / image["context"]["."] / "Dockerfile").is_file(), image["id"]


def test_a_wheel_gives_its_programs(images: ModuleType, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "some_tool-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("some_tool-1.0.data/scripts/tool", "#!/bin/sh\n")
        wheel.writestr("some_tool-1.0.dist-info/METADATA", "")
    context = tmp_path / "context"
    context.mkdir()
    images.unpack_wheel("some-tool==1.0", tmp_path, context)
    assert [path.name for path in context.iterdir()] == ["tool"]
    assert (context / "tool").stat().st_mode & 0o111


def test_a_wheel_gives_its_packages_as_they_are(images: ModuleType, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "some_node-1.0-py3-none-any.whl", "w") as wheel:
        for name, mode in (("some_node/bin/node", 0o755), ("some_node/include/node.h", 0o644)):
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            wheel.writestr(member, name)
    images.unpack_wheel("some-node==1.0", tmp_path, tmp_path / "context")
    node, header = (tmp_path / "context" / "some_node" / name for name in ("bin/node", "include/node.h"))
    assert (node.read_text(), node.stat().st_mode & 0o777) == ("some_node/bin/node", 0o755)
    assert header.stat().st_mode & 0o777 == 0o644


def test_a_missing_wheel_is_named(images: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"some-tool==1\.0: no wheel in"):
        images.unpack_wheel("some-tool==1.0", tmp_path, tmp_path)


def test_a_failed_build_reaches_the_one_who_waits(images: ModuleType, tmp_path: Path) -> None:
    image = images.read_images()["nginx:1.22.1"]
    archive = tmp_path / "nginx.tar.zst"
    with pytest.raises(SystemExit):
        images.build(image, "of-another-time", tmp_path, archive)
    with pytest.raises(SystemExit, match=r"nginx:1\.22\.1: .*than planned"):
        images.wait(archive, limit=5)


def test_waiting_has_a_limit(images: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="was not made within 1 s"):
        images.wait(tmp_path / "never.tar.zst", limit=1)


def test_packing_gives_the_same_hash_for_the_same_files(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__" / "x.pyc").touch()
    (folder / "program").write_text("#!/bin/sh\n")

    def pack() -> str:
        command = [sys.executable, "-B", str(EMBEDDED / "pack.py"), f"--to={tmp_path}/out.tar", f"name={folder}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    first = pack()
    assert pack() == first
    with tarfile.open(tmp_path / "out.tar") as tar:
        assert tar.getnames() == ["name/program", "complete"]
    (folder / "program").chmod(0o755)
    assert pack() != first


def test_packing_nothing_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-B", str(EMBEDDED / "pack.py"), f"--to={tmp_path}/out.tar", f"abra={tmp_path}/none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "expected what abra is made of" in done.stderr
