"""SEC: names, generation, insertion, and what a deploy wants of them."""

from __future__ import annotations

import json
import re

import pytest
from abra_adapter import Abra
from abra_recipes import Source, compose, git, sample
from abra_swarm import Probe, Swarm, stack_of

pytestmark = pytest.mark.docker
SECRETS = """\
    secrets:
      - plain_pw
      - hex_key
      - by_hand
      - {source: renamed, target: other-name}"""
TAIL = """\
secrets:
  plain_pw: {external: true, name: "${STACK_NAME}_plain_pw_${SECRET_PLAIN_PW_VERSION:-v1}"}
  hex_key: {external: true, name: "${STACK_NAME}_hex_key_${SECRET_HEX_KEY_VERSION}"}
  by_hand: {external: true, name: "${STACK_NAME}_by_hand_${SECRET_BY_HAND_VERSION}"}
  renamed: {external: true, name: "${STACK_NAME}_other_${SECRET_WILDCARD_VERSION}"}
  unused: {external: true, name: "${STACK_NAME}_unused_${SECRET_UNUSED_VERSION}"}
"""
VARIABLES = """\
SECRET_PLAIN_PW_VERSION=v1 # length=20
SECRET_HEX_KEY_VERSION=v2   # length=32 charset=hex
SECRET_BY_HAND_VERSION=v1 # generate=false
SECRET_WILDCARD_VERSION=v3
SECRET_UNUSED_VERSION=v1 # length=9
"""
READ_ALL = (
    "for f in /run/secrets/*; do echo $$f=$$(cat $$f); done; trap 'exit 0' TERM; while :; do sleep 1 & wait $$!; done"
)


@pytest.fixture
def keeper(abra: Abra, domain: str, swarm: Swarm) -> Abra:
    """The app `domain` of a recipe with five secrets, four of them used."""
    source = Source(abra.folder.parent / "origin/keeper")
    text = compose("1.0.0+12.0", service=SECRETS, tail=TAIL, script=READ_ALL)
    files = {".env.sample": sample("keeper", VARIABLES), "abra.sh": "", "compose.yml": text}
    source.commit(files, "1.0.0+12.0")
    source.clone_to(abra.checkout("keeper"))
    abra.ok("app", "new", "keeper", "-n", "-o", "--server", "default", "--domain", domain)
    return abra


def rows(output: str) -> list[dict[str, str]]:
    return list(json.loads(output[output.index("[") : output.rindex("]") + 1]))


def generate(abra: Abra, domain: str) -> dict[str, str]:
    done = abra.ok("app", "secret", "generate", domain, "--all", "-m", "-n", "-o", "-C", pty=True)
    return {row["name"]: row["value"] for row in rows(done.output)}


def insert(abra: Abra, domain: str, name: str, version: str, value: bytes) -> None:
    file = abra.folder / "value"
    file.write_bytes(value)
    abra.ok("app", "secret", "insert", domain, name, version, str(file), "-f", "-n", "-o", "-C", pty=True)


def test_sec_1_to_4_generate_all(keeper: Abra, domain: str, swarm: Swarm) -> None:
    values = generate(keeper, domain)
    stack = stack_of(domain)
    assert set(values) == {"plain_pw", "hex_key", "renamed"}, "neither unused ones nor generate=false"
    assert len(values["plain_pw"]) == 20
    assert swarm.names("secret", stack) == [f"{stack}_hex_key_v2", f"{stack}_other_v3", f"{stack}_plain_pw_v1"]
    assert all("com.docker.stack.namespace" not in (swarm.inspect("secret", name)["Spec"].get("Labels") or {})
               for name in swarm.names("secret", stack)), "SEC-7"  # fmt: skip


def test_deploy_names_the_secret_that_is_not_generated(keeper: Abra, domain: str, swarm: Swarm) -> None:
    done = keeper("app", "deploy", domain, "-n", "-o", "-D")
    assert done.rc == 1
    assert "secret not generated" in done.output
    assert not swarm.names("service", stack_of(domain))


def test_sec_4_what_is_not_generated_must_be_inserted(keeper: Abra, domain: str, swarm: Swarm) -> None:
    generate(keeper, domain)
    done = keeper("app", "deploy", domain, "-n", "-o", "-D")
    assert done.rc == 1
    assert "by_hand" in done.output
    assert "secret not inserted" in done.output


