"""The web server of the probes' tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "probe"))

from webserver import authority, site  # noqa: F401 - fixtures
