"""Who comes through the provider gets an account that only the provider opens."""

from urllib.parse import urlsplit


def test_an_account_belongs_to_the_provider(app, deps, page, admin):
    form, user = deps.sso.login_form, deps.sso.user
    page.goto_with_retry(f"{app.url}/user/oauth2/sso")
    page.fill(form.username, user.username)
    page.fill(form.password, user.password)
    page.click(form.submit)
    page.wait_for_url(lambda url: urlsplit(url).netloc == app.domain)

    account = admin.http.get(f"/api/v1/users/{user.username}").json()
    assert (account["email"], account["is_admin"]) == (user.email, False)
    assert account["source_id"] > 0, "it is one of Gitea's own"
    assert account["login_name"], "nothing ties it to the provider's person"
    # The password is the provider's, and Gitea neither knows it nor hands it on.
    refused = app.http().get("/api/v1/user", auth=(user.username, user.password))
    assert refused.status_code == 401, f"{refused.status_code} {refused.text[:200]}"
