"""The REST interface behind the editor."""


def test_settings_and_login_are_json(app, n8n):
    settings = n8n.call("GET", "settings")
    assert settings["authCookie"] == {"secure": True}
    assert settings["userManagement"]["showSetupOnFirstLoad"] is False, "whoever comes first would become the owner"
    assert n8n.call("GET", "login")["email"] == "owner@example.org"
    stranger = app.http().get("/rest/login")
    assert stranger.status_code == 401, f"a stranger is somebody: {stranger.status_code} {stranger.text[:200]}"
    assert stranger.headers["Content-Type"].startswith("application/json")


def test_a_wrong_password_is_refused(app, n8n):
    body = {"emailOrLdapLoginId": "owner@example.org", "password": "Not-the-owners-1"}
    answer = app.http().post("/rest/login", json=body)
    # 429: five logins a minute, and these were many.
    assert answer.status_code in (401, 429), f"{answer.status_code} {answer.text[:200]}"
    assert "n8n-auth" not in answer.cookies
