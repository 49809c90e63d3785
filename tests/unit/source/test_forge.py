"""Who is at fault when a fetch fails, against real little web servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from gitrepo import Repo

from ccci.errors import InfrastructureError, UsageError
from ccci.source import catalogue
from ccci.source.forge import UnknownRepository
from ccci.source.git import clean, credentials_environment, public_url
from ccci.source.mirror import Mirror


class Forge(HTTPServer):
    front_page = 200
    everything_else = 404
    seen: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: Forge

    def do_GET(self) -> None:
        self.server.seen.append(self.headers.get("Authorization", ""))
        self.send_response(self.server.front_page if self.path == "/" else self.server.everything_else)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def forge(monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Forge(("127.0.0.1", 0), _Handler)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def url(forge: Forge) -> str:
    return f"http://127.0.0.1:{forge.server_port}/org/demo.git"


def test_a_living_forge_without_the_repository(forge: Forge) -> None:
    with pytest.raises(UnknownRepository):
        Mirror.open("demo", url(forge)).fetch()


def test_a_forge_that_answers_404_to_everything_is_down(forge: Forge) -> None:
    forge.front_page = 404
    with pytest.raises(InfrastructureError) as error:
        Mirror.open("demo", url(forge)).fetch()
    assert "is down" in error.value.what
    assert "/ answers 404" in error.value.observed


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_forge_with_server_errors_is_down(forge: Forge, status: int) -> None:
    forge.everything_else = status
    with pytest.raises(InfrastructureError):
        Mirror.open("demo", url(forge)).fetch()


def test_a_forge_that_wants_a_login_hides_the_repository(forge: Forge) -> None:
    forge.everything_else = 401
    with pytest.raises(UnknownRepository):
        Mirror.open("demo", url(forge)).fetch()


def test_nobody_listens(forge: Forge) -> None:
    port = forge.server_port
    forge.server_close()
    with pytest.raises(InfrastructureError):
        Mirror.open("demo", f"http://127.0.0.1:{port}/demo.git").fetch()


def test_a_dead_forge_is_an_infrastructure_error_even_with_a_mirror(repo: Repo, tmp_path: Path) -> None:
    mirror = Mirror.open("demo", repo.url)
    mirror.fetch()
    repo.path.parent.rename(tmp_path / "unplugged")
    with pytest.raises(InfrastructureError):
        mirror.fetch()


def test_credentials_reach_the_forge_and_nothing_else(forge: Forge) -> None:
    secret = url(forge).replace("http://", "http://robot:hunter2secret@")
    forge.front_page = 404
    mirror = Mirror.open("demo", secret)
    with pytest.raises(InfrastructureError) as error:
        mirror.fetch()
    assert "hunter2secret" not in str(error.value)
    assert "hunter2secret" not in mirror.url
    assert any(seen.startswith("Basic ") for seen in forge.seen)
    assert all(b"hunter2secret" not in file.read_bytes() for file in mirror.path.rglob("*") if file.is_file())


def test_urls_are_shown_without_credentials() -> None:
    assert public_url("https://u:p@git.example/x") == "https://git.example/x"
    assert public_url("ssh://git:p@git.example:22/x") == "ssh://git@git.example:22/x"
    assert public_url("git@git.example:x") == "git@git.example:x"
    assert clean("fatal: 'https://u:p@git.example/x' gone") == "fatal: 'https://git.example/x' gone"
    assert credentials_environment("ssh://git@git.example/x") == {}


# the catalogue


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An embedded catalogue of one recipe, whose build script counts its calls."""
    sources = tmp_path / "embedded"
    (sources / "custom-html").mkdir(parents=True)
    (sources / "build.py").write_text(
        "import os, pathlib, subprocess, sys\n"
        "target = pathlib.Path(os.environ['CCCI_CACHE_DIR'], 'recipes', sys.argv[1] + '.git')\n"
        "subprocess.run(['git', 'init', '-q', '--bare', str(target)], check=True)\n"
        "with open(target / 'builds', 'a') as file: file.write('x')\n"
    )
    monkeypatch.setattr(catalogue, "EMBEDDED_SOURCES", sources)
    monkeypatch.setattr(catalogue.paths, "RECIPE_TESTS", tmp_path / "recipe_tests")
    return sources


def test_embedded_recipes_are_built_once(embedded: Path, tmp_path: Path) -> None:
    for _ in range(2):
        catalogue.open_mirror("custom-html", "embedded")
    assert (tmp_path / "cache" / "recipes" / "custom-html.git" / "builds").read_text() == "x"


def test_embedded_build_that_fails(embedded: Path) -> None:
    (embedded / "build.py").write_text("raise SystemExit('no git here')")
    with pytest.raises(InfrastructureError) as error:
        catalogue.open_mirror("custom-html", "embedded")
    assert "no git here" in error.value.observed


def test_unknown_recipe_names_the_nearest(embedded: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe_tests" / "keycloak").mkdir(parents=True)
    (tmp_path / "recipe_tests" / "_template").mkdir()
    with pytest.raises(UsageError) as error:
        catalogue.open_mirror("custom-htm", "embedded")
    assert "custom-html" in error.value.expected
    assert catalogue.known_recipes("embedded") == ["custom-html", "keycloak"]


def test_unknown_recipe_on_a_living_forge(embedded: Path, repo: Repo) -> None:
    with pytest.raises(UsageError) as error:
        catalogue.open_mirror("custom-htlm", f"file://{repo.path.parent}/{{recipe}}.git")
    assert "Unknown recipe" in error.value.what


def test_source_overrides_the_inventory(repo: Repo) -> None:
    mirror = catalogue.open_mirror("demo", "embedded", source=str(repo.path))
    assert [version.tag for version in mirror.versions()] == ["1.0.0+1.2.0", "1.1.0+1.3.0"]


@pytest.mark.parametrize("source", ["ext::sh -c 'id'", "--upload-pack=id", "/nowhere/at/all", "ftp://x/y"])
def test_sources_that_git_must_not_see(source: str) -> None:
    with pytest.raises(UsageError):
        catalogue.open_mirror("demo", "embedded", source=source)


@pytest.mark.parametrize("name", ["../etc", "a/b", "", "A", "x y", "-n"])
def test_names_that_no_recipe_has(name: str) -> None:
    with pytest.raises(UsageError):
        catalogue.open_mirror(name, "https://git.example/{recipe}.git")


def test_a_url_template_needs_the_recipe() -> None:
    with pytest.raises(UsageError):
        catalogue.open_mirror("demo", "https://git.example/demo.git")
