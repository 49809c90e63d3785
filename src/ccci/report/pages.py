"""What the HTML pages have in common: one environment, in which everything that is not ours is escaped."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ccci.report import words

if TYPE_CHECKING:
    from jinja2 import Environment

PICTURE_LIMIT = 8 * 2**20  # bytes
_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


def environment() -> Environment:
    """With the filters and words that every page uses."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("ccci.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {"seconds": words.seconds, "when": when}
    made.globals |= {"symbols": words.SYMBOLS, "meaning": words.MEANING}
    return made


def when(moment: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment)) if moment else "never"


def inside(folder: Path, name: str) -> Path | None:
    """A file of a folder; a path that leads out of it, through a link or not, is none."""
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) and path.is_file() else None


def picture(path: Path) -> str | None:
    """The address that holds the whole picture; None for what is none, or too large."""
    kind = _PICTURES.get(path.suffix.lower())
    if kind is None or path.stat().st_size > PICTURE_LIMIT:
        return None
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
