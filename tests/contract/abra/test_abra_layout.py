"""DIR, CALL, ENV and VER: folders, the command line, `.env` files, versions. Nothing here needs Docker."""

from __future__ import annotations

import json
import stat

import pytest
from abra_adapter import Abra
from abra_recipes import Source, compose, git, plain_recipe, sample
from abra_swarm import Probe


def make_app(abra: Abra, domain: str, *more: str, recipe: str = "plain") -> None:
    abra.ok("app", "new", recipe, *more, "-n", "-o", "--server", "default", "--domain", domain)


def head(abra: Abra, recipe: str = "plain") -> str:
    return git(abra.checkout(recipe), "rev-parse", "HEAD")


def commit_of(source: Source, tag: str) -> str:
    return git(source.folder, "rev-parse", f"{tag}^{{commit}}")


def test_version_is_printed(abra: Abra) -> None:
    assert abra.ok("--version").output.startswith("abra version 0.")


def test_dir_1_abra_dir_is_honoured(abra: Abra, plain: Source, domain: str) -> None:
    make_app(abra, domain)
    assert abra.env_file(domain).is_file()


def test_dir_2_servers_may_be_a_symlink(abra: Abra, plain: Source, domain: str) -> None:
    real = abra.folder.parent / "elsewhere"
    (abra.folder / "servers").rename(real)
    (abra.folder / "servers").symlink_to(real)
    make_app(abra, domain)
    assert (real / "default" / f"{domain}.env").is_file()


def test_dir_7_without_sample_a_recipe_is_refused(abra: Abra, plain: Source, domain: str) -> None:
    (abra.checkout("plain") / ".env.sample").unlink()
    done = abra("app", "new", "plain", "-C", "-n", "-o", "--server", "default", "--domain", domain)
    assert done.rc == 1
    assert "unable to validate recipe" in done.output
    assert not abra.env_file(domain).exists()


def test_call_1_flags_stand_anywhere(abra: Abra, plain: Source, domain: str) -> None:
    abra.ok("-n", "-o", "app", "new", "--domain", domain, "plain", "--server=default")
    assert abra.env_file(domain).exists()


def test_call_2_errors_are_fata_on_stderr(abra: Abra) -> None:
    done = abra("app", "deploy", "nowhere.abra.test", "-n", "-o")
    assert done.rc == 1
    assert done.stderr.lstrip().startswith("FATA")


def test_call_3_a_terminal_does_no_harm(abra: Abra, plain: Source) -> None:
    assert "1.1.0+13.0" in abra.ok("recipe", "versions", "plain", "-n", "-o", "-m", pty=True).output


def test_call_1_an_unknown_flag_is_an_error(abra: Abra, plain: Source) -> None:
    done = abra("app", "ls", "--no-such-flag", "-n")
    assert done.rc == 1
    assert "--no-such-flag" in done.output


def test_env_3_new_writes_the_version_behind_the_type(abra: Abra, plain: Source, domain: str) -> None:
    make_app(abra, domain)
    assert "TYPE=plain:1.1.0+13.0" in abra.env_file(domain).read_text().splitlines()


def test_env_5_new_copies_the_sample_with_its_comments(abra: Abra, plain: Source, domain: str) -> None:
    text = sample("plain", "# a comment\nSECRET_X_VERSION=v1   # length=12 charset=hex\nQUOTED='`x`'\n")
    plain.commit({".env.sample": text}, "1.2.0+13.0")
    git(abra.checkout("plain"), "fetch", "--quiet", "--tags")
    make_app(abra, domain)
    lines = abra.env_file(domain).read_text().splitlines()
    assert set(text.splitlines()[4:]) <= set(lines)


def test_app_new_takes_the_newest_version(abra: Abra, plain: Source, domain: str) -> None:
    make_app(abra, domain)
    assert head(abra) == commit_of(plain, "1.1.0+13.0")


def test_app_new_takes_the_version_that_is_named(abra: Abra, plain: Source, domain: str) -> None:
    make_app(abra, domain, "1.0.0+12.0")
    assert head(abra) == commit_of(plain, "1.0.0+12.0")
    assert "TYPE=plain:1.0.0+12.0" in abra.env_file(domain).read_text()


