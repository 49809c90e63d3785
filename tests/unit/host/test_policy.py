"""The policy on real compose texts, through the real reader: what is new on the head's side, and only that."""

from __future__ import annotations

import pytest

from ccci_host import policy
from ccci_host.compose import Stack, read_stack
from ccci_host.traefik_labels import app_of

STACK = "cust-c12afe_ci_test"
APP = app_of(STACK, "cust-c12afe.ci.test", {})


def stack(service: str = "", rest: str = "", extra: str = "") -> Stack:
    lines = [f"    {line}" for line in service.strip("\n").splitlines()]
    text = "\n".join(["version: '3.8'", "services:", "  app:", "    image: nginx:1", *lines, extra, rest, ""])
    return read_stack({"compose.yml": text}, ["compose.yml"], {"STACK_NAME": STACK, "DOMAIN": APP.domain})


def refused(head: Stack, base: Stack | None = None, **options: object) -> list[str]:
    verdict = policy.judge(base, head, app=APP, **options)  # type: ignore[arg-type]
    return [finding.rule for finding in verdict.refused]


NOTHING = stack()
FORBIDDEN = {
    "docker-socket": "volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']",
    "bind-mount": "volumes: ['/srv/data:/data:ro']",
    "privileged": "privileged: true",
    "host-namespace": "pid: host",
    "capability": "cap_add: [NET_ADMIN]",
    "device": "devices: ['/dev/dri:/dev/dri']",
    "security-option": "security_opt: ['apparmor:unconfined']",
    "platform-role": "deploy: {labels: ['coop-cloud.backupbot.enabled=true']}",
    "router-host": "deploy: {labels: ['traefik.http.routers.${STACK_NAME}.rule=Host(`other.ci.test`)']}",
    "router-part": "deploy: {labels: ['traefik.http.routers.${STACK_NAME}.service=api@internal']}",
}


@pytest.mark.parametrize(("rule", "service"), FORBIDDEN.items())
def test_a_new_demand_is_refused_with_its_place_and_an_old_one_is_not(rule: str, service: str) -> None:
    head = stack(service)
    (finding,) = policy.judge(NOTHING, head, app=APP).refused
    assert (finding.rule, finding.file, finding.line) == (rule, "compose.yml", 5)
    assert refused(head, head) == []


@pytest.mark.parametrize(("rule", "service"), FORBIDDEN.items())
def test_the_inventory_may_allow_a_rule_but_never_the_docker_socket(rule: str, service: str) -> None:
    verdict = policy.judge(NOTHING, stack(service), app=APP, allow=[rule])
    assert [finding.rule for finding in (verdict.refused if rule in policy.NEVER else verdict.noted)] == [rule]
    assert (rule in policy.NEVER) == (rule in ("docker-socket", "platform-role"))
    assert bool(policy.unknown_rules([rule])) == (rule in ("docker-socket", "platform-role"))


def test_one_detail_of_a_rule_can_be_allowed() -> None:
    head = stack("cap_add: [NET_ADMIN, SYS_ADMIN]")
    verdict = policy.judge(NOTHING, head, app=APP, allow=["capability=NET_ADMIN"])
    assert [finding.what for finding in verdict.refused] == ["service app asks for SYS_ADMIN"]


def test_relaxed_notes_everything_but_what_can_never_be() -> None:
    head = stack("privileged: true\nvolumes: ['/srv:/srv', '/var/run:/host']")
    verdict = policy.judge(NOTHING, head, app=APP, mode="relaxed")
    assert [finding.rule for finding in verdict.refused] == ["docker-socket"]
    assert {finding.rule for finding in verdict.noted} == {"privileged", "bind-mount"}


@pytest.mark.parametrize(
    "source", ["/var/run/docker.sock", "/run/docker.sock", "/var/run", "/run/", "/", "/var/../run", "//run"]
)
def test_every_way_to_the_docker_socket_is_one(source: str) -> None:
    head = stack(f"volumes: [{{type: bind, source: '{source}', target: /x}}]")
    assert refused(head, NOTHING, mode="relaxed") == ["docker-socket"]


def test_time_zone_files_are_free_read_only() -> None:
    assert (
        refused(stack("volumes: ['/etc/timezone:/etc/timezone:ro', '/etc/localtime:/etc/localtime:ro']"), NOTHING) == []
    )
    assert refused(stack("volumes: ['/etc/timezone:/etc/timezone']"), NOTHING) == ["bind-mount"]


def test_a_mount_that_becomes_writable_is_new() -> None:
    before, after = stack("volumes: ['/srv/x:/x:ro']"), stack("volumes: ['/srv/x:/x']")
    assert refused(after, before) == ["bind-mount"]
    assert refused(after, after) == []


