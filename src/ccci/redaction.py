"""The one place that hides secrets.

A run's secret values live in `<run dir>/secrets.json` (mode 0600, `{name: value}`). Everything that is written to a
run's folder or to a terminal passes through `Redactor.text`; `find_leaks` is the independent check at a run's end.

The node does not know what is secret, and yet it cuts long texts, maybe through the middle of a secret. So what is left
of one is hidden as well, where a cut can have been: where a line begins or ends, at a quote, and at the mark `…`. Code
that cuts a text which it does not put on a line of its own, or into quotes, therefore sets that mark.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import html
import json
import os
import re
import tempfile
import urllib.parse
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

SECRETS_FILE = "secrets.json"
DEPS_FILE = "deps.json"  # the facts of the run's deps, which name secrets too
SHORTEST = 6  # hiding shorter values would tear holes into ordinary words; nothing that a run generates is that short
Span = tuple[int, int, str]  # from, to, what is shown instead
# Where a text may have been cut. A line feed is also looked for as programs spell it in one line.
_EDGE = re.compile(r"""\s{0,9}(?:[\r\n…'"`]|\\[rn])\s{0,9}""")


def encodings(value: str) -> set[str]:
    """The spellings in which a secret may turn up: plain, JSON-escaped, URL-encoded, base64."""
    raw = value.encode()
    spellings = {value, json.dumps(value)[1:-1], urllib.parse.quote(value, safe=""), urllib.parse.quote_plus(value)}
    spellings.add(html.escape(value))
    spellings |= {repr(value)[1:-1], repr(value + "'\"")[1:-4]}  # Python's, in either kind of quotes
    spellings |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(), *_within_base64(raw)}
    if "\n" in value:  # multi-line secrets (keys) are usually printed line by line
        spellings |= {line for line in value.splitlines() if len(line) >= 2 * SHORTEST}
    return {spelling for spelling in spellings if len(spelling) >= SHORTEST}


def _within_base64(raw: bytes) -> Iterator[str]:
    """What base64 makes of a secret in the middle of something, such as `user:secret`: only the characters that no
    neighbour has a part in. They depend on where in a group of three bytes the secret begins."""
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(bytes(before) + raw).decode()
            yield whole[-(-8 * before // 6) : 8 * (before + len(raw)) // 6]


class Redactor:
    """Replaces every known secret by `<secret NAME>`, and what a cut left of one by `<rest of secret NAME>`."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        pairs = {spelling: name for name, value in secrets.items() for spelling in encodings(value)}
        self._pairs = sorted(pairs.items(), key=lambda pair: -len(pair[0]))
        self._all = "\0".join(pairs)

    def text(self, text: str) -> str:
        return _replaced(text, [*self._whole(text), *self._rests(text)])

    def _whole(self, text: str) -> Iterator[Span]:
        for spelling, name in self._pairs:
            place = text.find(spelling)
            while place >= 0:
                yield place, place + len(spelling), f"<secret {name}>"
                place = text.find(spelling, place + len(spelling))

    def _rests(self, text: str) -> Iterator[Span]:
        """What a cut left over of a secret. Ordinary text costs two look-ups an edge."""
        if not self._pairs:
            return
        edges = [(0, 0), *(match.span() for match in _EDGE.finditer(text)), (len(text), len(text))]
        ends = {start for start, _ in edges}
        for before, after in edges:
            if text[after : after + SHORTEST] in self._all:
                for spelling, name in self._pairs:
                    if length := rest_at(text, after, spelling, ends):
                        yield after, after + length, f"<rest of secret {name}>"
            if text[max(0, before - SHORTEST) : before] in self._all:
                for spelling, name in self._pairs:
                    if length := beginning_at(text, before, spelling):
                        yield before - length, before, f"<rest of secret {name}>"

    def data(self, data: Any) -> Any:
        """The same for JSON-like data, keys included."""
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, Mapping):
            return {self.text(str(key)): self.data(value) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.data(value) for value in data]
        return data

    def finds(self, text: str) -> set[str]:
        """The names of the secrets that occur in `text`."""
        return {name for spelling, name in self._pairs if spelling in text}


def least_part(spelling: str) -> int:
    """Characters of a secret that count as a part of it. The rest of a secret keeps what is shorter a secret, and the
    words that people make secrets of are found in ordinary text."""
    return max(SHORTEST, len(spelling) // 4)


def rest_at(text: str, place: int, spelling: str, ends: Collection[int]) -> int:
    """How much of `text` from `place` on is the end of `spelling`, or a piece of it that reaches to one of `ends`."""
    least = least_part(spelling)
    head, longest = text[place : place + least], 0
    start = spelling.find(head) if len(head) == least else -1
    while start >= 0:
        rest = spelling[start:]
        found = text[place : place + len(rest)]
        same = next((at for at, pair in enumerate(zip(rest, found, strict=False)) if pair[0] != pair[1]), len(found))
        if same == len(rest) or place + same in ends:
            longest = max(longest, same)
        start = spelling.find(head, start + 1)
    return longest


def beginning_at(text: str, place: int, spelling: str) -> int:
    """How much of `text` before `place` is the beginning of `spelling`."""
    least = least_part(spelling)
    tail, end = text[max(0, place - least) : place], len(spelling)
    while len(tail) == least and (start := spelling.rfind(tail, 0, end)) >= 0:
        length = start + least
        if text.endswith(spelling[:length], 0, place):
            return length
        end = length - 1
    return 0


def _replaced(text: str, spans: Iterable[Span]) -> str:
    """Spans that overlap become one, in the words of the one that begins first, or else of the longest."""
    parts, reached = [], 0
    for start, end, words in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= reached:
            parts += [text[reached:start], words]
        reached = max(reached, end)
    return "".join([*parts, text[reached:]])


def load_secrets(run_dir: Path) -> dict[str, str]:
    try:
        return dict(json.loads((run_dir / SECRETS_FILE).read_text()))
    except FileNotFoundError:
        return {}


def add_secrets(run_dir: Path, secrets: Mapping[str, str]) -> None:
    """Registers secret values for the rest of the run; others can never read the file, not even while it is written."""
    if secrets:
        with _alone_with(run_dir):
            write_private(run_dir / SECRETS_FILE, load_secrets(run_dir) | dict(secrets))


def secret_of(run_dir: Path, name: str, make: Callable[[], str]) -> str:
    """The secret of this name; made, and registered before anybody has it, when there is none yet."""
    with _alone_with(run_dir):
        known = load_secrets(run_dir)
        if name not in known:
            known[name] = make()
            write_private(run_dir / SECRETS_FILE, known)
        return known[name]


@contextlib.contextmanager
def _alone_with(run_dir: Path) -> Iterator[None]:
    """Nobody else adds to the run's secrets meanwhile: ccci, Ansible's processes and the tests all do."""
    descriptor = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for left in run_dir.glob(f".{SECRETS_FILE}.*"):  # of somebody who was killed while writing
            left.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)


def write_private(path: Path, data: Mapping[str, Any]) -> None:
    """A JSON file that nobody else can read, at no moment; whole or not at all."""
    descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    with os.fdopen(descriptor, "w") as file:
        json.dump(data, file)
    Path(partial).replace(path)


def redactor_of(run_dir: Path) -> Redactor:
    return Redactor(load_secrets(run_dir))


def find_leaks(run_dir: Path) -> dict[str, set[str]]:
    """Files of the run in which a secret can be read: `{relative path: {names}}`. Binary files are searched too."""
    redactor = redactor_of(run_dir)
    leaks = {}
    for path in _files(run_dir):
        names = redactor.finds(path.read_bytes().decode("utf-8", "surrogateescape"))
        if names:
            leaks[str(path.relative_to(run_dir))] = names
    return leaks


def _files(run_dir: Path) -> Iterable[Path]:
    private = (run_dir / SECRETS_FILE, run_dir / DEPS_FILE)
    return sorted(path for path in run_dir.rglob("*") if path.is_file() and path not in private)
