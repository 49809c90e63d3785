"""The web client, as somebody uses it who has no client of their own."""

import secrets

from mumble_client import native


def test_somebody_in_a_browser_talks_with_a_native_client(app, page):
    name, other = f"browser-{secrets.token_hex(4)}", f"native-{secrets.token_hex(4)}"
    said, answered = f"From the browser {secrets.token_hex(8)}", f"From a client {secrets.token_hex(8)}"
    with native(app, other) as person:
        page.goto_with_retry(app.url)
        page.find_text("certificate ", retry_for=30)
        page.fill("#name", name)
        page.click("text=Connect")
        page.find_text(f"Welcome to the new {app.domain}", retry_for=30)
        assert not page.is_visible("#join"), "it asks somebody who is connected to connect"
        page.find_text(other, retry_for=30)
        page.fill("#text", said)
        page.click("text=Send")
        person.until("the browser's message has come", lambda: said in [text for _, text in person.texts])
        person.say(answered)
        page.find_text(answered, retry_for=30)
        page.keep_picture("mumble-talk", "A talk between a browser and a native client")