def test_a_demand_that_moves_to_another_service_is_new() -> None:
    other = "  db: {image: 'postgres:15', privileged: true}"
    assert refused(stack("privileged: true", extra=other), stack("privileged: true")) == ["privileged"]


def test_a_volume_that_is_a_bind_mount_in_disguise() -> None:
    volume = "volumes: {data: {driver: local, driver_opts: {type: none, o: bind, device: /etc}}}"
    assert refused(stack("volumes: ['data:/x']", volume), NOTHING) == ["bind-mount"]
    assert refused(stack("", "volumes: {data: {driver_opts: {type: none, o: bind, device: /run}}}"), NOTHING) == [
        "docker-socket"
    ]
    tmpfs = "volumes: {data: {driver_opts: {type: tmpfs, device: tmpfs, o: size=5m}}}"
    assert refused(stack("volumes: ['data:/x']", tmpfs), NOTHING) == []
    assert refused(stack("", "volumes: {data: {driver: sshfs}}"), NOTHING) == ["volume-driver"]


def test_objects_of_the_stack_are_its_own_and_others_are_foreign() -> None:
    own = "secrets: {pw: {external: true, name: '${STACK_NAME}_pw_v1'}}\nvolumes: {data: {}}"
    own += "\nnetworks: {proxy: {external: true}}"
    assert refused(stack("secrets: [pw]\nvolumes: ['data:/x']\nnetworks: [proxy]", own), NOTHING) == []
    for rest in ("secrets: {pw: {external: true, name: other_pw_v1}}",
                 "volumes: {data: {external: true, name: other_data}}",
                 "volumes: {data: {name: other_data}}", "networks: {n: {external: true, name: other_default}}",
                 "configs: {c: {external: true, name: ccci-lock}}"):  # fmt: skip
        assert refused(stack("", rest), NOTHING) == ["foreign-object"]


def test_the_hosts_network_and_other_drivers() -> None:
    assert refused(stack("networks: [h]", "networks: {h: {external: true, name: host}}"), NOTHING) == ["host-namespace"]
    assert refused(stack("networks: [n]", "networks: {n: {driver: macvlan}}"), NOTHING) == ["network-driver"]
    assert refused(stack("network_mode: host"), NOTHING) == ["host-namespace"]


@pytest.mark.parametrize("file", ["/etc/shadow", "../../state.json", "x/../../y", ".git/config", "~/.ssh/id"])
def test_a_config_cannot_read_outside_of_the_recipe(file: str) -> None:
    head = stack("configs: [c]", f"configs: {{c: {{file: '{file}'}}}}")
    assert refused(head, NOTHING, mode="relaxed", allow=["file-outside"]) == ["file-outside"]


def test_a_config_of_the_recipe_is_fine() -> None:
    assert refused(stack("configs: [c]", "configs: {c: {file: ./conf/a.tmpl}}"), NOTHING) == []


def test_a_published_port_is_refused_only_where_somebody_has_it() -> None:
    head = stack("ports: ['8080:80', '5353:53/udp']")
    assert refused(head, NOTHING) == []
    verdict = policy.judge(NOTHING, head, app=APP, taken={(8080, "tcp"): "service web_app", (5353, "tcp"): "a process"})
    assert [str(finding) for finding in verdict.refused] == [
        "compose.yml:5: port-taken: service app asks for the published port 8080/tcp, which service web_app has"
    ]


def twice(first: str, second: str, nodes: int = 1) -> list[str]:
    """`service port` of what is published twice by the services app (first) and web (second)."""
    both = stack(f"ports: [{first}]", "", f"  web: {{image: 'nginx:1', ports: [{second}]}}")
    return [f"{one.service} {one.port[0]}/{one.port[1]}" for one in policy.published_twice(both, nodes)]


def test_ports_that_one_stack_publishes_twice() -> None:
    on_host = "{target: 80, published: 8080, mode: host}"
    assert twice("'8080:80'", "'8081:80'") == []
    assert twice("'8080:80'", "'8080:81/udp'") == [], "these are two ports"
    assert twice("'80'", "'80'") == [], "swarm chooses those"
    assert twice(on_host, on_host) == twice("'8080:80'", on_host) == ["web 8080/tcp"]
    assert twice("'8080-8082:80-82'", "'8082:90'") == ["web 8082/tcp"]
    # On a swarm of several nodes, each may get a host of its own.
    assert twice(on_host, on_host, nodes=2) == []
    assert twice("'8080:80'", on_host, nodes=2) == ["web 8080/tcp"]
    again = f"{on_host}, {{target: 81, published: 8080, mode: host}}"
    assert twice(again, "'1:1'", nodes=2) == ["app 8080/tcp"]
    assert twice(on_host, again, nodes=2) == ["web 8080/tcp"], "the first of the three is no hindrance, the second is"


