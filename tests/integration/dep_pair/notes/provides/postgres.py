"""A database and a user for one parent."""

import hashlib

PSQL = "PGPASSWORD=$(cat /run/secrets/db_password) psql -h 127.0.0.1 -U notes -v ON_ERROR_STOP=1 -f -"


def provide(app, wants):
    name, password = wants["database"], hashlib.sha256(app.secret("db_password").encode()).hexdigest()[:24]
    app.hide("password", password)
    for statement in (
        f"create role {name} login password '{password}'",
        f"create database {name} owner {name}",
    ):
        done = app.exec_in("db", ["sh", "-c", PSQL], stdin=f"{statement};\n")
        assert done.rc == 0 or "already exists" in done.stderr, done.stderr
    return {"host": app.domain, "port": 5432, "database": name, "user": name, "password": password}


def withdraw(app, wants):
    for statement in (f"drop database if exists {wants['database']}", f"drop role if exists {wants['database']}"):
        done = app.exec_in("db", ["sh", "-c", PSQL], stdin=f"{statement};\n")
        assert done.rc == 0, done.stderr
