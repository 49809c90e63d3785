"""A bare mirror of one recipe: refs, versions, files as blobs, bundles. Nothing is ever checked out here."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ccci import paths
from ccci.errors import InfrastructureError, UsageError
from ccci.source import forge
from ccci.source.git import GitError, credentials_environment, git, public_url
from ccci.source.versions import Head, Version, find, in_order, nearest

# The class has a method called `list`, which would hide the type.
Names = list[str]
Numbers = list[int]
Versions = list[Version]
FETCH_LIMIT = 300.0  # seconds, for the transfer and for the wait behind another fetch
_REMOTE_HEAD = "refs/ccci/remote-head"
_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", "+refs/pull/*/head:refs/pull/*/head")
_FORMAT = "%(refname)%00%(objecttype)%00%(objectname)%00%(*objectname)"
_BLOB = re.compile(rb"[0-9a-f]{40} blob (\d+)\n")
_SHA = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True)
class Selector:
    """What to test. `kind`: main, pr, ref, version; `value`: its number, its SHA or branch, its tag."""

    kind: str = "main"
    value: str = ""


@dataclass(frozen=True)
class _Ref:
    name: str
    target: str  # for an annotated tag: the tag object
    commit: str
    annotated: bool


class Mirror:
    """Open one with `Mirror.open`; `fetch` before asking it anything, so that its answers are the forge's."""

    def __init__(self, recipe: str, url: str, path: Path) -> None:
        self.recipe = recipe
        self.url = public_url(url)
        self.path = path
        self._fetch_url = url

    @classmethod
    def open(cls, recipe: str, url: str) -> Mirror:
        """The mirror of a recipe from a git URL (file, https, ssh) or a local path; makes an empty one when needed."""
        identity = hashlib.sha256(public_url(url).encode()).hexdigest()[:10]
        path = paths.cache_dir() / "mirrors" / f"{recipe}-{identity}.git"
        mirror = cls(recipe, url, path)
        if not (path / "HEAD").exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with mirror._locked():
                git(path, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(path))
        return mirror

    def fetch(self) -> None:
        """Brings the mirror up to date with the forge.

        Raises forge.UnknownRepository when a living forge does not have it, InfrastructureError for everything else.
        """
        with self._locked():
            try:
                try:
                    self._fetch(f"+HEAD:{_REMOTE_HEAD}", *_REFSPECS)
                except GitError as error:
                    if "remote ref HEAD" not in error.words:
                        raise
                    self._fetch(*_REFSPECS)  # the forge's default branch does not exist
            except GitError as error:
                raise forge.explain(self._fetch_url, error.words) from error
        self.__dict__.pop("_refs", None)

    def _fetch(self, *refspecs: str) -> None:
        git(
            self.path,
            "fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--", self.url, *refspecs,
            limit=FETCH_LIMIT,
            environment=credentials_environment(self._fetch_url),
        )  # fmt: skip

    @cached_property
    def _refs(self) -> dict[str, _Ref]:
        listed = git(self.path, "for-each-ref", f"--format={_FORMAT}").decode("utf-8", "replace")
        refs = {}
        for line in filter(None, listed.split("\n")):  # a ref's name may hold U+2028
            name, kind, target, peeled = line.split("\0")
            refs[name] = _Ref(name, target, peeled or target, kind == "tag")
        return refs

    def versions(self) -> Versions:
        """The published versions, oldest first: annotated tags that can be read as a version."""
        prefix = "refs/tags/"
        tags = [ref for ref in self._refs.values() if ref.name.startswith(prefix) and ref.annotated]
        return in_order([Version(ref.name.removeprefix(prefix), ref.commit) for ref in tags])

    def pull_requests(self) -> Numbers:
        numbers = [re.fullmatch(r"refs/pull/(\d+)/head", name) for name in self._refs]
        return sorted(int(match[1]) for match in numbers if match)

    def branches(self) -> Names:
        return sorted(name.removeprefix("refs/heads/") for name in self._refs if name.startswith("refs/heads/"))

    def resolve(self, selector: Selector) -> Head:
        """The commit under test. UsageError when the forge has no such pull request, ref or tag."""
        pr: int | None = None
        if selector.kind == "main":
            label, commit = self._main()
        elif selector.kind == "pr":
            pr = _number(selector.value)
            label, commit = f"pull request {pr}", self._pull_request(pr)
        elif selector.kind == "version":
            label, commit = f"version {selector.value}", find(self.versions(), selector.value).commit
        else:
            label, commit = self._any_ref(selector.value)
        version = selector.value if selector.kind == "version" else self._version_of(commit)
        subject = git(self.path, "log", "-1", "--no-show-signature", "--format=%s", commit).decode("utf-8", "replace")
        return Head(selector.kind, label, pr, commit, version, subject.strip()[:200])

    def ancestors(self, commit: str) -> frozenset[str]:
        """Every commit that `commit` holds, itself included."""
        return frozenset(git(self.path, "rev-list", commit).decode().split())

    def read(self, commit: str, path: str) -> str:
        """A file's text at a commit. FileNotFoundError when the commit has no such file."""
        return self.read_many(commit, [path])[path]

    def read_many(self, commit: str, wanted: Sequence[str]) -> dict[str, str]:
        """Several files at once, in one git call. FileNotFoundError names the first that is missing."""
        names = [path for path in wanted if "\n" not in path]
        queries = "".join(f"{commit}:{path}\n" for path in names).encode("utf-8", "surrogateescape")
        output = git(self.path, "cat-file", "--batch", stdin=queries)
        texts, position = {}, 0
        for path in wanted:
            header = _BLOB.match(output, position) if path in names else None
            if header is None:
                raise FileNotFoundError(f"{path} (commit {commit[:8]} of {self.recipe})")
            position = header.end() + int(header[1]) + 1
            texts[path] = output[header.end() : position - 1].decode("utf-8", "replace")
        return texts

    def list(self, commit: str, prefix: str = "") -> Names:
        """The paths of all regular files below a folder at a commit; symbolic links and submodules are left out."""
        arguments = ["ls-tree", "-r", "-z", "--full-tree", commit]
        if prefix:
            arguments += ["--", prefix]
        entries = git(self.path, *arguments).decode("utf-8", "surrogateescape").split("\0")
        files = [entry.partition("\t") for entry in entries if entry]
        return [path for mode, _, path in files if mode.startswith("100")]

    def bundle(self, commits: Sequence[str], path: Path) -> None:
        """Writes a git bundle with all branches and tags, and a branch `ccci-<12 hex>` for each of the commits.

        A plain `git clone` of the bundle can check out each commit; its HEAD is the first one.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        wanted = {f"refs/heads/ccci-{commit[:12]}": commit for commit in commits}
        if not wanted:
            raise ValueError("a bundle needs at least one commit")
        shared = [ref for ref in self._refs.values() if ref.name.startswith(("refs/heads/", "refs/tags/"))]
        with tempfile.TemporaryDirectory(prefix="ccci-bundle-") as folder:
            # The refs are made in a scratch repository that borrows the mirror's objects: the mirror stays a mirror.
            scratch = Path(folder) / "scratch.git"
            git(scratch, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(scratch))
            (scratch / "objects" / "info").mkdir(exist_ok=True)
            (scratch / "objects" / "info" / "alternates").write_text(f"{(self.path / 'objects').resolve()}\n")
            lines = [f"create {name} {commit}" for name, commit in wanted.items()]
            # An annotated tag must stay one: abra takes no other tag for a version.
            lines += [f"create {ref.name} {ref.target}" for ref in shared if ref.name not in wanted]
            git(scratch, "update-ref", "--stdin", stdin="\n".join([*lines, ""]).encode("utf-8", "surrogateescape"))
            git(scratch, "symbolic-ref", "HEAD", next(iter(wanted)))
            git(scratch, "bundle", "create", "--quiet", str(path.resolve()), "HEAD", "--all", limit=FETCH_LIMIT)

    def _main(self) -> tuple[str, str]:
        named = {name: self._refs.get(f"refs/heads/{name}") for name in ("main", "master")}
        default = self._refs.get(_REMOTE_HEAD)
        for name, ref in named.items():
            if ref and (default is None or default.commit == ref.commit):
                return f"{name} head", ref.commit
        if default is not None:
            return "default branch", default.commit
        raise UsageError(
            f"{self.url} has no default branch", observed=f"branches: {', '.join(self.branches()) or 'none'}",
            next_step="Name what to test with --pr, --ref or --version",
        )  # fmt: skip

    def _pull_request(self, number: int) -> str:
        ref = self._refs.get(f"refs/pull/{number}/head")
        if ref is None:
            known = ", ".join(map(str, self.pull_requests()))
            raise UsageError(
                f"{self.recipe} has no pull request {number}",
                expected=f"one of {known}" if known else "a pull request; this repository has none",
                observed=f"asked {self.url}",
            )
        return ref.commit

    def _any_ref(self, value: str) -> tuple[str, str]:
        for name, label in ((f"refs/heads/{value}", f"branch {value}"), (f"refs/tags/{value}", f"tag {value}")):
            if name in self._refs:
                return label, self._refs[name].commit
        if _SHA.fullmatch(value):
            try:
                found = git(self.path, "rev-parse", "--verify", "--quiet", f"{value}^{{commit}}").decode().strip()
                return f"commit {found[:8]}", found
            except GitError:
                pass  # said below, with what there is
        near = nearest(value, self.branches()) or self.branches()[:10]
        raise UsageError(
            f"{self.recipe} has no branch, tag or commit {value!r}",
            expected=f"a commit's SHA (7 digits or more) or one of the branches {', '.join(near)}",
            observed=f"asked {self.url}",
        )

    def _version_of(self, commit: str) -> str | None:
        tags = [version.tag for version in self.versions() if version.commit == commit]
        return tags[-1] if tags else None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One fetch at a time per mirror, also between processes."""
        deadline = time.monotonic() + FETCH_LIMIT
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise InfrastructureError(
                            f"Waited {FETCH_LIMIT:.0f} s for another ccci that fetches {self.url}",
                            next_step=f"See who holds {self.path.with_suffix('.lock')} (fuser -v)",
                        ) from None
                    time.sleep(0.1)
            yield
        finally:
            os.close(descriptor)


def _number(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,8}", text):
        raise UsageError(f"{text!r} is not the number of a pull request")
    return int(text)
