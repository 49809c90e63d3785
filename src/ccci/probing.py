"""The controller's half of the modules that ask again and again from here: it shows what they see meanwhile.

Such a module is one process from its first try to its last (it keeps connections and cookies), so it does not answer in
slices; it leaves its last words in a file.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ccci.actions import ModuleAction

EVERY = 5.0  # seconds between two lines, and before the first one
LOOK = 0.5  # seconds between two looks at the file


class ProbeAction(ModuleAction):
    """Adds `sign_file` and says what the module writes there (see `sign` of ccci_probe.polling)."""

    def _slices(
        self, arguments: dict[str, Any], variables: dict[str, Any], ours: dict[str, Any], run_dir: Path | None
    ) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="ccci-probe-") as folder:
            sign = Path(folder) / "sign.json"
            sign.touch()
            with saying(sign, partial(self._say, ours=ours, run_dir=run_dir)):
                return super()._slices({**arguments, "sign_file": str(sign)}, variables, ours, run_dir)


@contextlib.contextmanager
def saying(sign: Path, say: Callable[[str], None]) -> Iterator[None]:
    """As long as this lasts, `say` gets a line about a check that takes long, again and again."""
    over = threading.Event()

    def work() -> None:
        # What cannot be written here, cannot be written when the module has answered either, and is told then.
        with contextlib.suppress(OSError):
            spoke = 0.0
            while not over.wait(LOOK):
                now = time.time()
                line = told(read(sign), now) if now - spoke >= EVERY else ""
                if line:
                    spoke = now
                    say(line)

    # Ansible's display looks at the context of the task, which a thread does not have by itself.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def read(sign: Path) -> Mapping[str, Any]:
    """What the module wrote last; {} before that, and while it is being written."""
    try:
        found = json.loads(sign.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def told(sign: Mapping[str, Any], now: float) -> str:
    """`install.ready: GET https://…: status 503 (12 s)`; "" for a check that has not been waited for. Pure."""
    waited = now - float(sign.get("began") or now)
    return f"{sign['about']}: {sign['seen'] or 'no answer yet'} ({waited:.0f} s)" if waited >= EVERY else ""
