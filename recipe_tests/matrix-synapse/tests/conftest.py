"""People of this server."""

import pytest
from matrix_synapse_client import Person, register

KINDS = ("anna", "ben", "cleo", "operator")


class People:
    """They are made once, when the first test asks for some: rooms and files are each test's own. It is the test that
    asks, for a server that makes no accounts has failed the test; and it is not asked for ever again."""

    def __init__(self, app) -> None:
        self._app, self._known, self._refused = app, {}, ""

    def __call__(self, *kinds: str) -> list[Person]:
        if not self._known and not self._refused:
            try:
                self._known = dict(zip(KINDS, register(self._app, *KINDS), strict=True))
            except AssertionError as error:
                self._refused = str(error)
        assert not self._refused, self._refused
        return [self._known[kind] for kind in kinds]


@pytest.fixture(scope="session")
def people(app) -> People:
    return People(app)
