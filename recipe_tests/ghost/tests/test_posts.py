"""What Ghost is for: somebody writes, and everybody reads."""

import html


def test_a_published_post_is_public(app, owner, words, public):
    text = f"<p>Written by {words} &amp; shown ✓</p>"
    draft = owner.writes(f"A draft {words}", text, status="draft")
    path = f"/{draft['slug']}/"
    public(path, 404)
    assert owner.reads(draft)["html"] == text

    wanted = {"status": "published", "title": f"A post {words}", "updated_at": draft["updated_at"]}
    changed = owner.http.put(f"{owner.api}/posts/{draft['id']}/", json={"posts": [wanted]})
    assert changed.status_code == 200, f"not published: {changed.status_code} {changed.text[:200]}"
    page = html.unescape(public(path, 200).text)
    post = owner.reads(draft)
    assert (post["status"], post["title"], post["html"]) == ("published", f"A post {words}", text)
    assert post["url"] == f"{app.url.rstrip('/')}{path}"

    assert f"Written by {words} & shown ✓" in page
    assert f"A post {words}" in page
    assert owner.name in page, "the page names no author"
    assert words in public("/rss/", 200).text, "the feed does not have the post"
    assert post["url"] in public("/sitemap-posts.xml", 200).text, "the site map does not have the post"


def test_a_deleted_post_is_gone(owner, words, public):
    post = owner.writes(f"A short life {words}", "<p>Soon gone</p>")
    path = f"/{post['slug']}/"
    assert words in public(path, 200).text
    assert owner.http.delete(f"{owner.api}/posts/{post['id']}/").status_code == 204
    public(path, 404)
    assert owner.http.get(f"{owner.api}/posts/{post['id']}/").status_code == 404


def test_somebody_elses_change_is_not_overwritten(owner, words):
    post = owner.writes(f"Two hands {words}", "<p>First</p>", status="draft")
    wanted = {"title": f"Late {words}", "updated_at": "2020-01-01T00:00:00.000Z"}
    late = owner.http.put(f"{owner.api}/posts/{post['id']}/", json={"posts": [wanted]})
    assert late.status_code == 409, f"an old state was accepted: {late.status_code} {late.text[:200]}"
    assert owner.reads(post)["title"] == f"Two hands {words}"
