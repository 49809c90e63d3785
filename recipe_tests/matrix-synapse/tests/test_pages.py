"""What a person sees in a browser. Synapse has few pages; the clients that people use are other programs."""

import secrets
from urllib.parse import quote, urlsplit

from matrix_synapse_client import make_room, say


def test_the_start_page_says_that_it_works(app, page):
    page.goto_with_retry(app.url)
    page.find_text("It works! Synapse is running", retry_for=30)
    assert urlsplit(page.url).path == "/_matrix/static/"
    page.keep_picture("matrix-start-page", "Synapse says that it runs")


def test_a_person_logs_in_and_reads_in_a_browser(app, page, people):
    (anna,) = people("anna")
    text = f"Read in a browser: {secrets.token_hex(8)}"
    room = make_room(anna, name="Kitchen")
    say(anna, room, text)

    page.goto_with_retry(f"{app.url.rstrip('/')}/_matrix/static/client/login/")
    page.wait_for_selector("#password_flow", state="visible", timeout=30_000)
    # How a client learns of the login.
    page.evaluate("() => { window.matrixLogin.onLogin = answer => { window.loggedIn = answer } }")
    page.fill("#user_id", anna.name)
    page.fill("#password", app.password(anna.name))
    page.click("#password_flow input[type=submit]")
    page.wait_for_function("window.loggedIn !== undefined", timeout=30_000)
    session = page.evaluate("window.loggedIn")
    assert session["user_id"] == anna.id
    assert session["access_token"] != anna.token, "it is the session that there was already"

    page.set_extra_http_headers({"Authorization": f"Bearer {session['access_token']}"})
    page.goto_with_retry(f"{app.url.rstrip('/')}/_matrix/client/v3/rooms/{quote(room)}/messages?dir=b&limit=1")
    page.find_text(text, retry_for=30)
    page.keep_picture("matrix-conversation", "A message, read with the session of the log-in page")
