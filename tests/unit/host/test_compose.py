"""The compose reader: what it reads, and what it says about what it cannot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ccci_host.compose import ComposeError, Stack, check_raw, read_stack

RECORDED = Path(__file__).parent / "recorded/compose"
ENV = {"STACK_NAME": "st", "A": "aa", "N": "4"}
HEAD = 'version: "3.8"\nservices:\n  app:\n    image: example/app:1\n'


def read(body: str, env: Mapping[str, str] = ENV, **more: str) -> Stack:
    """A file with service app; `body` continues it at the indentation of its keys. The second file is `over`."""
    files = {"compose.yml": HEAD + body, **{f"compose.{name}.yml": text for name, text in more.items()}}
    return read_stack(files, list(files), env)


def error_of(body: str, env: Mapping[str, str] = ENV) -> ComposeError:
    with pytest.raises(ComposeError) as caught:
        read(body, env)
    return caught.value


def normal(text: str) -> dict[str, Any]:
    """A document of `docker stack config` without what carries no meaning: order of lists told apart by key, nulls."""
    data = yaml.safe_load(text)
    data = {key: value for key, value in data.items() if not key.startswith("x-") and key != "version"}
    for service in data["services"].values():
        for key in ("ports", "volumes", "secrets", "configs"):
            service[key] = sorted(service.get(key, []), key=lambda item: json.dumps(item, sort_keys=True))
        service["networks"] = {name: value or {} for name, value in service.get("networks", {}).items()}
        service["environment"] = {key: str(value) for key, value in service.get("environment", {}).items()}
        if (memory := service.get("deploy", {}).get("resources", {}).get("limits", {}).get("memory")) is not None:
            service["deploy"]["resources"]["limits"]["memory"] = {"5M": "5242880", "6M": "6291456"}.get(memory, memory)
    data["networks"] = {name: {"name": name, **(value or {})} for name, value in data["networks"].items()}
    data["volumes"] = {name: value or {} for name, value in data["volumes"].items()}
    for item in data["volumes"].values():
        item["driver_opts"] = {key: str(value) for key, value in item.get("driver_opts", {}).items()}
    return data


@pytest.mark.parametrize(
    ("names", "recorded"),
    [(["base.yml"], "single.docker-28.2.2.yml"), (["base.yml", "overlay.yml"], "merged.docker-28.2.2.yml")],
)
def test_reads_and_merges_as_the_docker_cli_does(names: list[str], recorded: str) -> None:
    files = {path.name: path.read_text() for path in RECORDED.glob("*.yml")}
    ours = read_stack(files, names, ENV).deployable()
    assert normal(ours.replace("$$", "$")) == normal((RECORDED / recorded).read_text())


class TestService:
    def test_image_environment_and_labels(self) -> None:
        service = read(
            "    environment: [A, B=2, 'C=$A', D]\n    labels: {one: 1, both: service}\n"
            "    deploy: {labels: [both=deploy, two=2]}\n"
        ).services["app"]
        assert service.image == "example/app:1"
        assert service.environment == {"A": "aa", "B": "2", "C": "aa", "D": None}
        assert service.labels == {"one": "1", "both": "deploy", "two": "2"}
        assert service.deploy_labels == {"both": "deploy", "two": "2"}

    def test_mounts_ports_and_names(self) -> None:
        stack = read(
            "    volumes: ['data:/data:ro', /etc/x:/x, {type: tmpfs, target: /t}]\n    ports: ['8080:80/udp']\n"
            "    secrets: [{source: s, target: t}]\n    configs: [c]\n    networks: [proxy]\n"
            "volumes: {data: }\nnetworks: {proxy: {external: true}}\n"
            "secrets: {s: {external: true, name: '${STACK_NAME}_s_v1'}}\nconfigs: {c: {file: ./c}}\n"
        )
        service = stack.services["app"]
        assert service.mounts == [
            {"type": "volume", "source": "data", "target": "/data", "read_only": True},
            {"type": "bind", "source": "/etc/x", "target": "/x", "read_only": False},
            {"type": "tmpfs", "source": "", "target": "/t", "read_only": False},
        ]
        assert service.ports == [{"mode": "ingress", "target": 80, "published": 8080, "protocol": "udp"}]
        assert (service.secrets, service.configs, service.networks) == (["s"], ["c"], ["proxy"])
        assert stack.secrets["s"] == {"external": True, "name": "st_s_v1"}
        assert stack.configs["c"]["name"] == "st_c"
        assert stack.volumes["data"] == {"external": False, "name": "st_data"}
        assert stack.networks["proxy"] == {"external": True, "name": "proxy"}

    def test_images_once_in_order(self) -> None:
        text = "  two:\n    image: b:1\n  three:\n    image: example/app:1\n"
        assert read(text).images == ["example/app:1", "b:1"]

    def test_env_file_is_read_below_the_own_environment(self) -> None:
        files = {"compose.yml": HEAD + "    env_file: ./own.env\n    environment: {B: own}\n", "own.env": "A=1\nB=2\n"}
        assert read_stack(files, [], ENV).services["app"].environment == {"A": "1", "B": "own"}

    def test_a_missing_version_is_fine(self) -> None:
        assert read_stack({"compose.yml": "services: {app: {image: x}}"}, [], {}).images == ["x"]


class TestDeployable:
    def test_dollars_are_escaped_and_valueless_variables_left_out(self) -> None:
        document = yaml.safe_load(read("    environment: ['KEEP=$$HOME', DROP]\n    hostname: a$$b\n").deployable())
        assert document["services"]["app"]["environment"] == {"KEEP": "$$HOME"}
        assert document["services"]["app"]["hostname"] == "a$$b"
        assert document["version"] == "3.8"

    def test_it_reads_back_as_itself(self) -> None:
        stack = read("    command: echo '$$x' \"y z\"\n    ports: ['80:80']\n    volumes: ['d:/d']\nvolumes: {d: }\n")
        again = read_stack({"compose.yml": stack.deployable()}, [], {"STACK_NAME": "st"})
        assert again.data == stack.data


class TestPlaces:
    def test_line_of_a_value_of_an_item_and_of_what_is_around(self) -> None:
        stack = read("    ports:\n      - '80:80'\n      - '81:81'\n    deploy: {labels: [a=b]}\n")
        assert stack.line_of(("services", "app", "image")) == ("compose.yml", 4)
        assert stack.line_of(("services", "app", "ports", 1)) == ("compose.yml", 7)
        assert stack.line_of(("services", "app", "ports", 1, "mode")) == ("compose.yml", 7)
        assert stack.line_of(("services", "app", "deploy", "labels", "a")) == ("compose.yml", 8)
        assert stack.line_of(("services", "nobody")) == ("compose.yml", 2)

    def test_an_overlay_is_named_for_what_it_says(self) -> None:
        stack = read("    user: a\n", over='version: "3.8"\nservices:\n  app:\n    user: b\n    ports: [80]\n')
        assert stack.line_of(("services", "app", "user")) == ("compose.over.yml", 4)
        assert stack.line_of(("services", "app", "ports", 0)) == ("compose.over.yml", 5)
        assert stack.line_of(("services", "app", "image")) == ("compose.yml", 4)


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("    imaje: x\n", 5, "Additional property imaje is not allowed; did you mean image?"),
        ("    image: other\n", 5, "says 'image' twice"),
        ("    user: 1000\n", 5, "services.app.user must be a string"),
        ("    deploy: {replicas: '2'}\n", 5, "must be a integer"),
        ("    environment: {A: true}\n", 5, "must be a string, number or null"),
        ("    environment: {A: [1]}\n", 5, "services.app.environment.A must be"),
        ("    command:\n", 5, "services.app.command must be a string or a list"),
        ('    command: "a \'b"\n', 5, "is no command"),
        ("    tty: 'true'\n", 5, "must be a boolean"),
        ("    depends_on: {db: {condition: x}}\n", 5, "depends_on must be a list"),
        ("    stop_grace_period: 1w\n", 5, "Does not match format 'duration'"),
        ("    stop_grace_period: ${GRACE:-5m}\n", 5, "Does not match format 'duration'"),
        ("    healthcheck:\n      test: x\n      interval: 5\n", 7, "must be a string"),
        ("    ports: ['a:b']\n", 5, "Does not match format 'ports'"),
        ("    ports: ['80:80-81']\n", 5, "differ in length"),
        ("    hostname: a${\n", 5, "invalid interpolation format"),
        ("    hostname: ${X:?no x}\n", 5, "needs the variable X: no x"),
        ("    secrets: [nope]\n", 5, "uses the undefined secret 'nope'"),
        ("    configs: [nope]\n", 5, "undefined config"),
        ("    networks: [nope]\n", 5, "undefined network"),
        ("    volumes:\n      - a:/a\n      - nope:/b\nvolumes: {a: }\n", 7, "undefined volume 'nope'"),
        ("    volumes: ['a:b:c:d']\n", 5, "invalid volume"),
        ("    volumes: ['a:b']\nvolumes: {a: }\n", 5, "no absolute path"),
        ("    volumes: [{target: /a}]\n", 5, "without type"),
        ("    deploy: {resources: {limits: {memory: lots}}}\n", 5, "invalid size"),
        ("  two:\n    command: x\n", 5, "service two has no image"),
        ("  two:\n", 5, "services.two must be a mapping"),
        ("servises: {}\n", 5, "Additional property servises is not allowed; did you mean services?"),
        ("configs: {c: {name: x}}\n", 5, "needs a file, or external"),
        ("secrets: {s: {external: true, name: " + "x" * 65 + "}}\n", 5, "swarm allows 64"),
        ("volumes: {v: {external: true, driver: local}}\n", 5, "conflicting parameters"),
        ("    labels: [a\n", 6, "is not valid YAML"),
        ("   user: x\n", 5, "is not valid YAML"),
        ("    env_file: nope.env\n", 5, "env_file nope.env is not in the recipe"),
    ],
)
def test_every_error_has_file_and_line(body: str, line: int, words: str) -> None:
    error = error_of(body)
    assert (error.file, error.line) == ("compose.yml", line), str(error)
    assert words in error.what
    assert str(error) == f"compose.yml:{line}: {error.what}"


class TestFiles:
    def test_an_unknown_file_gives_the_nearest(self) -> None:
        with pytest.raises(ComposeError, match=r"compose\.postgre\.yml:1: .*did you mean compose\.postgres\.yml\?"):
            read_stack({"compose.yml": HEAD, "compose.postgres.yml": ""}, ["compose.postgre.yml"], {})

    def test_an_empty_file_and_one_without_services(self) -> None:
        with pytest.raises(ComposeError, match="is empty"):
            read_stack({"compose.yml": ""}, [], {})
        with pytest.raises(ComposeError, match="has no services"):
            read_stack({"compose.yml": "version: '3.8'\n"}, [], {})

    def test_versions_must_agree(self) -> None:
        with pytest.raises(ComposeError, match=r"compose\.over\.yml:1: version 3 differs from 3\.8"):
            read("", over='version: "3"\nservices: {}\n')
        with pytest.raises(ComposeError, match=r"unsupported compose file version '2\.1'"):
            read_stack({"compose.yml": 'version: "2.1"\nservices: {}'}, [], {})

    def test_the_error_of_an_overlay_names_the_overlay(self) -> None:
        with pytest.raises(ComposeError, match=r"^compose\.over\.yml:3: "):
            read("", over="services:\n  app:\n    foo: 1\n")


class TestCheckRaw:
    """What abra looks at before it knows a variable."""

    def test_every_compose_file_is_checked_in_sub_folders_too(self) -> None:
        good = HEAD + "    deploy: {replicas: 1}\n    hostname: ${UNSET}\n"
        check_raw({"compose.yml": good, "other.yml": "[", "README.md": "["})
        bad = "services:\n  app:\n    stop_grace_period: $GRACE\n"
        with pytest.raises(ComposeError, match=r"^extra/compose\.x\.yml:3: .*'duration'"):
            check_raw({"compose.yml": good, "extra/compose.x.yml": bad})

    def test_an_overlay_may_lack_what_another_file_has(self) -> None:
        check_raw({"compose.db.yml": 'version: "3.8"\nservices:\n  app:\n    networks: [elsewhere]\n'})

    def test_values_of_other_kinds_may_be_variables(self) -> None:
        check_raw({"compose.yml": HEAD + "    deploy: {replicas: '${N}'}\n    tty: ${T}\n    ports: ['${P}:80']\n"})


class TestMerge:
    """Beyond the recording."""

    def merged(self, base: str, over: str) -> dict[str, Any]:
        return dict(read(base, over=f'version: "3.8"\nservices:\n  app:\n{over}').services["app"].raw)

    def test_an_overlay_may_bring_the_image(self) -> None:
        files = {"a.yml": "services: {app: {hostname: x}}", "b.yml": "services: {app: {image: y}}"}
        assert read_stack(files, ["a.yml", "b.yml"], {}).images == ["y"]

    def test_command_is_replaced_and_lists_grow(self) -> None:
        merged = self.merged("    command: a\n    cap_add: [A]\n", "    command: [b, c]\n    cap_add: [B]\n")
        assert merged["command"] == ["b", "c"]
        assert merged["cap_add"] == ["A", "B"]

    def test_an_empty_network_keeps_aliases(self) -> None:
        base = "    networks: {default: {aliases: [x]}}\n"
        assert self.merged(base, "    networks: {default: }\n")["networks"] == {"default": {"aliases": ["x"]}}

    def test_three_files_in_their_order(self) -> None:
        files = {name: f"services: {{app: {{image: {name}, labels: [k={name}]}}}}" for name in ("a", "b", "c")}
        service = read_stack(files, ["a", "c", "b"], {}).services["app"]
        assert (service.image, service.labels) == ("b", {"k": "b"})

    def test_a_file_does_not_change_when_it_is_merged_twice(self) -> None:
        base = "    labels: {a: b}\n"
        over = 'version: "3.8"\nservices:\n  app:\n    labels: {c: d}\n'
        files = {"compose.yml": HEAD + base, "over.yml": over}
        once = read_stack(files, ["compose.yml", "over.yml"], {}).data
        assert read_stack(files, ["compose.yml", "over.yml", "over.yml"], {}).data == once
