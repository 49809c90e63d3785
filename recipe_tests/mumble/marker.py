"""A channel in the server's own database, made and read by its own protocol.

It is described by the fingerprint of the certificate that the server showed when it was made: the server keeps its key
in the same database, and who finds a channel again finds the server by the same certificate, too.

Everything goes through the web client: the base version publishes no port.
"""

from __future__ import annotations

from typing import Any

from mumble_client import SUPERUSER, Person, over_web


def seed(app: Any, value: str) -> None:
    fingerprint = _fingerprint(app)
    with over_web(app, SUPERUSER, app.secret("superuser_password")) as person:
        person.make_channel(value, fingerprint)


def check(app: Any, value: str) -> bool:
    with over_web(app, "marker") as person:
        found = _description(person, value)
    if found is None:
        return False
    shown = _fingerprint(app)
    assert found == shown, f"the server shows the certificate {shown}; when the channel was made it was {found}"
    return True


def destroy(app: Any, value: str) -> None:
    with over_web(app, SUPERUSER, app.secret("superuser_password")) as person:
        person.remove_channel(value)


def _description(person: Person, name: str) -> str | None:
    return next((description for known, description in person.channels.values() if known == name), None)


def _fingerprint(app: Any) -> str:
    answer = app.http().get("/status")
    assert answer.status_code == 200, f"the web client does not reach the server: {answer.status_code} {answer.text}"
    return str(answer.json()["certificate"])
