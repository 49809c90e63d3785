"""What n8n is for: workflows that are called from outside, and the credentials that they use."""

import secrets
from typing import Any

import pytest

CODE = """
const numbers = $input.first().json.body.numbers;
return [{ json: { sum: numbers.reduce((a, b) => a + b, 0), words: numbers.map((one) => one.toString(16)).join('-') } }];
"""


def webhook(path: str, credential: dict[str, str] | None = None) -> dict[str, Any]:
    """A trigger that answers what the last node gives."""
    node: dict[str, Any] = {
        "id": secrets.token_hex(8), "webhookId": secrets.token_hex(8), "name": "Called", "position": [0, 0],
        "type": "n8n-nodes-base.webhook", "typeVersion": 2,
        "parameters": {"httpMethod": "POST", "path": path, "responseMode": "lastNode", "options": {}},
    }  # fmt: skip
    if credential:
        node["parameters"]["authentication"] = "headerAuth"
        node["credentials"] = {"httpHeaderAuth": credential}
    return node


def code(name: str = "Computed") -> dict[str, Any]:
    return {
        "id": secrets.token_hex(8), "name": name, "position": [260, 0],
        "type": "n8n-nodes-base.code", "typeVersion": 2, "parameters": {"jsCode": CODE},
    }  # fmt: skip


@pytest.fixture
def numbers() -> list[int]:
    return [secrets.randbelow(10**6) for _ in range(3)]


def expected(numbers: list[int]) -> dict[str, Any]:
    return {"sum": sum(numbers), "words": "-".join(f"{one:x}" for one in numbers)}


def test_a_workflow_is_called_and_computes(app, n8n, numbers):
    path, name = f"ccci-{secrets.token_hex(6)}", f"Sum {secrets.token_hex(4)}"
    made = n8n.make_workflow(name, [webhook(path), code()])
    stranger = app.http(retry_for=90)
    early = stranger.post(f"/webhook/{path}", json={"numbers": numbers})
    assert early.status_code == 404, f"answered before it was activated: {early.status_code} {early.text[:200]}"
    n8n.activate(made)
    answer = stranger.post(f"/webhook/{path}", json={"numbers": numbers})
    assert answer.status_code == 200, f"the webhook: {answer.status_code} {answer.text[:300]}"
    assert answer.json() == expected(numbers)


def test_a_workflow_is_read_back(app, n8n):
    path, name = f"ccci-{secrets.token_hex(6)}", f"Kept {secrets.token_hex(4)}"
    made = n8n.make_workflow(name, [webhook(path), code()])
    found = n8n.call("GET", f"workflows/{made['id']}")
    assert (found["id"], found["name"]) == (made["id"], name)
    assert [one["name"] for one in found["nodes"]] == ["Called", "Computed"]
    assert found["nodes"][1]["parameters"]["jsCode"] == CODE
    assert found["connections"]["Called"]["main"][0][0]["node"] == "Computed"
    refused = app.http().get(f"/rest/workflows/{made['id']}")
    assert refused.status_code == 401, f"a stranger reads it: {refused.status_code}"


def test_a_stored_credential_guards_a_webhook(app, n8n, numbers):
    """n8n decrypts the credential when it is called; a stranger has no part in that."""
    path, header, value = f"ccci-{secrets.token_hex(6)}", f"x-{secrets.token_hex(6)}", secrets.token_hex(16)
    name = f"Door {secrets.token_hex(4)}"
    known = n8n.store_credential(name, header, value)
    n8n.activate(n8n.make_workflow(name, [webhook(path, {"id": known, "name": name}), code()]))
    door, body = app.http(retry_for=90), {"numbers": numbers}
    for wrong in ({}, {header: secrets.token_hex(16)}):
        refused = door.post(f"/webhook/{path}", json=body, headers=wrong)
        assert refused.status_code == 403, f"the door is open: {refused.status_code} {refused.text[:200]}"
    answer = door.post(f"/webhook/{path}", json=body, headers={header: value})
    assert answer.status_code == 200, f"the door stays shut: {answer.status_code} {answer.text[:300]}"
    assert answer.json() == expected(numbers)
    assert value not in str(n8n.decrypted(known)), "the secret itself is shown to whoever may read the credential"