def test_without_a_base_everything_is_new() -> None:
    assert refused(stack("privileged: true")) == ["privileged"]


def test_bind_sources_are_listed_for_the_check_that_they_exist() -> None:
    head = stack("volumes: ['/etc/timezone:/etc/timezone:ro', './own:/own', 'data:/data']", "volumes: {data: {}}")
    assert policy.bind_sources(head) == [("app", "/etc/timezone", ("services", "app", "volumes", 0))]


def test_every_rule_is_one_that_is_explained() -> None:
    everything = stack(
        "\n".join(service for service in FORBIDDEN.values() if not service.startswith(("volumes", "deploy")))
        + "\ndeploy: {labels: [coop-cloud.backupbot.enabled, 'traefik.http.routers.a.rule=Host(`b`)']}"
        + "\nvolumes: ['/srv:/x', '/run:/y']\nports: ['80:80']",
        "volumes: {v: {driver: x}, w: {name: other}}\nnetworks: {n: {driver: x}}\nconfigs: {c: {file: /x}}",
    )
    found = refused(everything, None, taken={(80, "tcp"): "service t"})
    assert set(found) == set(policy.RULES)


@pytest.mark.parametrize("options", ["{type: tmpfs, device: /, o: bind}", "{type: tmpfs, device: /, o: 'ro,RBIND'}"])
def test_a_volume_in_memory_that_is_a_bind_mount_is_one(options: str) -> None:
    volume = f"volumes: {{data: {{driver_opts: {options}}}}}"
    assert refused(stack("volumes: [data:/data]", volume), NOTHING) == ["docker-socket"]
    assert refused(stack("volumes: [data:/data]", "volumes: {data: {driver_opts: {type: tmpfs, device: tmpfs}}}")) == []


@pytest.mark.parametrize("where", ["labels: {labels}", "deploy: {{labels: {labels}}}"])
@pytest.mark.parametrize(
    "labels",
    ["['coop-cloud.backupbot.enabled=true']", "{'Coop-Cloud.Backupbot.Enabled': 'false'}",
     "['com.docker.stack.namespace=other']", "{com.docker.swarm.service.name: other_app}", "[ccci.holder=me]"],
)  # fmt: skip
def test_no_label_speaks_for_the_platform(where: str, labels: str) -> None:
    head = stack(where.replace("{labels}", labels).replace("{{", "{").replace("}}", "}"))
    assert refused(head, NOTHING, mode="relaxed") == ["platform-role"]
    assert refused(head, head) == []
    assert refused(head, NOTHING, published=True) == []


def test_other_objects_do_not_speak_for_the_platform_either() -> None:
    for kind in ("volumes", "networks"):
        assert refused(stack("", f"{kind}: {{x: {{labels: [com.docker.stack.namespace=other]}}}}"), NOTHING) == [
            "platform-role"
        ]
    assert refused(stack("", "configs: {c: {file: ./a, labels: {ccci.run: x}}}"), NOTHING) == ["platform-role"]


def test_what_recipes_say_to_the_backup_service_and_to_abra_is_theirs() -> None:
    labels = "['backupbot.backup=true', 'backupbot.backup.pre-hook=sh -c x', 'coop-cloud.${STACK_NAME}.timeout=120']"
    assert refused(stack(f"deploy: {{labels: {labels}}}"), NOTHING) == []


def test_a_foreign_name_is_refused_with_its_line_and_can_be_allowed_by_name() -> None:
    head = stack("deploy:\n  labels:\n    - a=b\n    - traefik.http.routers.${STACK_NAME}.rule=Host(`other.ci.test`)")
    verdict = policy.judge(NOTHING, head, app=APP)
    assert [str(one) for one in verdict.refused] == ["compose.yml:8: router-host: service app asks for other.ci.test"]
    assert refused(head, NOTHING, allow=["router-host=other.ci.test"]) == []
    assert refused(head, NOTHING, allow=["router-host=another.ci.test"]) == ["router-host"]
    assert refused(head, head) == []


def test_labels_of_a_container_and_of_its_service_are_told_apart() -> None:
    """Traefik reads the one or the other: a label that did nothing where it was must not begin to."""
    rule = "labels: ['traefik.http.routers.${STACK_NAME}.rule=HostRegexp(`.*`)']"
    before, after = stack(rule), stack(f"deploy: {{{rule}}}")
    assert refused(before, NOTHING) == refused(after, NOTHING) == ["router-host"]
    assert refused(after, before) == ["router-host"]
    both = stack(f"{rule}\ndeploy: {{labels: ['traefik.http.routers.${{STACK_NAME}}.rule=Host(`${{DOMAIN}}`)']}}")
    assert "router-host" in refused(both, NOTHING), "the label below deploy does not hide the other one"