def test_app_new_with_chaos_leaves_the_checkout(abra: Abra, plain: Source, domain: str) -> None:
    before = head(abra)
    (abra.checkout("plain") / "untracked").touch()
    make_app(abra, domain, "-C")
    assert head(abra) == before
    assert before not in (commit_of(plain, "1.0.0+12.0"), commit_of(plain, "1.1.0+13.0"))


def test_app_new_refuses_a_tree_with_changes(abra: Abra, plain: Source, domain: str) -> None:
    (abra.checkout("plain") / "untracked").touch()
    done = abra("app", "new", "plain", "-n", "-o", "--server", "default", "--domain", domain)
    assert done.rc == 1
    assert "locally unstaged changes" in done.output


def test_cmp_2_new_wants_durations_written_out(abra: Abra, plain: Source, domain: str) -> None:
    text = compose("1.2.0+13.0", service='    stop_grace_period: "${GRACE:-5s}"')
    plain.commit({"compose.yml": text}, "1.2.0+13.0")
    git(abra.checkout("plain"), "fetch", "--quiet", "--tags")
    done = abra("app", "new", "plain", "-n", "-o", "--server", "default", "--domain", domain)
    assert done.rc == 1
    assert "Does not match format 'duration'" in done.output


def test_ver_2_lightweight_tags_are_no_versions(abra: Abra, plain: Source, domain: str) -> None:
    plain.commit({"README.md": "light\n"}, "9.0.0+13.0", annotated=False)
    git(abra.checkout("plain"), "fetch", "--quiet", "--tags")
    listed = abra.ok("recipe", "versions", "plain", "-m", "-n", "-o", pty=True).output
    assert "1.1.0+13.0" in listed
    assert "9.0.0+13.0" not in listed


@pytest.mark.parametrize(
    ("tags", "newest"),
    [
        (["1.9.0+1.0", "1.10.0+1.0"], "1.10.0+1.0"),
        (["1.10.0+1.28.0", "1.10.0+1.9.0"], "1.10.0+1.28.0"),
        (["2.0.0+1.0", "1.99.0+9.0", "not-a-version"], "2.0.0+1.0"),
    ],
)
def test_ver_4_versions_are_ordered_on_both_sides(abra: Abra, domain: str, tags: list[str], newest: str) -> None:
    source = Source(abra.folder.parent / "origin/ordered")
    source.commit({".env.sample": sample("ordered"), "compose.yml": compose("0"), "abra.sh": ""})
    for tag in tags:
        source.commit({"README.md": tag}, tag)
    source.clone_to(abra.checkout("ordered"))
    make_app(abra, domain, recipe="ordered")
    assert f"TYPE=ordered:{newest}" in abra.env_file(domain).read_text()


def test_without_tags_the_head_is_the_version(abra: Abra, domain: str) -> None:
    source = Source(abra.folder.parent / "origin/untagged")
    commit = source.commit({".env.sample": sample("untagged"), "compose.yml": compose("0"), "abra.sh": ""})
    source.clone_to(abra.checkout("untagged"))
    make_app(abra, domain, recipe="untagged")
    assert head(abra, "untagged") == commit


def test_dir_3_fetch_gets_new_versions(abra: Abra, plain: Source) -> None:
    plain.commit({"README.md": "new\n"}, "1.2.0+13.0")
    abra.ok("recipe", "fetch", "plain", "-n")
    assert "1.2.0+13.0" in git(abra.checkout("plain"), "tag").splitlines()


def test_recipe_versions_name_service_image_and_tag(abra: Abra, plain: Source) -> None:
    output = abra.ok("recipe", "versions", "plain", "-m", "-n", "-o", pty=True).output
    rows = json.loads(output[output.index("[") : output.rindex("]") + 1])
    assert {"1.0.0+12.0", "1.1.0+13.0"} == {row["version"] for row in rows}
    assert {(row["service"], row["tag"]) for row in rows} == {("app", "1.22.1"), ("app", "1.26.3")}


