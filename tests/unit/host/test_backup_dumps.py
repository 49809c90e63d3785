"""What can be said for sure of a dump, and what is only odd."""

from __future__ import annotations

import bz2
import gzip
import lzma
import time
from functools import partial

import pytest

from ccci_host.backup_dumps import UNPACKED, look, too_small, worth_reading

packed = partial(gzip.compress, mtime=0)  # the same bytes in each process: they name the tests
PG_DUMP = b"""--
-- PostgreSQL database dump
--
\\restrict aBcD
SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
"""
TABLE = b"CREATE TABLE public.notes (id integer);\nCOPY public.notes (id) FROM stdin;\n1\n\\.\n"
MYSQL = b"-- MariaDB dump 10.19\n/*!40101 SET NAMES utf8mb4 */;\n/* a word */\nDROP TABLE IF EXISTS `a`;\n"


def problem(path: str, content: bytes) -> str:
    return look(path, len(content), content).problem


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("a.sql", b"", "it is empty: 0 bytes"),
        ("a.sql", b"-- nothing\n/* at all\n; */\n# here\n\n", "it holds no SQL statement"),
        ("a.sql", b"pg_dump: error: connection to server failed\n", "it holds no SQL statement"),
        ("a.sql.gz", packed(b""), "it is an archive of nothing: 20 bytes"),
        ("a.sql.gz", packed(b"\n"), "it is an archive of nothing"),
        ("a.sql.gz", packed(b"-- MariaDB dump\n"), "it holds no SQL statement"),
        ("a.sql.gz", packed(MYSQL * 50)[:-20], "it is cut off"),
        ("a.sql.gz", b"mysqldump: Got error: 1045: Access denied\n", "it is no .gz archive"),
        ("a.tar.bz2", bz2.compress(b""), "it is an archive of nothing: 14 bytes"),
        ("a.tar.xz", lzma.compress(b""), "it is an archive of nothing: 32 bytes"),
        ("a.tar.zst", b"x" * 13, "it is an archive of nothing: 13 bytes"),
    ],
)
def test_what_surely_holds_nothing(path: str, content: bytes, words: str) -> None:
    assert problem(path, content).startswith(words)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.sql", PG_DUMP + TABLE),
        ("a.sql", MYSQL + b"CREATE TABLE `a` (b int);"),
        ("a.sql", b"PGDMP\x01\x0e\x00 a format of its own"),
        ("a.sql", b"BEGIN; CREATE TABLE a (b); COMMIT;"),
        ("a.sql.gz", packed(PG_DUMP + TABLE)),
        ("a.sql.gz", packed(PG_DUMP) + packed(TABLE)),
        ("a.txt.gz", packed(b"hello")),
        ("a.tar.gz", packed(b"\0" * 10240)),
        ("a.tar.zst", b"x" * 14),
        ("notes.txt", b"words"),
    ],
)
def test_what_holds_something(path: str, content: bytes) -> None:
    assert (problem(path, content), look(path, len(content), content).note) == ("", "")


def test_a_dump_of_settings_alone_is_odd_but_no_failure() -> None:
    assert look("a.sql", len(PG_DUMP), PG_DUMP).note == "it makes no table and holds no row"
    assert problem("a.sql", PG_DUMP) == ""


@pytest.mark.parametrize(
    ("path", "size", "empty"),
    [("a.sql", 1, False), ("a.gz", 20, True), ("backup.sql.gz", 31, True), ("backup.sql.gz", 32, False),
     ("a.xz", 32, True), ("a.xz", 33, False)],
)  # fmt: skip
def test_without_its_content_the_size_of_an_archive_has_to_do(path: str, size: int, empty: bool) -> None:
    assert bool(look(path, size, None).problem) is empty


def test_an_archive_that_bursts_is_not_unpacked_whole() -> None:
    burst = gzip.compress(b"-- nothing\n" * (UNPACKED // 2))
    assert len(burst) < 64 * 1024
    began = time.monotonic()
    assert look("a.sql.gz", len(burst), burst).problem == "it holds no SQL statement"
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("piece", [b"/*", b"/*!", b"\n", b"; ", b"/* */", b" ", b"/*!1"])
def test_text_made_to_keep_us_busy_does_not(piece: bytes) -> None:
    text = piece * (UNPACKED // len(piece))
    began = time.monotonic()
    look("a.sql.gz", 1000, gzip.compress(text))
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(("path", "size", "worth"), [("a.sql", 100, True), ("a.sql.gz", 100, True), ("a.sql", 0, False),
                                                     ("a.sql", 2**17, False), ("a.dump", 9, False),
                                                     ("a.zst", 9, False)])  # fmt: skip
def test_only_what_can_say_more_is_read(path: str, size: int, worth: bool) -> None:
    assert worth_reading(path, size) is worth


def test_a_small_dump_beside_much_data_is_odd() -> None:
    assert too_small(2000, 3 * 1024**3) == "2000 bytes are little beside the 3072 MiB of its volume"
    assert too_small(2000, 40 * 1024**2) == "", "a fresh database takes some space with nothing in it"
    assert too_small(10**6, 3 * 1024**3) == ""
    assert too_small(2000, None) == ""
