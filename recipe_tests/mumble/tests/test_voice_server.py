"""The server by its own protocol, on its published port."""

import secrets

import pytest
from mumble_client import PORT, SUPERUSER, Native, Refused, native, over_web


def test_a_client_is_welcomed_with_the_settings_of_this_version(app):
    with native(app, f"visitor-{secrets.token_hex(4)}") as person:
        # Both come from `env_from_upgrade` alone: the upgrade has changed what the server runs with.
        assert person.welcome == f"Welcome to the new {app.domain}"
        assert person.bandwidth == 96000
        assert 0 in person.channels, "there is no root channel"
        assert person.session in person.users, "the server does not tell people of themselves"
        # What the container runs is the version that the image is called by.
        image = app.exec_in("app", ["sh", "-c", "mumble-server -version 2>&1"])
        assert person.release.split()[-1] in image.stdout, f"{person.release!r} runs, the image has {image.stdout!r}"


def test_two_people_write_to_each_other(app):
    first, second = (f"person-{secrets.token_hex(4)}" for _ in range(2))
    said, answered = (f"märked ✓ {secrets.token_hex(8)}" for _ in range(2))
    with native(app, first) as anna, over_web(app, second) as bert:
        anna.until("the other one is there", lambda: second in anna.users.values())
        anna.say(said)
        bert.until("the message has come", lambda: (anna.session, said) in bert.texts)
        bert.say(answered)
        anna.until("the answer has come", lambda: (bert.session, answered) in anna.texts)
        assert bert.users[anna.session] == first


def test_a_channel_is_read_back_by_somebody_else(app):
    name, description = f"room-{secrets.token_hex(4)}", f"For {secrets.token_hex(8)}"
    with native(app, SUPERUSER, app.secret("superuser_password")) as superuser:
        superuser.make_channel(name, description)
        with native(app, f"visitor-{secrets.token_hex(4)}") as visitor:
            assert (name, description) in visitor.channels.values()
            with pytest.raises(Refused):
                visitor.make_channel(f"{name}-too")
        superuser.remove_channel(name)
    with native(app, f"visitor-{secrets.token_hex(4)}") as visitor:
        assert visitor.channel(name) is None, "a channel that was removed is still there"


def test_nobody_is_superuser_without_the_password(app):
    with pytest.raises(Refused, match=r"(?i)password"), native(app, SUPERUSER, secrets.token_hex(8)):
        pass


def test_both_ways_lead_to_one_server(app):
    wire = Native(app.connect(PORT))
    wire.close()
    assert wire.fingerprint == app.http().get("/status").json()["certificate"]
