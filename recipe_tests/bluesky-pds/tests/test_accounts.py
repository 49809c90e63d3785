"""Who has an account, how one gets it, and whose identity it is."""

import secrets

import pytest
from bluesky_pds_client import (
    XRPC,
    Account,
    admin,
    describe,
    given,
    handle_of,
    invite,
    join,
    known_to_directory,
    log_in,
    marker_name,
)


def refused(answer, status: int, error: str) -> None:
    """An answer that is an error as XRPC wants it: a name for programs, a message for people."""
    assert answer.headers["Content-Type"].startswith("application/json"), answer.headers["Content-Type"]
    envelope = answer.json()
    assert (answer.status_code, envelope["error"]) == (status, error), f"{answer.status_code} {answer.text[:200]}"
    assert envelope["message"], "it does not say why"


@pytest.mark.parametrize("code", ["none", "wrong", "used"])
def test_nobody_joins_without_an_invite(app, code):
    name = f"t{secrets.token_hex(6)}"
    handle = handle_of(app, name)
    body = {"handle": handle, "email": f"{name}@example.org", "password": app.password("stranger")}
    if code == "wrong":
        body["inviteCode"] = f"{app.domain.replace('.', '-')}-aaaaa-bbbbb"
    elif code == "used":
        body["inviteCode"] = invite(app)
        other = {**body, "handle": handle_of(app, f"u{name}"), "email": f"u{name}@example.org"}
        given(app.http().post(f"{XRPC}server.createAccount", json=other), "the invite is good for nobody")
    refused(app.http().post(f"{XRPC}server.createAccount", json=body), 400, "InvalidInviteCode")
    assert describe(app, handle) is None, "the account is there all the same"


def test_only_the_administrator_invites(app, account):
    asked = {"useCount": 1}
    refused(app.http().post(f"{XRPC}server.createInviteCode", json=asked), 401, "AuthenticationRequired")
    wrong = ("admin", "not the password")
    answer = app.http().post(f"{XRPC}server.createInviteCode", json=asked, auth=wrong)
    refused(answer, 401, "AuthenticationRequired")


def test_a_session_belongs_to_whoever_has_the_token(app, account):
    session = given(account.http.get(f"{XRPC}server.getSession"), "no session")
    assert (session["did"], session["handle"], session["active"]) == (account.did, account.handle, True)
    refused(app.http().get(f"{XRPC}server.getSession"), 401, "AuthMissing")
    body = {"identifier": account.handle, "password": "not the password"}
    refused(app.http().post(f"{XRPC}server.createSession", json=body), 401, "AuthenticationRequired")


def test_a_handle_leads_to_an_identity_and_back(app, account):
    found = given(app.http().get(f"{XRPC}identity.resolveHandle", params={"handle": account.handle}), "no identity")
    assert found["did"] == account.did
    # The document is the directory's.
    document = (describe(app, account.did) or {})["didDoc"]
    assert (document["id"], document["alsoKnownAs"]) == (account.did, [f"at://{account.handle}"])
    assert [one["serviceEndpoint"] for one in document["service"]] == [f"https://{app.domain}"]
    # The domain itself is nobody's handle.
    answer = app.http().get("/.well-known/atproto-did")
    assert answer.status_code == 404, f"{answer.status_code} {answer.text[:200]}"


def oldest_account(app) -> Account:
    """The one that the marker made before the upgrade; in a run without an upgrade one of today."""
    dids = [one["did"] for one in given(app.http().get(f"{XRPC}sync.listRepos"), "no list of accounts")["repos"]]
    params = [("dids", did) for did in dids]
    answer = app.http().get(f"{XRPC}admin.getAccountInfos", params=params, auth=admin(app))
    infos = given(answer, "the administrator is told of no accounts")["infos"]
    # The length tells the marker's names from those of the tests.
    length = len(handle_of(app, marker_name("0" * 32)))
    seeded = [one for one in infos if one["handle"].startswith("m") and len(one["handle"]) == length]
    if not seeded:
        return join(app, marker_name(secrets.token_hex(16)), "marker")
    return log_in(app, min(seeded, key=lambda one: one["indexedAt"])["handle"], "marker")


def test_an_account_of_before_the_upgrade_still_owns_its_identity(app):
    """A change of an identity counts only when it is signed with a key that the identity names."""
    account = oldest_account(app)
    handle = handle_of(app, f"r{secrets.token_hex(6)}")
    answer = account.http.post(f"{XRPC}identity.updateHandle", json={"handle": handle})
    if answer.status_code != 200:
        own = given(account.http.get(f"{XRPC}identity.getRecommendedDidCredentials"), "no key")["rotationKeys"]
        named = known_to_directory(app, account.did)["rotationKeys"]
        same = "the same" if set(own) & set(named) else ", ".join(named)
        pytest.fail(
            f"the server signs with {', '.join(own)} (secret pds_plc_rotation_key), the identity of {account.did} "
            f"names {same}: it cannot change its handle ({answer.status_code} {answer.text[:100]})",
            pytrace=False,
        )
    assert known_to_directory(app, account.did)["alsoKnownAs"] == [f"at://{handle}"]
    found = given(app.http().get(f"{XRPC}identity.resolveHandle", params={"handle": handle}), "no identity")
    assert found["did"] == account.did
