"""The editor in a browser."""

import secrets
import time
from typing import Any

from n8n_client import LOGIN_WITHIN, OWNER, PASSWORD
from playwright.sync_api import TimeoutError

CANVAS_NODE = "[data-test-id='canvas-node'][data-node-name='{name}']"


def test_the_editor_shows_a_workflow(app, n8n, page):
    mark = secrets.token_hex(4)
    trigger, setter = f"Called {mark}", f"Greeting {mark}"
    made = n8n.make_workflow(f"Seen {mark}", [schedule(trigger), greeting(setter)])
    page.goto_with_retry(f"{app.url}/signin", retry_for=90)
    log_in(app, page)
    page.goto_with_retry(f"{app.url}/workflow/{made['id']}", retry_for=90)
    for name in (trigger, setter):
        page.find_in_frames(CANVAS_NODE.format(name=name), retry_for=120, reload_every=40)
        page.find_text(name, retry_for=30)
    page.find_text(f"Seen {mark}", retry_for=30)
    page.keep_picture("n8n-editor", "The editor with a workflow of two nodes")


def log_in(app: Any, page: Any) -> None:
    """By the form; again when n8n has let in enough people for this minute, or the browser's network has changed."""
    page.find_in_frames("input[name=emailOrLdapLoginId]", retry_for=90, reload_every=30)
    page.fill("input[name=emailOrLdapLoginId]", OWNER["email"])
    page.fill("input[name=password]", app.password(PASSWORD))
    deadline = time.monotonic() + LOGIN_WITHIN
    while True:
        page.click("[data-test-id=form-submit-button]")
        try:
            page.wait_for_url(lambda url: "/signin" not in url, timeout=10_000)
        except TimeoutError:
            assert time.monotonic() < deadline, f"the form does not let the owner in: {page.inner_text('body')[:200]!r}"
        else:
            return


def schedule(name: str) -> dict[str, Any]:
    return {
        "id": secrets.token_hex(8), "name": name, "position": [0, 0], "typeVersion": 1.2,
        "type": "n8n-nodes-base.scheduleTrigger", "parameters": {"rule": {"interval": [{}]}},
    }  # fmt: skip


def greeting(name: str) -> dict[str, Any]:
    field = {"id": secrets.token_hex(8), "name": "greeting", "value": "Good morning", "type": "string"}
    return {
        "id": secrets.token_hex(8), "name": name, "position": [260, 0], "typeVersion": 3.4,
        "type": "n8n-nodes-base.set", "parameters": {"assignments": {"assignments": [field]}, "options": {}},
    }  # fmt: skip
