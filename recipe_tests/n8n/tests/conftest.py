"""Somebody who may do everything."""

import pytest
from n8n_client import N8n, owner


@pytest.fixture(scope="session")
def n8n(app) -> N8n:
    """The owner, logged in."""
    return owner(app)
