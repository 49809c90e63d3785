"""The dashboard in a browser."""

from uptime_kuma_client import OWNER, UP

SHOWN_WITHIN = 30_000  # milliseconds; what the pages show comes over a connection of their own, after the login


def test_the_dashboard_shows_a_monitor_as_up(app, watched, beat, page):
    beat(watched, UP, "the heartbeat of a target that answers")
    page.goto_with_retry(f"{app.url.rstrip('/')}/dashboard")
    page.fill("#floatingInput", OWNER)
    page.fill("#floatingPassword", app.password("owner"))
    page.click("button[type=submit]")

    event = page.locator("tr", has_text=watched.name)
    event.wait_for(timeout=SHOWN_WITHIN)
    assert event.locator(".badge").inner_text() == "Up"
    page.keep_picture("uptime-kuma-dashboard", "The dashboard with a monitor that is up")

    page.locator(".monitor-list a.item", has_text=watched.name).click()
    page.locator("h1", has_text=watched.name).wait_for(timeout=SHOWN_WITHIN)
    page.locator(".badge.bg-primary:visible", has_text="Up").last.wait_for(timeout=SHOWN_WITHIN)
    assert page.locator(f"a[href='{watched.target.url}']").is_visible(), "the page does not say what is watched"
    page.locator("[class*=-enter-active]").wait_for(state="detached", timeout=SHOWN_WITHIN)  # it fades in
    page.keep_picture("uptime-kuma-monitor", "The page of that monitor")
