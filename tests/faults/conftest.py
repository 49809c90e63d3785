"""The fault suite in pytest: what is pure always, and a few of the cases on the nested node."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

# Recipe tests that a case brings along; they run inside a play.
collect_ignore = ["settings"]
