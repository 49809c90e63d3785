"""What every test may rely on."""

from __future__ import annotations

import os

import pytest

ON_NODE = "CCCI_ON_NODE"


@pytest.fixture(autouse=True)
def _only_on_a_node(request: pytest.FixtureRequest) -> None:
    """Tests with the mark `docker` make and remove things in this machine's swarm: never by accident."""
    if request.node.get_closest_marker("docker") and ON_NODE not in os.environ:
        pytest.fail(
            f"This test works on this machine's own swarm. `make test` runs it inside a nested node; set {ON_NODE}=1 "
            "to run it here, on an embedded node that is yours to use",
            pytrace=False,
        )
