"""The stand-in for La Suite's Drive: what the suite, which is written for the real recipe, relies on."""

import importlib.util
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

EMBEDDED = Path(__file__).resolve().parents[3] / "embedded"
IMAGE = EMBEDDED / "images" / "lasuite-drive-standin"
RECIPE = EMBEDDED / "recipes" / "lasuite-drive"
SERVICES = {
    "app", "backend", "celery", "celery-beat", "db", "redis", "minio", "minio-createbuckets", "mailcatcher", "web",
    "collabora", "onlyoffice",
}  # fmt: skip


@pytest.fixture(scope="module")
def trees() -> dict[str, dict[str, Any]]:
    """The compose file of each tag and each pull request."""
    build = import_build()
    found = {}
    for commit in build.read_history(RECIPE):
        for name in filter(None, [commit.tag, *commit.refs]):
            found[name] = yaml.safe_load(commit.tree["compose.yml"])
    return found


def import_build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipes_build", EMBEDDED / "recipes" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def requirements(version: str) -> dict[str, str]:
    lines = (IMAGE / "requirements" / f"{version}.txt").read_text().split()
    return dict(line.split("==") for line in lines)


def images(compose: dict[str, Any]) -> set[str]:
    return {service["image"] for service in compose["services"].values()}


def test_every_version_has_the_services_of_the_real_recipe(trees: dict[str, dict[str, Any]]) -> None:
    assert trees
    for name, compose in trees.items():
        assert set(compose["services"]) == SERVICES, name


def test_every_image_is_one_that_the_platform_makes(trees: dict[str, dict[str, Any]]) -> None:
    entries = tomllib.loads((EMBEDDED / "images" / "images.toml").read_text())["image"]
    made = {f"127.0.0.1:5000/ccci/{entry['name']}:{entry['tag']}" for entry in entries if entry.get("push")}
    for name, compose in trees.items():
        assert images(compose) <= made, name


def test_the_versions_really_differ(trees: dict[str, dict[str, Any]]) -> None:
    before, after = trees["0.1.0+1.0.0"]["services"], trees["0.2.0+1.1.0"]["services"]
    changed = {name for name in SERVICES if before[name]["image"] != after[name]["image"]}
    assert changed == SERVICES - {"db", "redis", "minio"}
    old, new = requirements("1.0.0"), requirements("1.1.0")
    assert {name for name in old if old[name] != new.get(name)} >= {"Django", "django-lasuite", "mozilla-django-oidc"}


def test_the_good_pull_request_crosses_the_versions(trees: dict[str, dict[str, Any]]) -> None:
    assert images(trees["refs/pull/3/head"]) == images(trees["0.2.0+1.1.0"])


def test_the_one_shot_waits_to_be_run(trees: dict[str, dict[str, Any]]) -> None:
    for name, compose in trees.items():
        deploy = compose["services"]["minio-createbuckets"]["deploy"]
        assert (deploy["replicas"], deploy["restart_policy"]["condition"]) == (0, "none"), name


def test_it_is_called_a_stand_in_wherever_somebody_looks() -> None:
    for file in (RECIPE / "files" / "README.md", RECIPE / "files" / ".env.sample"):
        assert "stand-in" in file.read_text().partition("\n\n")[0] + file.read_text()[:300], file
