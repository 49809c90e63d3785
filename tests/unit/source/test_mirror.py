"""A mirror against real repositories."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gitrepo import Repo

from ccci.errors import UsageError
from ccci.source.forge import UnknownRepository
from ccci.source.git import TooMuch
from ccci.source.mirror import Mirror, Selector
from ccci.source.versions import Version


@pytest.fixture
def mirror(repo: Repo) -> Mirror:
    mirror = Mirror.open("demo", repo.url)
    mirror.fetch()
    return mirror


def test_versions_are_annotated_tags_only(mirror: Mirror) -> None:
    assert [version.tag for version in mirror.versions()] == ["1.0.0+1.2.0", "1.1.0+1.3.0"]


def test_resolve_main(mirror: Mirror, repo: Repo) -> None:
    head = mirror.resolve(Selector())
    assert (head.kind, head.label, head.pr, head.version) == ("main", "main head", None, None)
    assert head.commit == repo.git("rev-parse", "main")
    assert head.subject == "Say what it is"


def test_resolve_the_forges_default_branch_when_it_is_not_main(repo: Repo) -> None:
    other = repo.ref("refs/heads/develop", repo.commit({"x": "1"}, "Other", parent=repo.git("rev-parse", "main")))
    repo.git("symbolic-ref", "HEAD", "refs/heads/develop")
    mirror = Mirror.open("demo", repo.url)
    mirror.fetch()
    assert mirror.resolve(Selector()).commit == other


def test_fetch_without_a_default_branch_still_serves_the_rest(repo: Repo) -> None:
    repo.git("symbolic-ref", "HEAD", "refs/heads/gone")
    mirror = Mirror.open("demo", repo.url)
    mirror.fetch()
    assert mirror.resolve(Selector()).label == "main head"


def test_resolve_pull_request(mirror: Mirror) -> None:
    head = mirror.resolve(Selector("pr", "1"))
    assert (head.label, head.pr, head.subject) == ("pull request 1", 1, "A change")


def test_unknown_pull_request_lists_the_known_ones(mirror: Mirror) -> None:
    with pytest.raises(UsageError) as error:
        mirror.resolve(Selector("pr", "12"))
    assert "no pull request 12" in str(error.value)
    assert "1, 2" in error.value.expected


def test_pull_request_must_be_a_number(mirror: Mirror) -> None:
    with pytest.raises(UsageError):
        mirror.resolve(Selector("pr", "1/head"))


def test_resolve_version_and_nearest_for_a_misspelt_one(mirror: Mirror) -> None:
    assert mirror.resolve(Selector("version", "1.0.0+1.2.0")).version == "1.0.0+1.2.0"
    with pytest.raises(UsageError) as error:
        mirror.resolve(Selector("version", "1.0.0+1.2"))
    assert "1.0.0+1.2.0" in error.value.expected


def test_resolve_ref(mirror: Mirror, repo: Repo) -> None:
    commit = repo.git("rev-parse", "main")
    assert mirror.resolve(Selector("ref", "main")).commit == commit
    assert mirror.resolve(Selector("ref", commit[:9])).label == f"commit {commit[:8]}"
    assert mirror.resolve(Selector("ref", "1.1.0+1.3.0")).version == "1.1.0+1.3.0"


@pytest.mark.parametrize("value", ["mian", "deadbeef", "--help", "HEAD^{tree}", "main; id"])
def test_unknown_ref(mirror: Mirror, value: str) -> None:
    with pytest.raises(UsageError) as error:
        mirror.resolve(Selector("ref", value))
    assert "main" in error.value.expected


def test_read_and_list(mirror: Mirror) -> None:
    commit = mirror.resolve(Selector("pr", "1")).commit
    assert mirror.read(commit, "README.md") == "Demo\n"
    assert mirror.read_many(commit, ["README.md", "abra.sh"])["abra.sh"] == "export A=v1\n"
    assert mirror.list(commit, ".ccci/") == [".ccci/tests/x.yml"]
    assert mirror.list(commit) == [".ccci/tests/x.yml", "README.md", "abra.sh", "compose.yml"]


@pytest.mark.parametrize("name", ["nothing", "a blob 3", "x\ny", ".ccci"])
def test_read_of_a_missing_file(mirror: Mirror, name: str) -> None:
    with pytest.raises(FileNotFoundError):
        mirror.read(mirror.resolve(Selector("pr", "1")).commit, name)


def test_fetch_follows_what_the_forge_forgot_and_moved(mirror: Mirror, repo: Repo) -> None:
    repo.git("update-ref", "-d", "refs/pull/2/head")
    moved = repo.ref("refs/pull/1/head", repo.commit({"y": "2"}, "Force-pushed", parent=repo.git("rev-parse", "main")))
    mirror.fetch()
    assert mirror.pull_requests() == [1]
    assert mirror.resolve(Selector("pr", "1")).commit == moved


def test_many_fetches_at_once(repo: Repo) -> None:
    def fetch(_: int) -> int:
        mirror = Mirror.open("demo", repo.url)
        mirror.fetch()
        return len(mirror.versions())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fetch, range(6))) == [2] * 6


def test_a_clone_of_the_bundle_can_check_out_base_and_head(mirror: Mirror, repo: Repo, tmp_path: Path) -> None:
    head = mirror.resolve(Selector("pr", "2")).commit
    base = mirror.versions()[0].commit
    bundle = tmp_path / "run" / "recipe.bundle"
    mirror.bundle([head, base], bundle)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(bundle), str(clone)], check=True)

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(clone), *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    assert git("rev-parse", "HEAD") == head
    git("checkout", "-q", base)
    assert (clone / "abra.sh").exists()
    assert git("cat-file", "-t", "1.0.0+1.2.0") == "tag"
    assert git("rev-parse", "origin/main") == repo.git("rev-parse", "main")


def test_the_mirror_has_no_trace_of_a_bundle(mirror: Mirror, tmp_path: Path) -> None:
    before = subprocess.run(["git", f"--git-dir={mirror.path}", "for-each-ref"], capture_output=True, check=True).stdout
    mirror.bundle([mirror.versions()[0].commit], tmp_path / "b")
    after = subprocess.run(["git", f"--git-dir={mirror.path}", "for-each-ref"], capture_output=True, check=True).stdout
    assert before == after


def test_ancestors(mirror: Mirror) -> None:
    first, second = [version.commit for version in mirror.versions()]
    held = mirror.ancestors(mirror.resolve(Selector("pr", "2")).commit)
    assert first in held
    assert second not in held


def test_missing_repository_in_a_living_place(repo: Repo) -> None:
    mirror = Mirror.open("other", f"file://{repo.path.parent}/other.git")
    with pytest.raises(UnknownRepository):
        mirror.fetch()


def test_version_order_key_needs_a_version() -> None:
    with pytest.raises(ValueError):
        _ = Version("latest", "0" * 40).order


def test_a_branch_whose_name_holds_a_line_separator_is_a_branch(repo: Repo) -> None:
    repo.ref("refs/heads/a\u2028b", repo.git("rev-parse", "main"))
    mirror = Mirror.open("demo", repo.url)
    mirror.fetch()
    assert "a\u2028b" in mirror.branches()


def bomb(repo: Repo, levels: int = 9) -> str:
    """A commit of a few kilobytes that lists as ten to the power of `levels` files."""
    tree = repo.git("mktree", stdin=f"100644 blob {repo.git('hash-object', '-w', '--stdin', stdin='x')}\tf\n")
    for _ in range(levels):
        tree = repo.git("mktree", stdin="".join(f"040000 tree {tree}\td{number}\n" for number in range(10)))
    return repo.git("commit-tree", tree, "-m", "x", "-p", repo.git("rev-parse", "main"))


def test_a_repository_cannot_fill_the_memory(repo: Repo) -> None:
    commit = repo.ref("refs/heads/bomb", bomb(repo))
    mirror = Mirror.open("demo", repo.url)
    mirror.fetch()
    with pytest.raises(TooMuch, match="more than 64 MiB"):
        mirror.list(commit)
