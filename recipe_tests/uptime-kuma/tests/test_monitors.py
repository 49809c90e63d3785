"""What Uptime Kuma is for: it watches, and says when something is down and when it is well."""

import re
import secrets

import pytest
from uptime_kuma_client import ANSWER_WITHIN, DOWN, OWNER, UP, RefusedError, owner, stranger


def test_a_monitor_turns_up_and_then_down(app, kuma, watched, beat):
    first = beat(watched, UP, "the heartbeat of a target that answers")
    assert first["msg"] == "200 - OK"
    assert metric(app, watched) == UP
    watched.target.stop()
    last = beat(watched, DOWN, "the heartbeat of a target that was stopped")
    assert "ECONNREFUSED" in last["msg"]
    assert metric(app, watched) == DOWN

    # Somebody who comes later gets both from the database.
    with owner(app) as later:

        def ours(monitor, *_):
            return int(monitor) == watched.id

        _, beats, _ = later.wait_for("heartbeatList", ours, ANSWER_WITHIN, "the history of the monitor")
    statuses = [one["status"] for one in beats]
    assert (statuses[0], statuses[-1]) == (UP, DOWN), statuses
    assert statuses == sorted(statuses, reverse=True), f"it went up again by itself: {statuses}"


def test_a_monitor_is_read_back_and_deleted(app, kuma):
    name, text = f"Paused {secrets.token_hex(4)}", "märked ✓"
    number = kuma.add_monitor(name=name, description=text, url="https://example.org/", active=False, interval=3600)
    with owner(app) as other:
        found = next(one for one in other.monitors() if one["id"] == number)
        kept = {key: found[key] for key in ("name", "description", "url", "interval", "active", "type")}
        assert kept == {
            "name": name, "description": text, "url": "https://example.org/", "interval": 3600, "active": False,
            "type": "http",
        }  # fmt: skip
        other.delete_monitor(number)
    assert number not in [one["id"] for one in kuma.monitors()]


def test_a_status_page_shows_strangers_what_it_should(app, kuma, watched, beat):
    beat(watched, UP, "the heartbeat of a target that answers")
    slug, title = f"page-{secrets.token_hex(4)}", f"How we are {secrets.token_hex(4)}"
    kuma.call("addStatusPage", title, slug)
    try:
        config = kuma.call("getStatusPage", slug)["config"]
        kuma.call("saveStatusPage", slug, config, "", [{"name": "Services", "monitorList": [{"id": watched.id}]}])
        public = app.http().get(f"/api/status-page/{slug}").json()
        (group,) = public["publicGroupList"]
        assert (public["config"]["title"], group["name"]) == (title, "Services")
        (shown,) = group["monitorList"]
        assert (shown["id"], shown["name"]) == (watched.id, watched.name)
        assert "url" not in shown, "the page tells strangers what is watched"
        assert title in app.http().get(f"/status/{slug}").text
    finally:
        kuma.call("deleteStatusPage", slug)


def test_strangers_are_refused(app, kuma):
    with stranger(app) as somebody:
        with pytest.raises(RefusedError, match="You are not logged in"):
            somebody.monitors()
        with pytest.raises(RefusedError, match="Incorrect username or password"):
            somebody.call("login", {"username": OWNER, "password": secrets.token_hex(12), "token": ""})
        with pytest.raises(RefusedError, match="has been initialized"):
            somebody.call("setup", "intruder", f"Aa1{secrets.token_hex(12)}")
        with pytest.raises(RefusedError, match="You are not logged in"):
            somebody.add_monitor(name="of an intruder", url="http://127.0.0.1:9/")
    assert app.http().get("/metrics").status_code == 401
    assert "of an intruder" not in [one["name"] for one in kuma.monitors()]


def metric(app, watched) -> int:
    """The status as Prometheus is told it."""
    answer = app.http().get("/metrics", auth=(OWNER, app.password("owner")))
    assert answer.status_code == 200, f"{answer.status_code} {answer.text[:200]}"
    line = rf'^monitor_status{{[^}}]*monitor_name="{re.escape(watched.name)}"[^}}]*}} (\d+)$'
    found = re.search(line, answer.text, re.MULTILINE)
    assert found, f"the metrics know nothing of {watched.name}"
    return int(found[1])
