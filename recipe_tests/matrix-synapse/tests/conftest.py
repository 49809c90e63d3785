"""People of this server. They are made once: rooms and files are each test's own."""

import pytest
from matrix_synapse_client import Person, register


@pytest.fixture(scope="session")
def people(app) -> dict[str, Person]:
    kinds = ("anna", "ben", "cleo", "operator")
    return dict(zip(kinds, register(app, *kinds), strict=True))


@pytest.fixture
def anna(people) -> Person:
    return people["anna"]


@pytest.fixture
def ben(people) -> Person:
    return people["ben"]


@pytest.fixture
def cleo(people) -> Person:
    return people["cleo"]


@pytest.fixture
def admin(people) -> Person:
    return people["operator"]
