"""n8n's REST interface as its own editor uses it: the owner, credentials, workflows. For the marker and for tests."""

import functools
import itertools
import time
from typing import Any

OWNER = {"email": "owner@example.org", "firstName": "Olga", "lastName": "Owner"}
PASSWORD = "owner"  # noqa: S105 - the name under which ccci keeps it
HEADER_AUTH = "httpHeaderAuth"
RETRY_FOR = 90  # seconds
# n8n lets an address log in five times a minute, and then says 429 until the minute is over.
LOGIN_WITHIN, LOGIN_PAUSE = 150, 5  # seconds


@functools.cache
def owner(app: Any) -> "N8n":
    """One login for a whole process: n8n counts them."""
    return N8n(app)


def log_in(http: Any, password: str) -> Any:
    """What n8n answers to the owner's address with this password, once it lets anybody try."""
    deadline = time.monotonic() + LOGIN_WITHIN
    body = {"emailOrLdapLoginId": OWNER["email"], "password": password}
    while (answer := http.post("/rest/login", json=body)).status_code == 429 and time.monotonic() < deadline:
        time.sleep(LOGIN_PAUSE)
    return answer


class N8n:
    """Signed in as the owner, whose account is made at the first use."""

    def __init__(self, app: Any) -> None:
        self.app, self.http = app, app.http(retry_for=RETRY_FOR)
        password = app.password(PASSWORD)
        if self.call("GET", "settings")["userManagement"]["showSetupOnFirstLoad"]:
            made = self.http.post("/rest/owner/setup", json={**OWNER, "password": password})
            # 400: this very request was sent again after an answer that was lost; then the login tells.
            assert made.status_code in (200, 400), f"no owner was made: {made.status_code} {made.text[:200]}"
        answer = log_in(self.http, password)
        assert answer.status_code == 200, f"the owner is not let in: {answer.status_code} {answer.text[:200]}"
        assert self.http.session.cookies.get("n8n-auth"), "the login gave no cookie n8n-auth"

    def call(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """What `/rest/<path>` answers, without the envelope."""
        answer = self.http.request(method, f"/rest/{path}", **options)
        assert answer.status_code == status, f"{method} /rest/{path}: {answer.status_code} {answer.text[:300]}"
        kind = answer.headers.get("Content-Type", "")
        assert kind.startswith("application/json"), f"{method} /rest/{path} is {kind}, no JSON: {answer.text[:200]}"
        return answer.json()["data"]

    def credentials(self) -> dict[str, str]:
        """The ids of all credentials, by their names."""
        return {one["name"]: one["id"] for one in self.call("GET", "credentials")}

    def store_credential(self, name: str, header: str, value: str) -> str:
        """The id of a new credential: a header that opens a door."""
        body = {"name": name, "type": HEADER_AUTH, "data": {"name": header, "value": value}}
        return self.call("POST", "credentials", json=body)["id"]

    def decrypted(self, credential: str) -> dict[str, str]:
        """What n8n decrypts of a credential: the header's name, and blanks for its value; nothing when it cannot."""
        return self.call("GET", f"credentials/{credential}", params={"includeData": "true"}).get("data") or {}

    def make_workflow(self, name: str, nodes: list[dict[str, Any]]) -> dict[str, Any]:
        """A workflow of nodes in a row, each led to the next one."""
        connections = {
            one["name"]: {"main": [[{"node": following["name"], "type": "main", "index": 0}]]}
            for one, following in itertools.pairwise(nodes)
        }
        settings = {"executionOrder": "v1"}
        body = {"name": name, "nodes": nodes, "connections": connections, "settings": settings, "active": False}
        return self.call("POST", "workflows", json=body)

    def activate(self, workflow: dict[str, Any]) -> None:
        """From now on its webhook is answered at the production address."""
        body = {"versionId": workflow["versionId"]}
        now = self.call("POST", f"workflows/{workflow['id']}/activate", json=body)
        assert now["active"], f"{workflow['name']} is not active: {now}"
