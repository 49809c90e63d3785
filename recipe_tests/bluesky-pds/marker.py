"""The marker: an account, with the value in a post. Its name is made of the value, too."""

from typing import Any

from bluesky_pds_client import POSTS, XRPC, admin, describe, given, handle_of, join, marker_name, record

KEY = "3jui7kd54zh2y"  # posts are named by times; this one is as good as any
PERSON = "marker"


def seed(app: Any, value: str) -> None:
    account = join(app, marker_name(value), PERSON)
    post = {"$type": POSTS, "text": value, "createdAt": "2024-01-01T00:00:00.000Z"}
    # Put, not created: it may be sent twice.
    body = {"repo": account.did, "collection": POSTS, "rkey": KEY, "record": post}
    given(account.http.post(f"{XRPC}repo.putRecord", json=body), "the post was refused")


def check(app: Any, value: str) -> bool:
    handle = handle_of(app, marker_name(value))
    account = describe(app, handle)
    if account is None:
        return False
    assert account["handle"] == handle, f"{handle} is called {account['handle']}"
    assert account["handleIsCorrect"], f"the directory of identities knows {account['did']} by another name"
    post = record(app, account["did"], KEY)
    return post is not None and post["text"] == value


def destroy(app: Any, value: str) -> None:
    account = describe(app, handle_of(app, marker_name(value)))
    if account is None:
        return
    gone = app.http().post(f"{XRPC}admin.deleteAccount", auth=admin(app), json={"did": account["did"]})
    given(gone, "the account cannot be deleted")
