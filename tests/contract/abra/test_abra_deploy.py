"""CMP, CONV, ENV-4, CFG, UPG: what a deploy does to the swarm. One app lives through most of this file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from abra_adapter import Abra
from abra_recipes import IMAGES, Source, compose, git, sample
from abra_swarm import Probe, Swarm, remove_all, stack_of

pytestmark = pytest.mark.docker
SERVICE = """\
    volumes: ["data:/data"]
    configs: [{source: page, target: /page}]
    healthcheck: {test: "test -f /page", interval: 1s, timeout: 2s, retries: 3}
    depends_on: [nobody]
    restart: always"""
TAIL = """\
volumes:
  data:
configs:
  page:
    name: ${STACK_NAME}_page_${PAGE_VERSION}
    file: page.tmpl
    template_driver: golang
"""
FUNCTIONS = """\
export PAGE_VERSION=v1
greet() { echo "greet $1 target=$TARGET app=$APP_NAME stack=$STACK_NAME"; }
broken() { return 7; }
"""


@dataclass
class Living:
    """An app that is deployed at 1.0.0+12.0; `source` is the origin of its recipe."""

    abra: Abra
    source: Source
    domain: str
    commits: dict[str, str]

    @property
    def stack(self) -> str:
        return stack_of(self.domain)

    def deploy(self, *argv: str, limit: float = 90) -> str:
        return self.abra.ok("app", "deploy", self.domain, "-n", "-o", "-D", *argv, limit=limit).output

    def pinned(self) -> str:
        lines = self.abra.env_file(self.domain).read_text().splitlines()
        return next(line for line in lines if line.startswith("TYPE=")).removeprefix("TYPE=")


@pytest.fixture(scope="module")
def living(shared_abra: Abra, workshop, swarm: Swarm, new_domain: Callable[[], str]) -> Iterator[Living]:
    source = Source(workshop / "living")
    files = {".env.sample": sample("living"), "abra.sh": FUNCTIONS, "README.md": "# living\n",
             "page.tmpl": '{{ env "DOMAIN" }} {{ env "LETTERS" }}\n'}  # fmt: skip
    first = compose("1.0.0+12.0", IMAGES[0], service=SERVICE, tail=TAIL)
    second = compose("1.1.0+13.0", IMAGES[1], service=SERVICE, tail=TAIL)
    commits = {
        "1.0.0+12.0": source.commit({**files, "compose.yml": first}, "1.0.0+12.0"),
        "1.1.0+13.0": source.commit({"compose.yml": second}, "1.1.0+13.0"),
        "unreleased": source.commit({"README.md": "# later\n"}),
    }
    source.clone_to(shared_abra.checkout("living"))
    app = Living(shared_abra, source, new_domain(), commits)
    shared_abra.ok("app", "new", "living", "1.0.0+12.0", "-n", "-o", "--server", "default", "--domain", app.domain)
    with shared_abra.env_file(app.domain).open("a") as file:
        file.write(f"DOMAIN={app.domain}\nLETTERS=first\nLETTERS=$LETTERS-last\nSINGLE='$LETTERS'\n")
    app.deploy()
    yield app
    remove_all(app.stack)


class TestReleasedVersion:
    def test_cmp_1_stack_name_is_the_domain_with_underscores(self, living: Living, swarm: Swarm) -> None:
        assert swarm.names("service", f"{living.stack}_app") == [f"{living.stack}_app"]
        assert living.stack.count("-") == living.domain.count("-")

    def test_conv_2_deploy_waits_until_the_service_runs(self, living: Living, swarm: Swarm) -> None:
        replicas = swarm.docker("service", "ls", "--filter", f"name={living.stack}_app", "--format", "{{.Replicas}}")
        assert replicas.startswith("1/1")

    def test_cmp_7_labels_of_a_release(self, living: Living, swarm: Swarm) -> None:
        labels = swarm.labels(living.stack)
        prefix = f"coop-cloud.{living.stack}"
        assert labels[f"{prefix}.recipe"] == "living"
        assert labels[f"{prefix}.version"] == "1.0.0+12.0"
        assert labels[f"{prefix}.chaos"] == "false"
        assert labels["com.docker.stack.namespace"] == living.stack

    def test_env_4_the_pinned_version_is_checked_out(self, living: Living) -> None:
        assert git(living.abra.checkout("living"), "rev-parse", "HEAD") == living.commits["1.0.0+12.0"]
        assert living.pinned() == "living:1.0.0+12.0"

    def test_cmp_3_and_5_values_come_from_the_env_file(self, living: Living, swarm: Swarm) -> None:
        environment = swarm.environment(living.stack)
        assert environment["STAMP"] == "letters-first-last"
        assert environment["DOMAIN"] == living.domain

    def test_env_1_single_quotes_are_literal(self, living: Living, swarm: Swarm) -> None:
        assert swarm.environment(living.stack)["SINGLE"] == "$LETTERS"

    def test_cmp_6_every_variable_reaches_app(self, living: Living, swarm: Swarm) -> None:
        environment = swarm.environment(living.stack)
        assert environment["LETTERS"] == "first-last"
        assert environment["PAGE_VERSION"] == "v1"
        assert environment["TYPE"] == "living:1.0.0+12.0"

    def test_cfg_1_config_name_carries_the_version_of_abra_sh(self, living: Living, swarm: Swarm) -> None:
        assert swarm.names("config", living.stack) == [f"{living.stack}_page_v1"]

    def test_cfg_1_template_sees_the_environment(self, living: Living) -> None:
        done = living.abra.ok("app", "run", living.domain, "app", "-n", "--", "cat", "/page", pty=True)
        assert f"{living.domain} first-last" in done.output

    def test_volumes_are_named_after_the_stack(self, living: Living, swarm: Swarm) -> None:
        assert swarm.names("volume", living.stack) == [f"{living.stack}_data"]

    def test_ps_tells_service_image_and_version(self, living: Living) -> None:
        output = living.abra.ok("app", "ps", living.domain, "-m", "-n", "-C", pty=True).output
        (row,) = json.loads(output[output.index("{") : output.rindex("}") + 1]).values()
        assert row["service"].endswith("app")
        assert row["version"] == "1.0.0+12.0"
        assert row["chaos"] == "false"
        assert "nginx:1.22.1" in row["image"]

    def test_ls_tells_the_status(self, living: Living) -> None:
        output = living.abra.ok("app", "ls", "-S", "-m", "-n", "-o", pty=True).output
        answer = json.loads(output[output.index("{") : output.rindex("}") + 1])["default"]
        app = next(one for one in answer["apps"] if one["appName"] == living.domain)
        assert (app["recipe"], app["status"], app["version"]) == ("living", "deployed", "1.0.0+12.0")
        assert "1.1.0+13.0" in app["upgrade"]
        assert answer["appCount"] == 1

    def test_deploying_again_wants_force(self, living: Living) -> None:
        done = living.abra("app", "deploy", living.domain, "-n", "-o", "-D")
        assert done.rc == 1

    def test_remove_is_refused_while_deployed(self, living: Living) -> None:
        done = living.abra("app", "remove", living.domain, "-n", "-f")
        if done.rc != 0 and "unknown" in done.output:
            done = living.abra("app", "remove", living.domain, "-n")
        assert done.rc == 1
        assert living.abra.env_file(living.domain).exists()

    def test_an_unclean_tree_is_refused(self, living: Living) -> None:
        stray = living.abra.checkout("living") / "stray"
        stray.touch()
        done = living.abra("app", "deploy", living.domain, "-n", "-o", "-f", "-D")
        stray.unlink()
        assert done.rc == 1
        assert "locally unstaged changes" in done.output

    def test_probe_run_passes_the_return_code_on(self, living: Living, probe: Probe) -> None:
        with probe("§9", "app run ends with the command's return code"):
            assert living.abra("app", "run", living.domain, "app", "-n", "--", "sh", "-c", "exit 5", pty=True).rc == 5

    def test_probe_cmd_runs_a_function_in_the_container(self, living: Living, probe: Probe) -> None:
        with probe("CMD-1", "app cmd calls the function with TARGET, APP_NAME, STACK_NAME"):
            done = living.abra.ok("app", "cmd", living.domain, "app", "greet", "-n", "-C", "--", "you", pty=True)
            assert f"greet you target=app app={living.domain} stack={living.stack}" in done.output
        with probe("CMD-2", "an unknown function is an error"):
            assert living.abra("app", "cmd", living.domain, "app", "nothing", "-n", "-C", pty=True).rc != 0
        with probe("CMD-2", "a failing function makes app cmd fail"):
            assert living.abra("app", "cmd", living.domain, "app", "broken", "-n", "-C", pty=True).rc != 0

    def test_probe_volume_remove_is_refused(self, living: Living, swarm: Swarm, probe: Probe) -> None:
        with probe("§13", "volume remove is refused while deployed"):
            assert living.abra("app", "volume", "remove", living.domain, "-f", "-n").rc != 0
        assert swarm.names("volume", living.stack)


class TestChaosAndUpgrade:
    """In this order: chaos at the head, the label of an unclean tree, then releases up and down."""

    def test_cmp_7_and_8_chaos_deploys_what_is_checked_out(self, living: Living, swarm: Swarm) -> None:
        git(living.abra.checkout("living"), "checkout", "--force", "--quiet", living.commits["unreleased"])
        created = swarm.inspect("volume", f"{living.stack}_data")["CreatedAt"]
        living.deploy("-C", "-f", "-c")
        labels = swarm.labels(living.stack)
        assert labels[f"coop-cloud.{living.stack}.chaos"] == "true"
        assert labels[f"coop-cloud.{living.stack}.chaos-version"] == living.commits["unreleased"][:8]
        assert labels[f"coop-cloud.{living.stack}.version"] == "1.1.0+13.0"  # as the compose file says it
        assert git(living.abra.checkout("living"), "rev-parse", "HEAD") == living.commits["unreleased"]
        assert swarm.inspect("volume", f"{living.stack}_data")["CreatedAt"] == created

    def test_cmp_8_untracked_files_mark_the_version(self, living: Living, swarm: Swarm) -> None:
        stray = living.abra.checkout("living") / "compose.stray.yml"
        stray.write_text('version: "3.8"\n')
        living.deploy("-C", "-f", "-c")
        stray.unlink()
        marked = swarm.labels(living.stack)[f"coop-cloud.{living.stack}.chaos-version"]
        assert marked == f"{living.commits['unreleased'][:8]}+U"

    def test_env_4_an_argument_comes_first(self, living: Living, swarm: Swarm) -> None:
        living.abra.ok("app", "deploy", living.domain, "1.1.0+13.0", "-n", "-o", "-D", "-f", limit=90)
        labels = swarm.labels(living.stack)
        assert labels[f"coop-cloud.{living.stack}.version"] == "1.1.0+13.0"
        assert labels[f"coop-cloud.{living.stack}.chaos"] == "false"
        assert f"coop-cloud.{living.stack}.chaos-version" not in labels
        assert living.pinned() == "living:1.1.0+13.0"
        assert git(living.abra.checkout("living"), "rev-parse", "HEAD") == living.commits["1.1.0+13.0"]

    def test_probe_upgrade_and_rollback(self, living: Living, swarm: Swarm, probe: Probe) -> None:
        with probe("UPG-1", "upgrade with nothing newer returns 0 and changes nothing"):
            living.abra.ok("app", "upgrade", living.domain, "-n", "-o", "-D")
            assert living.pinned() == "living:1.1.0+13.0"
        with probe("UPG-1", "rollback goes to an older version in place"):
            living.abra.ok("app", "rollback", living.domain, "1.0.0+12.0", "-n", "-o", "-D", "-c")
            assert swarm.labels(living.stack)[f"coop-cloud.{living.stack}.version"] == "1.0.0+12.0"
        with probe("UPG-1", "upgrade takes the newest version"):
            living.abra.ok("app", "upgrade", living.domain, "-n", "-o", "-D", "-c")
            assert living.pinned() == "living:1.1.0+13.0"

    def test_probe_commit_as_version(self, living: Living, probe: Probe) -> None:
        with probe("ENV-4", "a commit is taken as VERSION"):
            commit = living.commits["unreleased"]
            living.abra.ok("app", "deploy", living.domain, commit, "-n", "-o", "-D", "-f", "-c")
            assert git(living.abra.checkout("living"), "rev-parse", "HEAD") == commit


class TestFailures:
    def test_conv_3_a_service_that_never_gets_healthy(self, abra: Abra, swarm: Swarm, domain: str) -> None:
        health = '    healthcheck: {test: "false", interval: 1s, timeout: 1s, retries: 1}'
        source = Source(abra.folder.parent / "origin/sick")
        labels = f'        - "coop-cloud.{stack_of(domain)}.timeout=4"'
        text = compose("1.0.0+12.0", service=health, labels=labels).replace("timeout=${TIMEOUT:-60}", "other=1")
        source.commit({".env.sample": sample("sick"), "abra.sh": "", "compose.yml": text}, "1.0.0+12.0")
        source.clone_to(abra.checkout("sick"))
        abra.ok("app", "new", "sick", "-n", "-o", "--server", "default", "--domain", domain)
        began = time.monotonic()
        done = abra("app", "deploy", domain, "-n", "-o", "-D", limit=60)
        assert done.rc == 1
        assert "deploy timed out" in done.output or "deploy failed" in done.output
        assert time.monotonic() - began < 40
        assert swarm.names("service", stack_of(domain)), "the stack stays applied"

    def test_r014_a_lightweight_tag_stops_a_deploy(self, abra: Abra, plain: Source, swarm: Swarm, domain: str) -> None:
        abra.ok("app", "new", "plain", "-n", "-o", "--server", "default", "--domain", domain)
        plain.commit({"README.md": "light\n"}, "2.0.0+13.0", annotated=False)
        git(abra.checkout("plain"), "fetch", "--quiet", "--tags")
        done = abra("app", "deploy", domain, "-n", "-o", "-D")
        assert done.rc == 1
        assert "R014" in done.output
        assert not swarm.names("service", stack_of(domain))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("    networks: [inner]", "    networks: [nowhere]"),
            ("    environment:\n", "    environment:\n      - TWICE=1\n    environment:\n"),
            ("    image: ", "    imaje: "),
        ],
        ids=["undefined network", "duplicate key", "unknown key"],
    )
    def test_cmp_2_a_broken_file_changes_nothing(
        self, abra: Abra, plain: Source, swarm: Swarm, domain: str, old: str, new: str
    ) -> None:
        abra.ok("app", "new", "plain", "-n", "-o", "--server", "default", "--domain", domain)
        file = abra.checkout("plain") / "compose.yml"
        file.write_text(file.read_text().replace(old, new, 1))
        done = abra("app", "deploy", domain, "-n", "-o", "-D", "-C")
        assert done.rc == 1
        assert "FATA" in done.output
        assert not swarm.names("service", stack_of(domain))


def test_cmp_4_overlays_merge_and_cmp_10_nothing_is_pruned(
    abra: Abra, plain: Source, swarm: Swarm, domain: str
) -> None:
    overlay = (
        'version: "3.8"\nx-anchor: &same {OVER: "1"}\nservices:\n  app:\n    environment:\n      <<: *same\n'
        "      STAMP: over\n    deploy: {labels: {extra: yes}}\n"
        f"  side:\n    image: {IMAGES[0]}\n    command: [sleep, '600']\n    stop_grace_period: 1s\n"
        "    deploy: {endpoint_mode: dnsrr}\n"
    )
    plain.commit({"extra/compose.side.yml": overlay}, "1.2.0+13.0")
    git(abra.checkout("plain"), "fetch", "--quiet", "--tags")
    abra.ok("app", "new", "plain", "-n", "-o", "--server", "default", "--domain", domain)
    env_file, before = abra.env_file(domain), abra.env_file(domain).read_text()
    env_file.write_text(f'{before}COMPOSE_FILE=compose.yml\nCOMPOSE_FILE="$COMPOSE_FILE:extra/compose.side.yml"\n')
    abra.ok("app", "deploy", domain, "-n", "-o", "-D", "-c")
    stack = stack_of(domain)
    assert swarm.names("service", stack) == [f"{stack}_app", f"{stack}_side"]
    environment = swarm.environment(stack)
    assert (environment["STAMP"], environment["OVER"]) == ("over", "1")
    assert swarm.labels(stack)["extra"] == "yes"
    assert swarm.labels(stack)["traefik.enable"] == "true"
    env_file.write_text(before)
    abra.ok("app", "deploy", domain, "-n", "-o", "-D", "-f", "-c")
    assert swarm.names("service", stack) == [f"{stack}_app", f"{stack}_side"]


class TestTheEnd:
    """The last of `living`: undeploy keeps data, remove deletes it."""

    def test_undeploy_keeps_volumes_and_the_env_file(self, living: Living, swarm: Swarm) -> None:
        living.abra.ok("app", "undeploy", living.domain, "-n")
        assert swarm.gone("service", living.stack)
        assert swarm.gone("container", living.stack)
        assert swarm.gone("config", living.stack)
        assert swarm.gone("network", living.stack)
        assert swarm.names("volume", living.stack) == [f"{living.stack}_data"]
        assert living.abra.env_file(living.domain).exists()

    def test_undeploy_of_nothing_is_an_error(self, living: Living) -> None:
        assert living.abra("app", "undeploy", living.domain, "-n").rc == 1

    def test_volume_remove_after_undeploy(self, living: Living, swarm: Swarm) -> None:
        living.abra.ok("app", "volume", "remove", living.domain, "-f", "-n")
        assert swarm.gone("volume", living.stack)

    def test_remove_deletes_the_env_file(self, living: Living) -> None:
        living.abra.ok("app", "remove", living.domain, "-n")
        assert not living.abra.env_file(living.domain).exists()