class TestLint:
    def lint(self, abra: Abra, source: Source) -> str:
        git(abra.checkout("plain"), "fetch", "--quiet", "--tags")
        git(abra.checkout("plain"), "checkout", "--quiet", "origin/main")
        return abra.ok("recipe", "lint", "plain", "-n", "-C", pty=True).output

    def rule(self, output: str, ref: str) -> str:
        return next(line for line in output.splitlines() if ref in line)

    def test_r008_to_r014_hold_for_a_good_recipe(self, abra: Abra, plain: Source) -> None:
        output = self.lint(abra, plain)
        for ref in ("R008", "R009", "R011", "R012", "R014"):
            assert "✅" in self.rule(output, ref)
        assert "critical errors present" not in output

    def test_r009_a_service_must_be_called_app(self, abra: Abra, plain: Source) -> None:
        plain.commit({"compose.yml": compose("1").replace("  app:", "  web:")})
        output = self.lint(abra, plain)
        assert "❌" in self.rule(output, "R009")
        assert "critical errors present" in output

    def test_r014_tags_must_be_annotated(self, abra: Abra, plain: Source) -> None:
        plain.commit({"README.md": "x"}, "1.5.0+13.0", annotated=False)
        output = self.lint(abra, plain)
        assert "❌" in self.rule(output, "R014")


class TestProbes:
    """Rules that nobody has checked on a real abra yet."""

    def test_env_5_an_existing_file_is_refused(self, abra: Abra, plain: Source, domain: str, probe: Probe) -> None:
        make_app(abra, domain)
        with probe("ENV-5", "app new refuses an existing .env"):
            again = abra("app", "new", "plain", "-n", "-o", "--server", "default", "--domain", domain)
            assert again.rc != 0, again.output

    def test_domain_is_put_into_the_sample(self, abra: Abra, plain: Source, domain: str, probe: Probe) -> None:
        make_app(abra, domain)
        with probe("§2", "<recipe>.example.com becomes the domain"):
            assert f"DOMAIN={domain}" in abra.env_file(domain).read_text()

    def test_cmp_1_long_names(self, abra: Abra, plain: Source, probe: Probe) -> None:
        with probe("CMP-1", "app new refuses a name of 46 characters"):
            done = abra("app", "new", "plain", "-n", "-o", "--server", "default", "--domain", f"{'x' * 36}.abra.test")
            assert done.rc != 0, done.output

    def test_version_together_with_chaos(self, abra: Abra, plain: Source, domain: str, probe: Probe) -> None:
        with probe("§6", "app new refuses VERSION together with -C"):
            done = abra(
                "app", "new", "plain", "1.0.0+12.0", "-C", "-n", "-o", "--server", "default", "--domain", domain
            )
            assert done.rc != 0, done.output

    def test_env_3_type_after_a_chaos_new(self, abra: Abra, plain: Source, domain: str, probe: Probe) -> None:
        make_app(abra, domain, "-C")
        with probe("ENV-3", "app new -C writes the commit behind TYPE"):
            assert f"TYPE=plain:{head(abra)[:8]}" in abra.env_file(domain).read_text()

    def test_dir_5_add_local_server(self, abra: Abra, probe: Probe) -> None:
        (abra.folder / "servers/default").rmdir()
        with probe("DIR-5", "server add --local makes servers/default"):
            abra.ok("server", "add", "--local", "-n")
            assert (abra.folder / "servers/default").is_dir()

    def test_env_files_are_private(self, abra: Abra, plain: Source, domain: str, probe: Probe) -> None:
        make_app(abra, domain)
        with probe("ENV-5", "an app's .env is readable by its owner only"):
            assert stat.S_IMODE(abra.env_file(domain).stat().st_mode) == 0o600


def test_two_folders_do_not_meet(
    abra: Abra, plain: Source, domain: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Abra(tmp_path_factory.mktemp("other"))
    (other.folder / "servers/default").mkdir(parents=True)
    plain_recipe(other.folder / "origin/plain").clone_to(other.checkout("plain"))
    make_app(abra, domain)
    assert not other.env_file(domain).exists()
    assert domain not in other.ok("app", "ls", "-n", "-m", pty=True).output
