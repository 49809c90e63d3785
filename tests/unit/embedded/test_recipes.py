"""The embedded catalogue: reproducible repositories, and pull requests that are what they say."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ccci_host.compose import ComposeError, read_stack

EMBEDDED = Path(__file__).resolve().parents[3] / "embedded"
PROGRAM = EMBEDDED / "recipes" / "build.py"


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("embedded_recipes_build", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    run_program(cache)
    return cache / "recipes"


def run_program(cache: Path, *recipes: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), *recipes], env={**os.environ, "CCCI_CACHE_DIR": str(cache), **environment},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip


def git(repository: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", f"--git-dir={repository}", *arguments], capture_output=True, text=True, check=True
    ).stdout


def tree(repository: Path, ref: str) -> dict[str, str]:
    names = git(repository, "ls-tree", "-rz", "--name-only", ref).split("\0")
    return {name: git(repository, "show", f"{ref}:{name}") for name in names if name}


def stack_of(repository: Path, ref: str):  # type: ignore[no-untyped-def]
    files = tree(repository, ref)
    exports = dict(line.removeprefix("export ").split("=") for line in files["abra.sh"].splitlines())
    env = {"STACK_NAME": "t_ci_test", "DOMAIN": "t.ci.test", "SECRET_DB_PASSWORD_VERSION": "v1", **exports}
    return read_stack(files, ["compose.yml"], env)


def refs(repository: Path) -> Iterator[str]:
    yield from git(repository, "for-each-ref", "--format=%(refname)").split()


def test_everybody_gets_the_same_commits(catalogue: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text(
        "[user]\nname = Me\n[commit]\ngpgSign = true\n[core]\nautocrlf = true\n"
    )
    run_program(tmp_path, "custom-html", HOME=str(tmp_path / "home"), TZ="Asia/Tokyo", GIT_AUTHOR_NAME="Somebody",
                GIT_DIR="/nonexistent", LC_ALL="C")  # fmt: skip
    again = tmp_path / "recipes" / "custom-html.git"
    assert git(again, "for-each-ref") == git(catalogue / "custom-html.git", "for-each-ref")


def test_a_repository_is_whole_and_holds_nothing_else(catalogue: Path) -> None:
    repository = catalogue / "custom-html.git"
    git(repository, "fsck", "--strict")
    pulls = [f"refs/pull/{number}/head" for number in range(1, 10)]
    tags = ["refs/tags/1.10.0+1.22.1", "refs/tags/1.11.0+1.26.3"]
    assert list(refs(repository)) == ["refs/heads/main", *pulls, *tags]
    assert git(repository, "cat-file", "-t", tags[0]).strip() == "tag"  # annotated: others do not count for abra
    assert not [path.name for path in catalogue.iterdir() if path.suffix not in (".git", ".lock")]


def test_two_builds_at_once_leave_one_good_repository(tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAM), "custom-html"]
    environment = {**os.environ, "CCCI_CACHE_DIR": str(tmp_path)}
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(timeout=60) for one in both] == [0, 0]
    git(tmp_path / "recipes" / "custom-html.git", "fsck", "--strict")


def test_a_changed_or_damaged_repository_is_replaced(catalogue: Path, tmp_path: Path) -> None:
    run_program(tmp_path, "notes")
    repository = tmp_path / "recipes" / "notes.git"
    git(repository, "update-ref", "refs/heads/main", "0.1.0+1.0.0^{commit}")
    run_program(tmp_path, "notes")
    assert git(repository, "for-each-ref") == git(catalogue / "notes.git", "for-each-ref")
    (repository / "HEAD").write_text("nonsense")
    run_program(tmp_path, "notes")
    git(repository, "fsck", "--strict")


def test_every_image_of_a_good_version_is_one_that_gets_built(catalogue: Path) -> None:
    entries = tomllib.loads((EMBEDDED / "images" / "images.toml").read_text())["image"]
    built = {f"127.0.0.1:5000/ccci/{entry['name']}:{entry['tag']}" for entry in entries}
    unknown = {
        f"{repository.stem} {ref}": set(stack_of(repository, ref).images) - built
        for repository in catalogue.glob("*.git")
        for ref in refs(repository)
        if (repository.stem, ref) not in {("custom-html", f"refs/pull/{number}/head") for number in (6, 9)}
    }
    assert {name: images for name, images in unknown.items() if images} == {
        "custom-html refs/pull/5/head": {"127.0.0.1:5000/ccci/nginx:1.99.0"},
        "faultbox refs/pull/7/head": {"127.0.0.1:5000/ccci/faultbox:9.0.0"},
        "faultbox refs/pull/8/head": {"127.0.0.1:5001/ccci/faultbox:1.1.0"},  # the fault suite's own registry
    }


@pytest.mark.parametrize(("number", "words"), [(6, "compose.yml:1"), (9, "image")])
def test_pull_requests_that_are_no_compose_files(catalogue: Path, number: int, words: str) -> None:
    with pytest.raises(ComposeError, match=words) as caught:
        stack_of(catalogue / "custom-html.git", f"refs/pull/{number}/head")
    assert caught.value.file == "compose.yml"
    assert caught.value.line


def test_the_hostile_pull_request_carries_its_values_as_text(catalogue: Path) -> None:
    repository = catalogue / "custom-html.git"
    stack = stack_of(repository, "refs/pull/8/head")
    assert stack.services["app"].labels["org.example.greeting"].startswith("{{ lookup('pipe', 'touch /tmp/ccci-pwned-")
    assert "{{ lookup(" in stack.configs["greeting"]["file"]
    assert "{{ lookup(" in git(repository, "log", "-1", "--format=%s", "refs/pull/8/head")


def test_only_the_image_pull_request_of_an_older_version_changes_digests(catalogue: Path) -> None:
    repository = catalogue / "custom-html.git"
    assert git(repository, "merge-base", "refs/pull/1/head", "main") == git(
        repository, "rev-parse", "1.10.0+1.22.1^{commit}"
    )
    assert git(repository, "diff", "--name-only", "1.11.0+1.26.3", "refs/pull/7/head").split() == ["README.md"]


def test_an_edit_that_changes_nothing_is_refused(build: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "history.yml").write_text(
        'main:\n  - {subject: One, write: {a: "x x"}}\n  - {subject: Two, edit: {a: {"x": "y"}}}\n'
    )
    with pytest.raises(build.SourceError, match="'Two': a holds 'x' 2 times, not once"):
        build.read_history(tmp_path)


def test_unknown_keys_and_recipes_are_named(build: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "history.yml").write_text("main:\n  - {subject: One, files: {}}\n")
    with pytest.raises(build.SourceError, match="has the keys \\['files', 'subject'\\]"):
        build.read_history(tmp_path)
    with pytest.raises(build.SourceError, match=r"no recipe 'custom-htm' here; there is .*custom-html, faultbox, "):
        build.build("custom-htm", tmp_path)
