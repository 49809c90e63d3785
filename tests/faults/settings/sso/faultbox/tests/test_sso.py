"""What the provider gave is where the app finds it."""


def test_the_app_has_what_the_provider_gave(app, deps):
    done = app.exec_in("app", ["sh", "-c", "echo $SSO_LOGIN; cat /run/secrets/sso_secret"])
    assert done.stdout.split("\n") == [deps.sso.authorization_endpoint, deps.sso.client_secret]
    assert deps.sso.client_secret == app.secret("sso_secret")
