"""What a dump in a snapshot holds, as far as it can be said for sure. Pure.

Only small files are looked into: a big one holds something. What is sure is a problem; what is only odd is a note.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

LOOKED_INTO = 64 * 1024  # bytes of a file in a snapshot; what is bigger is not fetched
UNPACKED = 1024 * 1024  # bytes that are unpacked at most: an archive may be made to burst
# What each program makes of nothing; gzip may add the name of the file.
NOTHING = {".gz": 20, ".bz2": 14, ".xz": 32, ".zst": 13}
BIG_DATA = 512 * 1024**2  # bytes
TINY_PART = 10_000  # a dump that is smaller than this part of its data directory is odd
LIKE_A_DUMP = re.compile(r"\.(sql|dump|pgdump)(\.(gz|bz2|xz|zst))?$", re.IGNORECASE)
# Each is looked for in one line: a dump is hostile too, and must not keep an expression busy.
_STATEMENT = re.compile(
    r"(^|;|/\*!\d*)\s*(create|insert|copy|alter|drop|set|select|update|replace|use|lock|begin|start|delete|grant|pragma"
    r"|comment|truncate|analyze|do|with)\b",
    re.IGNORECASE,
)
_DATA = re.compile(r"(^|;|/\*!\d*)\s*(create|insert|copy|replace)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """`problem`: it surely holds nothing that could be restored; `note`: it is odd. Both empty for a good dump."""

    problem: str = ""
    note: str = ""


def look(path: str, size: int, content: bytes | None) -> Found:
    """`size` in bytes; `content` is the whole file, None when it could not be had or is too big."""
    if size == 0:
        return Found("it is empty: 0 bytes")
    name = PurePosixPath(path)
    if name.suffix in NOTHING:
        if content is None or name.suffix == ".zst":
            room = 1 + len(name.stem) if name.suffix == ".gz" else 0
            return Found(_of_nothing(size) if size <= NOTHING[name.suffix] + room else "")
        plain, problem = unpacked(name.suffix, content)
        if problem:
            return Found(problem)
        if not plain.strip():
            return Found(_of_nothing(size))
        name = name.with_suffix("")
    elif content is None:
        return Found()
    else:
        plain = content
    return _of_sql(plain) if name.suffix.lower() == ".sql" else Found()


def worth_reading(path: str, size: int) -> bool:
    """Whether `look` can say more about the file when it has its content."""
    suffix = PurePosixPath(path).suffix.lower()
    return 0 < size <= LOOKED_INTO and (suffix == ".sql" or (suffix in NOTHING and suffix != ".zst"))


def too_small(size: int, data: int | None) -> str:
    """The note about a dump of `size` bytes beside `data` bytes of its database's files; empty when it is not odd."""
    if data is None or data < BIG_DATA or size * TINY_PART > data:
        return ""
    return f"{size} bytes are little beside the {data // 1024**2} MiB of its volume"


def unpacked(suffix: str, content: bytes) -> tuple[bytes, str]:
    """(the beginning of what it holds, what is wrong with the archive)."""
    plain, left = b"", content
    try:
        while left and len(plain) < UNPACKED:  # an archive may be several, one after the other
            unpacker = _unpacker(suffix)
            plain += unpacker.decompress(left, UNPACKED - len(plain))
            if not unpacker.eof:
                return plain, "" if len(plain) >= UNPACKED else "it is cut off: its archive has no end"
            left = unpacker.unused_data.lstrip(b"\0")
    except (zlib.error, lzma.LZMAError, OSError, EOFError):
        return b"", f"it is no {suffix} archive"
    return plain, ""


def _unpacker(suffix: str):  # type: ignore[no-untyped-def]  # three types without a common name
    if suffix == ".gz":
        return zlib.decompressobj(wbits=31)
    return bz2.BZ2Decompressor() if suffix == ".bz2" else lzma.LZMADecompressor(format=lzma.FORMAT_XZ)


def _of_nothing(size: int) -> str:
    return f"it is an archive of nothing: {size} bytes"


def _of_sql(plain: bytes) -> Found:
    if b"\0" in plain or plain.startswith(b"PGDMP"):
        return Found()  # a format of a database's own, under the name of another
    lines = list(_code(plain.decode("utf-8", "replace")))
    if not any(map(_STATEMENT.search, lines)):
        return Found("it holds no SQL statement")
    return Found("", "" if any(map(_DATA.search, lines)) else "it makes no table and holds no row")


def _code(text: str) -> Iterator[str]:
    """Lines without comments and without what only psql reads. MySQL runs what stands in /*! … */."""
    kept, begin, place = [], 0, 0
    while (start := text.find("/*", place)) >= 0:
        place = start + 3
        if text.startswith("/*!", start):
            continue
        kept.append(text[begin:start])
        end = text.find("*/", start + 2)
        begin = place = end + 2 if end >= 0 else len(text)
    kept.append(text[begin:])
    for line in "".join(kept).splitlines():
        if line.strip() and not line.lstrip().startswith(("--", "#", "\\")):
            yield line