def test_sec_5_a_file_arrives_as_it_is_and_sec_7_where_it_is_seen(keeper: Abra, domain: str, swarm: Swarm) -> None:
    insert(keeper, domain, "by_hand", "v1", b"-----BEGIN-----\nline two\n")
    values = generate(keeper, domain)
    keeper.ok("app", "deploy", domain, "-n", "-o", "-D", limit=90)
    stack = stack_of(domain)
    read = keeper.ok("app", "run", domain, "app", "-n", "--", "cat", "/run/secrets/by_hand", pty=True).output
    assert "-----BEGIN-----\nline two" in read
    listed = keeper.ok("app", "run", domain, "app", "-n", "--", "ls", "/run/secrets", pty=True).output.split()
    assert {"plain_pw", "hex_key", "by_hand", "other-name"} <= set(listed)
    read = keeper.ok("app", "run", domain, "app", "-n", "--", "cat", "/run/secrets/plain_pw", pty=True).output
    assert values["plain_pw"] in read
    keeper.ok("app", "undeploy", domain, "-n")
    assert swarm.gone("service", stack)
    assert len(swarm.names("secret", stack)) == 4, "undeploy keeps secrets"
    keeper.ok("app", "secret", "remove", domain, "--all", "-n", "-o", "-C")
    assert swarm.gone("secret", stack)


def test_sec_1_an_existing_secret_is_not_overwritten(keeper: Abra, domain: str, swarm: Swarm) -> None:
    insert(keeper, domain, "by_hand", "v1", b"first")
    identity = swarm.inspect("secret", f"{stack_of(domain)}_by_hand_v1")["ID"]
    file = keeper.folder / "value"
    file.write_bytes(b"second")
    again = keeper("app", "secret", "insert", domain, "by_hand", "v1", str(file), "-f", "-n", "-o", "-C", pty=True)
    assert again.rc == 1
    assert swarm.inspect("secret", f"{stack_of(domain)}_by_hand_v1")["ID"] == identity


def test_sec_2_list_ties_names_to_versions(keeper: Abra, domain: str, swarm: Swarm) -> None:
    insert(keeper, domain, "by_hand", "v1", b"x")
    output = keeper.ok("app", "secret", "list", domain, "-m", "-n", "-o", "-C", pty=True).output
    found = {row["name"]: row for row in rows(output)}
    assert found["renamed"]["version"] == "v3"
    assert stack_of(domain) in json.dumps(found["renamed"])


def test_probes_of_values_and_keys(keeper: Abra, domain: str, swarm: Swarm, probe: Probe) -> None:
    values: dict[str, str] = {}
    with probe("SEC-4", "charset=hex gives hex digits"):
        values = generate(keeper, domain)
        assert re.fullmatch(r"[0-9a-f]{32}", values["hex_key"]), values["hex_key"]
    with probe("SEC-4", "without length a passphrase of lower-case words joined by -"):
        assert re.fullmatch(r"[a-z]+(-[a-z]+){3,}", values["renamed"]), values["renamed"]
    with probe("SEC-4", "by default letters and digits"):
        assert values["plain_pw"].isalnum(), values["plain_pw"]
    with probe("§17", "secret list has name, version, generated name, created on server"):
        found = rows(keeper.ok("app", "secret", "list", domain, "-m", "-n", "-o", "-C", pty=True).output)
        assert set(found[0]) == {"name", "version", "generated name", "created on server"}, found[0]
        assert {row["name"]: row["created on server"] for row in found}["hex_key"] == "true"
    with probe("§6", "secret generate with nothing to do returns 1"):
        assert keeper("app", "secret", "generate", domain, "--all", "-m", "-n", "-o", "-C", pty=True).rc == 1


def test_app_remove_deletes_secrets(keeper: Abra, domain: str, swarm: Swarm) -> None:
    insert(keeper, domain, "by_hand", "v1", b"x")
    keeper.ok("app", "remove", domain, "-n")
    assert swarm.gone("secret", stack_of(domain))
    assert not keeper.env_file(domain).exists()


def test_deploy_of_a_release_leaves_the_checkout_there(keeper: Abra, domain: str) -> None:
    """§7: what fails before the stack is sent still tells which version was chosen."""
    checkout = keeper.checkout("keeper")
    (checkout / "README.md").write_text("more\n")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "more")
    keeper("app", "deploy", domain, "-n", "-o", "-D")
    assert git(checkout, "rev-parse", "HEAD") == git(checkout, "rev-parse", "1.0.0+12.0^{commit}")
