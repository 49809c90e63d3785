"""What Gitea is for: repositories that people push to and read."""

import base64
import os
import secrets
import subprocess
from pathlib import Path

import pytest

LIMIT = 60  # seconds for one git command


@pytest.fixture
def repository(admin) -> str:
    """The path of a private repository with one commit, `owner/name`."""
    name = f"demo-{secrets.token_hex(4)}"
    body = {"name": name, "private": True, "auto_init": True, "default_branch": "main"}
    answer = admin.http.post("/api/v1/user/repos", json=body)
    # 409: this very request was sent again after an answer that was lost; names are random.
    assert answer.status_code in (201, 409), f"no repository was made: {answer.status_code} {answer.text[:200]}"
    return f"{admin.name}/{name}"


@pytest.fixture
def git(tmp_path, ccci_context, admin):
    """Runs git as that person, through the ingress. The token is in git's environment, never in its arguments."""
    settings = {
        "http.extraHeader": "Authorization: Basic " + base64.b64encode(f"{admin.name}:{admin.token}".encode()).decode(),
        "user.name": "Anna Example",
        "user.email": "anna@example.org",
        "commit.gpgSign": "false",
    }
    if ccci_context.ingress_address:
        settings["http.curloptResolve"] = f"{ccci_context.domain}:443:{ccci_context.ingress_address}"
    if ccci_context.ca_file:
        settings["http.sslCAInfo"] = ccci_context.ca_file
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }  # fmt: skip
    for index, (key, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}

    def run(*arguments: str, cwd: Path = tmp_path) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
        )  # fmt: skip
        assert done.returncode == 0, f"git {arguments[0]} ended with {done.returncode}: {done.stderr[-500:]}"
        return done.stdout.strip()

    return run


def test_a_pushed_commit_is_read_back(app, admin, repository, git, tmp_path):
    text = f"Pushed by {secrets.token_hex(8)}, märked ✓\n"
    here, there = tmp_path / "here", tmp_path / "there"
    address = f"{app.url.rstrip('/')}/{repository}.git"
    git("clone", "--quiet", address, str(here))
    (here / "note.txt").write_text(text)
    git("add", "note.txt", cwd=here)
    git("commit", "--quiet", "-m", "Add a note", cwd=here)
    git("push", "--quiet", "origin", "main", cwd=here)
    commit = git("rev-parse", "HEAD", cwd=here)

    found = admin.http.get(f"/api/v1/repos/{repository}/contents/note.txt", params={"ref": commit}).json()
    assert base64.b64decode(found["content"]).decode() == text
    # The hooks that Gitea puts into a repository told it of the push.
    branch = admin.http.get(f"/api/v1/repos/{repository}/branches/main").json()
    assert branch["commit"]["id"] == commit
    git("clone", "--quiet", address, str(there))
    assert (there / "note.txt").read_text() == text


def test_a_repository_is_read_back_and_private(app, admin, repository):
    found = admin.http.get(f"/api/v1/repos/{repository}").json()
    assert (found["full_name"], found["private"], found["default_branch"]) == (repository, True, "main")
    assert found["clone_url"] == f"{app.url.rstrip('/')}/{repository}.git"
    assert app.http().get(f"/api/v1/repos/{repository}").status_code == 404, "a stranger sees a private repository"


def test_nobody_registers(app):
    page = app.http().get("/user/sign_up")
    assert page.status_code == 200
    assert 'name="retype"' not in page.text, "the form for new accounts is shown"


def test_sign_in_page_renders(app, page):
    page.goto_with_retry(f"{app.url}/user/login")
    page.find_text("Sign In", retry_for=30)
    page.keep_picture("gitea-sign-in", "The sign-in page")
