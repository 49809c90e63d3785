def test_the_button_comes(app, page):
    page.goto_with_retry(f"{app.url}/frame")
    page.find_in_frames("#ready", retry_for=40, reload_every=2)
