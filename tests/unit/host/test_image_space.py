"""How much disk a run's images take: sums over layers, what is here, what was measured."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ccci_host import image_space
from ccci_host.image_space import FACTOR, RESERVE, Wanted, chain_ids, measured, weigh
from ccci_host.registry_api import Layer

GIB = 1024**3
A, B, C = (Layer(f"sha256:{name}", size, f"diff-{name}") for name, size in (("a", 100), ("b", 20), ("c", 3)))


def wanted(name: str, *layers: Layer, digest: str = "") -> Wanted:
    return Wanted(f"{name}:1", name, digest or f"sha256:{name}", layers)


def test_a_layer_that_base_and_head_share_counts_once() -> None:
    space = weigh([wanted("base", A, B), wanted("head", A, C)], (), {}, GIB * 9, "/d")
    assert [one.download for one in space.weights] == [120, 3]
    assert (space.download, space.unpacked) == (123, 123 * FACTOR)
    assert space.need == 123 + 369 + RESERVE


def test_a_layer_that_is_here_counts_nothing_but_only_above_the_same_layers() -> None:
    here = set(chain_ids(["diff-a", "diff-b"]))
    assert weigh([wanted("x", A, B, C)], here, {}, 0, "/d").download == 3
    assert weigh([wanted("x", B, A, C)], here, {}, 0, "/d").download == 123
    unknown = Layer("sha256:a", 100)
    assert weigh([wanted("x", unknown, B)], here, {}, 0, "/d").download == 120


def test_chain_ids_are_those_of_the_oci_specification() -> None:
    both = hashlib.sha256(b"sha256:1 sha256:2").hexdigest()
    assert chain_ids(["sha256:1", "sha256:2"]) == ["sha256:1", f"sha256:{both}"]
    assert chain_ids(["sha256:1", ""]) == []


def test_it_is_short_only_when_something_is_to_be_pulled() -> None:
    need = 123 + 369 + RESERVE
    assert not weigh([wanted("x", A, B, C)], (), {}, need, "/d").is_short
    assert weigh([wanted("x", A, B, C)], (), {}, need - 1, "/d").is_short
    assert not weigh([], (), {}, 0, "/d").is_short


def test_an_image_of_unknown_size_counts_nothing_and_is_named() -> None:
    space = weigh([Wanted("x:1", "x", "d", None)], (), {}, 0, "/d")
    assert (space.unknown, space.is_short) == (("x:1",), False)
    assert space.lines == ["x:1: its registry does not say how large it is"]


def test_the_numbers_are_told() -> None:
    large = Layer("sha256:l", int(2.3 * GIB))
    space = weigh([wanted("office", large)], (), {}, int(4.1 * GIB), "/var/lib/docker")
    assert space.told == ("needs 10.2 GiB (2.3 GiB to pull, about 6.9 GiB unpacked, 1.0 GiB to stay free), "
                          "4.1 GiB free below /var/lib/docker")  # fmt: skip
    assert space.lines == ["office:1: 2.3 GiB to pull, 6.9 GiB unpacked (estimated as 3.0 times the compressed size)"]


def test_what_was_measured_replaces_the_estimate(tmp_path: Path) -> None:
    image_space.remember(tmp_path, {"sha256:x": measured("x", 1000, 2500)})
    image_space.remember(tmp_path, {"sha256:y": measured("y", 1000, 9000)})
    seen = image_space.read_seen(tmp_path)
    assert image_space.factor_of("x", "sha256:x", seen) == (2.5, "measured on this node")
    factor, how = image_space.factor_of("x", "sha256:new", seen)
    assert (factor, "as measured for x on this node" in how) == (2.5, True)
    assert image_space.factor_of("z", "sha256:z", seen)[0] == FACTOR
    assert weigh([wanted("x", A, digest="sha256:x")], (), seen, 0, "/d").unpacked == 250


@pytest.mark.parametrize("text", ["", "[1]", '{"a": 1}', '{"a": {"repository": "x", "compressed": 0, "size": 1}}'])
def test_a_spoilt_memory_is_no_memory(tmp_path: Path, text: str) -> None:
    (tmp_path / image_space.SEEN_FILE).write_text(text)
    assert image_space.read_seen(tmp_path) == {}
    image_space.remember(tmp_path, {"sha256:x": measured("x", 1, 2)})
    assert list(json.loads((tmp_path / image_space.SEEN_FILE).read_text())) == ["sha256:x"]


def test_the_memory_forgets_the_oldest_and_needs_no_folder(tmp_path: Path) -> None:
    entries = {f"sha256:{number}": {**measured("x", 1, 2), "at": number + 1} for number in range(600)}
    image_space.remember(tmp_path, entries)
    kept = image_space.read_seen(tmp_path)
    assert (len(kept), "sha256:599" in kept, "sha256:0" in kept) == (image_space.MOST_SEEN, True, False)
    image_space.remember(tmp_path / "none", entries)


def test_where_the_images_are(tmp_path: Path) -> None:
    assert image_space.image_root({"DockerRootDir": str(tmp_path)}) == tmp_path
    assert image_space.image_root({"DockerRootDir": str(tmp_path / "none")}) == Path("/")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 MiB"), (1024**2 * 3 // 2, "1.5 MiB"), (850 * 1024**2, "850 MiB"), (GIB, "1.0 GiB"), (11 * GIB, "11.0 GiB")],
)  # fmt: skip
def test_sizes_for_people(count: int, text: str) -> None:
    assert image_space.size(count) == text
