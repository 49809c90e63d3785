"""What readers and the owner see in a browser."""


def test_a_reader_sees_the_post(app, owner, words, public, page):
    post = owner.writes(f"Read me {words}", f"<p>A text that says {words}, for everybody.</p>")
    public(f"/{post['slug']}/", 200)
    page.goto_with_retry(f"{app.url.rstrip('/')}/{post['slug']}/")
    page.find_text(f"A text that says {words}", retry_for=30)
    assert page.title() == f"Read me {words}"
    page.keep_picture("ghost-post", "A published post, as a reader sees it")
    # What Ghost takes from elsewhere (its portal, from a network of its own) may be out of reach.
    assert [one for one in page.console.failed if one.startswith(app.url)] == []


def test_the_owner_finds_the_post_in_the_admin(app, owner, words, page):
    owner.writes(f"Listed {words}", "<p>In the list</p>")
    page.goto_with_retry(f"{app.url.rstrip('/')}/ghost/")
    page.wait_for_selector("input[name=identification]", timeout=60_000)
    page.fill("input[name=identification]", owner.email)
    page.fill("input[name=password]", owner.password)
    page.click("button[type=submit]")
    page.wait_for_selector("input[name=password]", state="detached", timeout=60_000)
    page.goto_with_retry(f"{app.url.rstrip('/')}/ghost/#/posts")
    page.find_text(f"Listed {words}", retry_for=60)
    page.keep_picture("ghost-admin-posts", "The list of posts, as the owner sees it")
