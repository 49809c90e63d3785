"""What the dep provided is where the app finds it."""


def test_the_app_has_what_the_dep_provided(app, deps):
    seen = app.exec_in("app", ["sh", "-c", "echo $NEW_DATABASE; cat /run/secrets/db_password"]).stdout.split("\n")
    assert seen[0] == deps.db.database == "pages"
    assert seen[1] == deps.db.password == app.secret("db_password")
