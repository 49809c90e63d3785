"""What the marker and the tests say to a PDS, as plain XRPC."""

import json
from dataclasses import dataclass
from typing import Any

XRPC = "/xrpc/com.atproto."
POSTS = "app.bsky.feed.post"
# Prints what the directory of identities knows about one, asked by the server as it asks itself.
DIRECTORY = (
    "fetch(`${process.env.PDS_DID_PLC_URL}/${process.argv[1]}/data`, {signal: AbortSignal.timeout(20000)})"
    ".then((answer) => answer.text()).then((text) => console.log(text))"
)


@dataclass(frozen=True)
class Account:
    """Somebody who is logged in: `http` has the token in its headers."""

    handle: str
    did: str
    http: Any


def handle_of(app: Any, name: str) -> str:
    return f"{name}.{app.domain}"


def marker_name(value: str) -> str:
    """Of the account that holds a value of the marker: a name has at most 18 characters."""
    return f"m{value[:17]}"


def admin(app: Any) -> tuple[str, str]:
    return "admin", app.secret("pds_admin_password")


def given(answer: Any, what: str) -> Any:
    """The JSON of an answer that has to be 200."""
    assert answer.status_code == 200, f"{what}: {answer.status_code} {answer.text[:300]}"
    return answer.json() if answer.content else None


def invite(app: Any) -> str:
    """A code that one person can use."""
    answer = app.http().post(f"{XRPC}server.createInviteCode", auth=admin(app), json={"useCount": 1})
    return str(given(answer, "the administrator gets no invite code")["code"])


def join(app: Any, name: str, person: str) -> Account:
    """Makes an account with an invite. `person` says which of the run's passwords is theirs."""
    handle = handle_of(app, name)
    answer = app.http().post(f"{XRPC}server.createAccount", json={
        "handle": handle, "email": f"{name}@example.org", "password": app.password(person), "inviteCode": invite(app),
    })  # fmt: skip
    # This very request was sent again after an answer that was lost; names are random.
    if answer.status_code == 400 and "already taken" in answer.text:
        return log_in(app, handle, person)
    return _account(app, given(answer, f"no account {handle} was made"))


def log_in(app: Any, handle: str, person: str) -> Account:
    body = {"identifier": handle, "password": app.password(person)}
    answer = app.http().post(f"{XRPC}server.createSession", json=body)
    return _account(app, given(answer, f"{handle} cannot log in"))


def _account(app: Any, session: dict[str, Any]) -> Account:
    http = app.http()
    http.session.headers["Authorization"] = f"Bearer {session['accessJwt']}"
    return Account(session["handle"], session["did"], http)


def describe(app: Any, repo: str) -> dict[str, Any] | None:
    """What anybody is told about an account, by its handle or its DID; None when the server says that it has none."""
    answer = app.http().get(f"{XRPC}repo.describeRepo", params={"repo": repo})
    if answer.status_code == 400 and answer.json().get("error") == "RepoNotFound":
        return None
    found: dict[str, Any] = given(answer, f"{repo} cannot be described")
    return found


def record(app: Any, repo: str, key: str) -> dict[str, Any] | None:
    """The value of a post, as a stranger reads it; None when the server says that there is none."""
    asked = {"repo": repo, "collection": POSTS, "rkey": key}
    answer = app.http().get(f"{XRPC}repo.getRecord", params=asked)
    if answer.status_code == 400 and answer.json().get("error") == "RecordNotFound":
        return None
    found: dict[str, Any] = given(answer, f"the post {key} of {repo} cannot be read")["value"]
    return found


def known_to_directory(app: Any, did: str) -> dict[str, Any]:
    """The directory's data of an identity: `alsoKnownAs`, `rotationKeys`, `services` and more."""
    done = app.exec_in("app", ["node", "-e", DIRECTORY, did])
    assert done.rc == 0, f"the directory does not answer: {done.stderr[-300:]}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found
