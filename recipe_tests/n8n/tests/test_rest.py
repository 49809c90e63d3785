"""The REST interface behind the editor."""

from n8n_client import log_in


def test_settings_and_login_are_json(app, n8n):
    settings = n8n.call("GET", "settings")
    assert settings["authCookie"] == {"secure": True}
    assert settings["userManagement"]["showSetupOnFirstLoad"] is False, "whoever comes first would become the owner"
    assert n8n.call("GET", "login")["email"] == "owner@example.org"
    stranger = app.http().get("/rest/login")
    assert stranger.status_code == 401, f"a stranger is somebody: {stranger.status_code} {stranger.text[:200]}"
    assert stranger.headers["Content-Type"].startswith("application/json")


def test_a_wrong_password_is_refused(app, n8n):
    http = app.http()
    answer = log_in(http, "Not-the-owners-1")
    assert answer.status_code == 401, f"{answer.status_code} {answer.text[:200]}"
    assert "n8n-auth" not in http.session.cookies
    assert http.get("/rest/login").status_code == 401, "it is somebody all the same"
