"""Somebody who may do everything."""

import pytest
from n8n_client import N8n


@pytest.fixture(scope="session")
def n8n(app) -> N8n:
    """The owner. Logged in once for all tests: n8n counts logins."""
    return N8n(app)
