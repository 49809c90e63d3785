"""A provider of which only the surface is there: its discovery document, and a page that takes nobody's credentials."""

import hashlib
import json

FOLDER = "/usr/share/nginx/html"
WRITE = """cd "$0"; mkdir -p .well-known
printf %s "$1" >.well-known/openid-configuration; printf %s "$2" >login.html; printf %s "$3" >denied.html"""
# Fields without a name are not sent: no address ever holds what was typed.
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Log in</title><link rel="icon" href="data:,"></head><body>
<p>{said}</p>
<form action="/denied.html"><input id="user"><input id="password" type="password"><button id="go">Go</button></form>
</body></html>
"""


def provide(app, wants):
    secret, password = (hashlib.sha256(f"{what} {wants['name']}".encode()).hexdigest() for what in ("client", "user"))
    app.hide("client", secret)
    app.hide("user", password)
    endpoints = {
        "authorization_endpoint": f"{app.url}/login.html",
        "token_endpoint": f"{app.url}/token",
        "userinfo_endpoint": f"{app.url}/userinfo",
        "jwks_uri": f"{app.url}/jwks",
    }
    document = {"issuer": app.url, **endpoints}
    pages = [PAGE.format(said=said) for said in ("Who are you?", "Wrong user name or password")]
    done = app.exec_in("app", ["sh", "-ec", WRITE, FOLDER, json.dumps(document), *pages])
    assert done.rc == 0, done.stderr
    return {
        "issuer": app.url,
        **endpoints,
        "client_id": "ccci",
        "client_secret": secret,
        "user": {"username": "ada", "password": password, "email": "ada@example.org"},
        "admin": {"url": app.url, "username": "admin", "secret": "none"},
        "login_form": {"username": "#user", "password": "#password", "submit": "#go"},
    }
