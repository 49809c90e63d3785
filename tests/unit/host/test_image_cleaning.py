"""What may be taken away between runs: dangling images that nobody uses and no recipe names."""

from __future__ import annotations

import io
import secrets
import subprocess
import tarfile

import pytest

from ccci_host import image_cleaning
from ccci_host.docker import Client
from ccci_host.image_cleaning import Image, images_of, named_by, why_kept

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
DANGLING = Image("sha256:1", (), (f"example/web@{DIGEST}",), 10)
BUILT = Image("sha256:2", (), (), 10)
TAGGED = Image("sha256:3", ("example/web:1", "127.0.0.1:5000/a/b:1"), (f"example/web@{OTHER}",), 10)


def test_images_as_the_engine_lists_them() -> None:
    listed = [
        {"Id": "sha256:1", "RepoTags": None, "RepoDigests": [f"example/web@{DIGEST}"], "Size": 10},
        {"Id": "sha256:2", "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"], "Size": 10},
    ]
    assert images_of(listed) == [DANGLING, BUILT]
    assert (DANGLING.name, BUILT.name) == (f"example/web@{DIGEST}", "sha256:2")


@pytest.mark.parametrize(
    ("texts", "digests", "repositories"),
    [
        (["example/web:1", "127.0.0.1:5000/a/b:1"], set(), set()),  # both tags are here
        (["example/web:2"], set(), {"example/web"}),
        (["docker.io/example/web:2"], set(), {"example/web"}),
        ([f"example/web:1@{DIGEST}"], {DIGEST}, set()),
        ([DIGEST], {DIGEST}, set()),
        (["example/web:$"], set(), {"example/web"}),
        (["127.0.0.1:5000/a/b:v${VERSION}"], set(), {"127.0.0.1:5000/a/b"}),
        (["${IMAGE}", "Not An Image", "$"], set(), set()),
    ],
)
def test_what_recipes_name(texts: list[str], digests: set[str], repositories: set[str]) -> None:
    named = named_by(texts, [TAGGED, DANGLING])
    assert (set(named.digests), set(named.repositories)) == (digests, repositories)


@pytest.mark.parametrize(
    ("image", "texts", "used", "words"),
    [
        (DANGLING, [], set(), ""),
        (BUILT, ["example/web:2"], set(), ""),
        (DANGLING, ["example/web:1"], set(), ""),  # the tag that the recipe names is here, as another image
        (DANGLING, [f"example/web@{DIGEST}"], set(), "a recipe names its digest"),
        (DANGLING, ["example/web:2"], set(), "it may be a tag that a recipe names and that is not here"),
        (DANGLING, ["example/w$"], set(), "it may be a tag that a recipe names and that is not here"),
        (DANGLING, ["docker.io/${ORG}/web"], set(), "it may be a tag that a recipe names and that is not here"),
        (DANGLING, ["${IMAGE}"], set(), "it may be a tag that a recipe names and that is not here"),
        (DANGLING, ["other/$"], set(), ""),
        (DANGLING, [], {"sha256:1"}, "a container or a service uses it"),
        (DANGLING, [], {DIGEST}, "a container or a service uses it"),
    ],
)
def test_what_stays_and_why(image: Image, texts: list[str], used: set[str], words: str) -> None:
    assert why_kept(image, used, named_by(texts, [TAGGED, DANGLING])) == words


def docker(*arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["docker", *arguments], input=stdin, check=True, capture_output=True, timeout=60)
    return done.stdout.decode().strip()


def untagged_image() -> str:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("data")
        entry.size = 100_000
        tar.addfile(entry, io.BytesIO(secrets.token_bytes(entry.size)))
    return docker("import", "-", stdin=archive.getvalue())


@pytest.mark.docker
def test_what_is_used_stays_and_what_is_not_goes() -> None:
    loose, used = untagged_image(), untagged_image()
    container = docker("create", used, "true")
    try:
        dry = image_cleaning.clean(Client(), [], dry=True)
        assert {loose[:19]} <= {one["name"] for one in dry["removed"]}
        assert docker("image", "inspect", "--format", "{{.Id}}", loose) == loose
        done = image_cleaning.clean(Client(), [], dry=False)
        assert loose[:19] in {one["name"] for one in done["removed"]}
        assert done["bytes"] >= 100_000
        assert {"name": used[:19], "why": "a container or a service uses it"} in done["kept"]
        with pytest.raises(subprocess.CalledProcessError):
            docker("image", "inspect", loose)
        assert docker("image", "inspect", "--format", "{{.Id}}", used) == used
    finally:
        docker("rm", container)
        docker("rmi", used)
