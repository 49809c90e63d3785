"""Why a fetch failed: an unknown repository or a dead forge? The host itself is asked before anybody is blamed."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from ccci.errors import InfrastructureError
from ccci.source.git import public_url

HOST_LIMIT = 10.0  # seconds
_NO_REPOSITORY = re.compile(
    r"not found|does not exist|doesn't exist|does not appear to be a git repository|not a git repository"
    r"|could not read Username|Authentication failed|error: 40[134]",
    re.IGNORECASE,
)
_OTHER_SIDE_BROKEN = re.compile(r"error: 5\d\d|Could not resolve|Connection (refused|reset|timed out)", re.IGNORECASE)


class UnknownRepository(Exception):  # noqa: N818 - an answer for the caller, who knows which names are near
    """The forge is up and has no such repository (or hides it from us)."""


def explain(url: str, words: str) -> Exception:
    """The error that a failed fetch of `url` is: UnknownRepository or InfrastructureError. `words` is what git said."""
    shown = public_url(url)
    if _NO_REPOSITORY.search(words) and not _OTHER_SIDE_BROKEN.search(words):
        silence = host_problem(shown)
        if silence is None:
            return UnknownRepository(words)
        return InfrastructureError(
            f"The forge of {shown} is down",
            expected="The host itself answers",
            observed=f"{silence}; git said: {words}",
            next_step="Try again when the forge is back. Nothing is known about the recipe or the pull request",
        )
    return InfrastructureError(
        f"Cannot fetch {shown}", observed=words, next_step="Check that the forge can be reached from here with git"
    )


def host_problem(url: str) -> str | None:
    """What is wrong with the host of a URL, or None when it answers. A 404 on `/` means that it serves nothing."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return _ask(urlunsplit((parts.scheme, parts.netloc, "/", "", "")))
    if parts.scheme in ("", "file"):
        folder = Path(parts.path).parent
        return None if folder.is_dir() else f"{folder} is not there"
    return None  # over ssh, git's own words came from the host


def _ask(root: str) -> str | None:
    try:
        with urllib.request.urlopen(root, timeout=HOST_LIMIT):  # noqa: S310 - http or https only
            return None
    except urllib.error.HTTPError as answer:
        # A forge may want a login on its front page; that is still a forge that lives.
        return None if answer.code in (401, 403) else f"{root} answers {answer.code}"
    except (OSError, ValueError) as error:
        return f"{root}: {getattr(error, 'reason', None) or error}"
