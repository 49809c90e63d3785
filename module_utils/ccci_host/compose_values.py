"""Single values of a compose file: their types, and their short forms taken apart. Pure.

Every function takes the value with variables filled in and the raw one, and raises ValueError with what is wrong. As in
the Docker CLI, a text becomes a number or a boolean only when a variable was filled in, so that `replicas: "2"` is an
error and `replicas: ${N:-2}` is not.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

_DURATION = re.compile(r"[+-]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s?([kmgtp]?)i?b?", re.IGNORECASE | re.ASCII)
_PORTS = re.compile(
    r"(?:(?:(?P<ip>\[[0-9a-fA-F:]+\]|[0-9.]+):)?(?P<published>\d{1,5}(?:-\d{1,5})?)?:)?"
    r"(?P<target>\d{1,5}(?:-\d{1,5})?)(?:/(?P<protocol>tcp|udp|sctp))?",
    re.ASCII | re.IGNORECASE,
)
_MODES = {"ro", "rw", "z", "Z", "nocopy", "cached", "delegated", "consistent"}
_PROPAGATION = {"private", "rprivate", "shared", "rshared", "slave", "rslave"}
_MOST_PORTS = 1000  # of one range


def nearest(word: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word, list(known), 1)), None)


def string(value: Any, raw: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value


def boolean(value: Any, raw: Any) -> bool:
    if isinstance(value, str) and value != raw and value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    if not isinstance(value, bool):
        raise ValueError("must be a boolean")
    return value


_BOOLEANS = {"true": True, "yes": True, "y": True, "on": True, "false": False, "no": False, "n": False, "off": False}


def integer(value: Any, raw: Any) -> int:
    if isinstance(value, str) and value != raw and re.fullmatch(r"[+-]?\d{1,18}", value):
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be a integer")
    return value


def number(value: Any, raw: Any) -> float:
    if isinstance(value, str) and value != raw and re.fullmatch(r"[+-]?\d{1,18}(\.\d+)?", value):
        return float(value) if "." in value else int(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def text(value: Any, raw: Any) -> str:
    """A string or a number, as a string (driver options, cpus)."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError("must be a string or number")
    return value if isinstance(value, str) else go_number(value)


def pair_value(value: Any, raw: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError("must be a string, number or null; write it in quotes")
    return value if isinstance(value, str) else go_number(value)


def go_number(value: float) -> str:
    """A number as Go prints it: 1.10 is `1.1`, 1e6 is `1e+06`."""
    if isinstance(value, int):
        return str(value)
    if value != value or value in (float("inf"), float("-inf")):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(value), "NaN")
    if value and not 1e-4 <= abs(value) < 1e6:
        digits, _, exponent = f"{Decimal(repr(value)).normalize():e}".partition("e")
        return f"{digits}e{exponent[0]}{exponent[1:].zfill(2)}"
    return repr(value).removesuffix(".0")


def duration(value: Any, raw: Any) -> str:
    """`1m30s`. abra checks the raw file, so a variable in a duration is an error there, even with a good default."""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    if isinstance(raw, str) and "$" in raw:
        raise ValueError("Does not match format 'duration': abra does not take a variable here, write it out (5m)")
    if not _DURATION.fullmatch(value):
        raise ValueError(f"Does not match format 'duration': {value[:40]!r}, expected for example 30s or 1m30s")
    return value


def size(value: Any, raw: Any) -> str:
    """Bytes, or a text such as `64M`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ValueError("must be a string")
    if not _SIZE.fullmatch(value):
        raise ValueError(f"has an invalid size: {value[:40]!r}, expected for example 64M")
    return value


def words(value: Any, raw: Any) -> list[str]:
    """A command in one text, split as a shell would; a list of strings."""
    try:
        return shlex.split(string(value, raw))
    except ValueError as error:
        raise ValueError(f"is no command: {error}") from error


def shell_test(value: Any, raw: Any) -> list[str]:
    return ["CMD-SHELL", string(value, raw)]


def grant(value: Any, raw: Any) -> dict[str, Any]:
    return {"source": string(value, raw)}


def ports(value: Any, raw: Any) -> list[dict[str, Any]]:
    """`80`, `8080:80`, `90-91:90-91/udp` as the long form of each port. An address is dropped: swarm ignores it."""
    match = _PORTS.fullmatch(str(value))
    if not match:
        raise ValueError(f"Does not match format 'ports': {str(value)[:40]!r}")
    targets = _range(match["target"])
    published = _range(match["published"]) if match["published"] else [None] * len(targets)
    if len(targets) == 1 and len(published) > 1:
        targets = targets * len(published)
    if len(targets) != len(published):
        raise ValueError(f"Does not match format 'ports': the two ranges of {str(value)[:40]!r} differ in length")
    protocol = (match["protocol"] or "tcp").lower()
    return [
        {"mode": "ingress", "target": target, **({"published": outer} if outer else {}), "protocol": protocol}
        for target, outer in zip(targets, published, strict=True)
    ]


def _range(text_: str) -> list[Any]:
    first, _, last = text_.partition("-")
    low, high = int(first), int(last or first)
    if not 0 < low <= high < 65536 or high - low > _MOST_PORTS:
        raise ValueError(f"Does not match format 'ports': {text_!r}")
    return list(range(low, high + 1))


def mount(value: Any, raw: Any) -> dict[str, Any]:
    """`volume:/path:ro`, `/host:/path`, `/path` as the long form."""
    parts = string(value, raw).split(":")
    if not all(parts) or len(parts) > 3:
        raise ValueError(f"has an invalid volume: {str(value)[:80]!r}, expected [SOURCE:]TARGET[:MODE]")
    if len(parts) == 1:
        return {"type": "volume", "target": parts[0]}
    source, target = parts[0], parts[1]
    bind = source.startswith(("/", ".", "~"))
    made: dict[str, Any] = {"type": "bind" if bind else "volume", "source": source, "target": target}
    for mode in parts[2].split(",") if len(parts) == 3 else []:
        if mode in _PROPAGATION:
            made["bind"] = {"propagation": mode}
        elif mode not in _MODES:
            raise ValueError(f"has an unknown volume mode {mode!r}")
        elif mode == "ro":
            made["read_only"] = True
        elif mode == "nocopy":
            made["volume"] = {"nocopy": True}
    made["target"] = str(PurePosixPath(target)) if target.startswith("/") else target
    return made
