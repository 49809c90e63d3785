"""The page in a browser."""


def test_page_renders_without_errors(app, page):
    page.goto_with_retry(app.url)
    assert page.title(), "the page has no title"
    assert page.inner_text("body").strip(), "the page shows nothing"
    page.keep_picture("custom-html-page", "The start page")
    assert page.console.errors == []
    assert page.console.failed == []
