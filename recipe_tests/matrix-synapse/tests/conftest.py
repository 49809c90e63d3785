"""People of this server."""

import pytest
from matrix_synapse_client import Person, new_name, register


@pytest.fixture
def anna(app) -> Person:
    return register(app, new_name("anna"))


@pytest.fixture
def ben(app) -> Person:
    return register(app, new_name("ben"))


@pytest.fixture
def admin(app) -> Person:
    return register(app, new_name("operator"), admin=True)
