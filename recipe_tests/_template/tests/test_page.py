"""Longer stories, in Python. One function is one test; this one is RECIPE.test_page_shows_the_app."""


def test_page_shows_the_app(app, page):
    page.goto_with_retry(app.url)
    page.find_text("Welcome", retry_for=60)
    page.keep_picture("RECIPE-page", "The start page")
