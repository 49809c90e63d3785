"""The recipe's own dump brings posts back, and Ghost goes on with it."""

import time

from ccci.testing.node import NodeError

DUMP = "/mysql_backup.sh"
RESTART = 300  # seconds


def test_a_deleted_post_comes_back_with_the_dump(app, owner, words, public):
    post = owner.writes(f"Back again {words}", f"<p>Kept in the dump: {words}</p>")
    address = f"{owner.api}/posts/{post['id']}/"
    try:
        run(app, "backup")
        assert owner.http.delete(address).status_code == 204
        public(f"/{post['slug']}/", 404)
        run(app, "restore")
    finally:
        run(app, "tidy")
    # Ghost was running all the time, and its connections were taken away.
    found = owner.http.get(address, params={"formats": "html"})
    assert found.status_code == 200, f"the post did not come back: {found.status_code} {found.text[:200]}"
    assert words in found.json()["posts"][0]["html"]

    # The addresses of pages are learnt at the start: the README tells operators to restart Ghost.
    restart(app)
    assert words in public(f"/{post['slug']}/", 200, within=60).text


def run(app, verb: str) -> None:
    done = app.exec_in("db", [DUMP, verb], limit=120)
    assert done.rc == 0, f"{DUMP} {verb} ended with {done.rc}: {done.stderr[-300:]}"


def restart(app) -> None:
    """Ghost ends as it is told to, and Swarm starts it again, in another container."""
    before = app.exec_in("app", ["hostname"]).stdout
    told = app.exec_in("app", ["sh", "-c", "(sleep 1; kill 1) >/dev/null 2>&1 &"])
    assert told.rc == 0, told.stderr[-200:]
    end = time.monotonic() + RESTART
    while True:
        try:
            now = app.exec_in("app", ["hostname"], limit=20)
            if now.rc == 0 and now.stdout != before:
                break
        except NodeError:  # between two containers
            pass
        assert time.monotonic() < end, f"no new container of Ghost within {RESTART} s"
        time.sleep(2)
    app.converges(limit=RESTART)
