"""The theme that came with Ghost is in the content volume, and makes the pages."""


def test_a_theme_is_active_and_served(app, owner):
    themes = owner.http.get(f"{owner.api}/themes/").json()["themes"]
    (active,) = [theme for theme in themes if theme.get("active")]
    assert active["name"] in {theme["name"] for theme in themes}
    package = active["package"]
    kept = app.exec_in("app", ["cat", f"/var/lib/ghost/content/themes/{active['name']}/package.json"])
    assert kept.rc == 0, kept.stderr[-200:]
    assert f'"version": "{package["version"]}"' in kept.stdout, "the theme in the volume is another one"
    style = app.http().get("/assets/built/screen.css")
    assert (style.status_code, style.headers["Content-Type"].partition(";")[0]) == (200, "text/css")
    assert len(style.text) > 1000
