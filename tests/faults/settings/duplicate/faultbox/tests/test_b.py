def test_health(app):
    assert app.http().get("/healthz").status_code == 200
