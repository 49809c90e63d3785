"""A site has one owner, who alone gets in."""


def test_the_first_person_becomes_the_owner(app, owner):
    (me,) = owner.http.get(f"{owner.api}/users/me/", params={"include": "roles"}).json()["users"]
    assert (me["email"], me["name"], me["status"]) == (owner.email, owner.name, "active")
    assert [role["name"] for role in me["roles"]] == ["Owner"]
    assert f"<title>{owner.title}</title>" in app.http().get("/").text, "the start page does not bear the site's name"

    intruder = {"name": "Ian", "email": "ian@example.org", "password": "Let-me-in-1234", "blogTitle": "Mine"}
    again = owner.http.post(f"{owner.api}/authentication/setup/", json={"setup": [intruder]})
    assert again.status_code == 403, f"a second person was set up: {again.status_code} {again.text[:200]}"


def test_strangers_stay_outside(app, owner):
    stranger = app.http()
    stranger.session.headers["Origin"] = app.url.rstrip("/")
    refused = stranger.post(f"{owner.api}/session/", json={"username": owner.email, "password": "not-the-owners-1"})
    assert refused.status_code == 422, f"a wrong password: {refused.status_code} {refused.text[:200]}"
    for path in ("posts/", "users/", "settings/"):
        answer = stranger.get(f"{owner.api}/{path}")
        assert answer.status_code == 403, f"{path} is shown to a stranger: {answer.status_code}"
    # The same cookie from another site's page is no session.
    owner.http.session.headers["Origin"] = "https://elsewhere.example.org"
    answer = owner.http.get(f"{owner.api}/posts/")
    assert answer.status_code == 400, f"a page of another site uses the owner's session: {answer.status_code}"


def test_a_session_ends(owner):
    assert owner.http.get(f"{owner.api}/users/me/").status_code == 200
    assert owner.http.delete(f"{owner.api}/session/").status_code == 204
    assert owner.http.get(f"{owner.api}/users/me/").status_code == 403, "still logged in"
