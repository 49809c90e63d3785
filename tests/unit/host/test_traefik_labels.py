"""Which labels stay within the app. The fuzz compares the grammar with what a rule would really match."""

from __future__ import annotations

import itertools
import random

import pytest

from ccci_host.traefik_labels import HOST, PART, app_of, asked, read_rule

STACK, DOMAIN = "cust-c12afe_ci_test", "cust-c12afe.ci.test"
APP = app_of(STACK, DOMAIN, {"EXTRA_DOMAINS": f", `www-{DOMAIN}`", "SMTP_HOST": "mail.ci.test"})
ROUTER = f"traefik.http.routers.{STACK}"


def rules_for(labels: dict[str, str]) -> list[tuple[str, str]]:
    return [(rule, what) for rule, what, _ in asked(labels, APP)]


def of_rule(text: str, router: str = ROUTER) -> list[tuple[str, str]]:
    return rules_for({f"{router}.rule": text})


@pytest.mark.parametrize(
    "text",
    [
        f"Host(`{DOMAIN}`)",
        f"Host(`{DOMAIN}`, `www.{DOMAIN}`)",
        f"Host(`{DOMAIN}`,`www-{DOMAIN}`)",
        f'HOST("{DOMAIN.upper()}")',
        f"Host(`{DOMAIN}`) && (PathPrefix(`/a`) || Path(`/b`, `/c`))",
        f"(PathPrefix(`/a`) || HeadersRegexp(`X`, `.*`)) && Host(`{DOMAIN}`)",
        f"Host(`{DOMAIN}`) && !PathPrefix(`/admin`)",
        f"(Host(`{DOMAIN}`) || Host(`a.b.{DOMAIN}`))&&Method(`GET`)",
        f"Host(`{DOMAIN}`) && HostRegexp(`.*`)",
        f"Host(`{DOMAIN}`) && Query(`q`, `a) || Host(b`)",
        f'  Host(`{DOMAIN}`)\n && PathRegexp("^/\\"x\\.")\t',
    ],
)
def test_rules_within_the_app(text: str) -> None:
    assert of_rule(text) == []
    assert of_rule(text, f"Traefik.HTTP.Routers.{STACK}_b") == []


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Host(`other.ci.test`)", "other.ci.test"),
        ("hOsT(`Other.CI.test`)", "other.ci.test"),
        (f"Host(`{DOMAIN}`) || Host(`ci.test`)", "ci.test"),
        (f"Host(`{DOMAIN}`, `mail.ci.test`)", "mail.ci.test"),
        (f"Host(`evil{DOMAIN}`)", f"evil{DOMAIN}"),
        (f"Host(`{DOMAIN}.evil.test`)", f"{DOMAIN}.evil.test"),
        (f"Host(`{DOMAIN}\n`)", f"{DOMAIN}\n"),
        (f"Host(`x\r.{DOMAIN}`)", f"x\r.{DOMAIN}"),
        (f"Host(`.{DOMAIN}`)", f".{DOMAIN}"),
        (f'Host("other\\x2eci.{DOMAIN}")', f"other\\x2eci.{DOMAIN}"),
        (f"Host(`{DOMAIN}`) && !Host(`other.ci.test`)", "other.ci.test"),
        ("Host(``)", ""),
    ],
)
def test_foreign_names(text: str, host: str) -> None:
    assert of_rule(text) == [(HOST, host)]


@pytest.mark.parametrize(
    "text",
    [
        "HostRegexp(`.*`)",
        "PathPrefix(`/`)",
        f"Host(`{DOMAIN}`) || PathPrefix(`/.well-known`)",
        f"Host(`{DOMAIN}`) || !Host(`{DOMAIN}`)",
        f"!Host(`{DOMAIN}`)",
        f"!(!Host(`{DOMAIN}`) && !Path(`/`))",
        f"Host(`{DOMAIN}`) && Path(`/a`) || Path(`/b`)",
        "Host(`*`)",
        f"Host(`{DOMAIN}`, `*`)",
        "Host()",
        "ClientIP(`0.0.0.0/0`)",
        "",
        f"Host('{DOMAIN}')",
        f"Host:{DOMAIN}",
        # Traefik 3.7 takes these four, but nobody needs them.
        f"Host(`{DOMAIN}`) /* && */ || Path(`/`)",
        f"Host(`{DOMAIN}`,)",
        f"\ufeffHost(`{DOMAIN}`)",
        f"!(!Host(`{DOMAIN}`))",
        f"Host(`{DOMAIN}`) Path(`/`)",
        f"Host(`{DOMAIN}`",
        f"Host(`{DOMAIN}`))",
        f"Host(`{DOMAIN}` + `x`)",
        f"Host({DOMAIN})",
        f"Host(`{DOMAIN})",
        f"Host(`{DOMAIN}`) & Path(`/`)",
        "(" * 5000 + f"Host(`{DOMAIN}`)" + ")" * 5000,
        "!" * 5000 + f"Host(`{DOMAIN}`)",
    ],
)
def test_rules_that_nothing_binds_to_names(text: str) -> None:
    assert (HOST, text) in of_rule(text)


def test_what_limits_an_unbounded_router_belongs_to_the_demand() -> None:
    """A recipe that has SSH on an entry point of its own must not move to the one of everybody's pages."""
    router = f"traefik.tcp.routers.{STACK}-ssh"
    labels = {f"{router}.rule": "HostSNI(`*`)", f"{router}.entrypoints": "ssh", f"{router}.service": f"{STACK}-ssh"}
    assert rules_for(labels) == [(HOST, "HostSNI(`*`) entrypoints=ssh")]
    assert rules_for({**labels, f"{router}.entrypoints": "web-secure"}) == [
        (HOST, "HostSNI(`*`) entrypoints=web-secure")
    ]
    assert rules_for({**labels, f"{router}.EntryPoints[0]": "web"}) == [
        (HOST, "HostSNI(`*`) entrypoints=ssh entrypoints=web")
    ]
    assert rules_for({f"{router}.rule": "HostSNI(`*`)", f"{router}.Priority": "9"}) == [
        (HOST, "HostSNI(`*`) priority=9")
    ]


def test_two_spellings_of_one_label_are_both_judged() -> None:
    labels = {f"{ROUTER}.rule": f"Host(`{DOMAIN}`)", f"{ROUTER.upper()}.RULE": "Host(`other.ci.test`)"}
    assert rules_for(labels) == [(HOST, "other.ci.test")]


USUAL = {
    "traefik.enable": "true",
    "traefik.docker.network": "proxy",
    "traefik.swarm.network": f"{STACK}_internal",
    f"{ROUTER}.entrypoints": "web-secure",
    f"{ROUTER}.priority": "10",
    f"{ROUTER}.tls": "true",
    f"{ROUTER}.tls.certresolver": "",
    f"{ROUTER}.tls.domains[0].main": DOMAIN,
    f"{ROUTER}.tls.domains[0].sans": f"*.{DOMAIN},www.{DOMAIN}",
    f"{ROUTER}.service": f"{STACK}-api",
    f"{ROUTER}.middlewares": f"{STACK}-redirect, {STACK}_auth",
    f"traefik.http.services.{STACK}.loadbalancer.server.port": "8000",
    f"traefik.http.services.{STACK}.loadbalancer.server.scheme": "https",
    f"traefik.http.services.{STACK}.loadbalancer.sticky.cookie": "true",
    f"traefik.http.middlewares.{STACK}-redirect.headers.SSLForceHost": "true",
    f"traefik.http.middlewares.{STACK}-redirect.headers.SSLHost": DOMAIN,
    f"traefik.http.middlewares.{STACK}_auth.basicauth.users": "a:$$apr1$$x",
    f"traefik.http.middlewares.www-{STACK}.redirectregex.regex": "^https://www",
    f"traefik.tcp.routers.{STACK}.rule": f"HostSNI(`{DOMAIN}`)",
    f"traefik.tcp.services.{STACK}.loadbalancer.server.port": "2222",
    "backupbot.backup": "true",
    "x.traefik.http": "y",
}


@pytest.mark.parametrize("label", USUAL)
def test_what_recipes_usually_say_is_free(label: str) -> None:
    assert rules_for({label: USUAL[label]}) == rules_for({label.upper(): USUAL[label]}) == []


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("traefik.docker.network", "other_default"),
        ("traefik.swarm.network", STACK),
        ("Traefik.Swarm.Network", "host"),
        ("traefik.http.routers.other_ci_test.entrypoints", "web"),
        ("traefik.http.services.other_ci_test.loadbalancer.server.port", "80"),
        ("traefik.http.middlewares.security.headers.framedeny", "false"),
        (f"{ROUTER}.service", "api@internal"),
        (f"{ROUTER}.service", f"{STACK}@file"),
        (f"{ROUTER}.service", "other_ci_test"),
        (f"{ROUTER}.middlewares", f"{STACK}-a,auth@file"),
        (f"{ROUTER}.middlewares[1]", "auth@file"),
        (f"{ROUTER}.middlewares", f"{STACK}-a,"),
        (f"{ROUTER}.tls.certresolver", "production"),
        (f"{ROUTER}.tls.domains[0].main", "ci.test"),
        (f"{ROUTER}.tls.domains[0].sans", f"{DOMAIN},*.ci.test"),
        (f"{ROUTER}.tls.options", "weak@file"),
        (f"{ROUTER}.ruleSyntax", "v2"),
        (f"{ROUTER}.rule.x", "y"),
        (ROUTER, "x"),
        (f"traefik.http.services.{STACK}.loadbalancer.server.url", "http://10.0.0.1"),
        (f"traefik.http.services.{STACK}.loadbalancer.server.port", "80@10.0.0.1:8080"),
        (f"traefik.http.services.{STACK}.loadbalancer.server.port", "80\n"),
        (f"traefik.http.services.{STACK}.loadbalancer.server.port", "٨٠"),
        (f"traefik.http.services.{STACK}.loadbalancer.server.scheme", "http://10.0.0.1/?"),
        (f"traefik.http.services.{STACK}.loadbalancer.serversTransport", "x@file"),
        (f"traefik.http.services.{STACK}.weighted.services[0].name", "other"),
        (f"traefik.http.middlewares.{STACK}.forwardauth.address", "http://127.0.0.1:8080"),
        (f"traefik.http.middlewares.{STACK}.basicauth.usersfile", "/etc/passwd"),
        (f"traefik.http.middlewares.{STACK}.ratelimit.redis.endpoints", "10.0.0.1:6379"),
        (f"traefik.http.middlewares.{STACK}.errors.service", "other"),
        (f"traefik.http.middlewares.{STACK}.chain.middlewares", "auth@file"),
        (f"traefik.http.middlewares.{STACK}.plugin.any.x", "y"),
        (f"traefik.udp.routers.{STACK}.entrypoints", "dns"),
        ("traefik.tls.stores.default.defaultcertificate.certfile", "/x"),
        ("traefik.frontend.rule", "Host:other.ci.test"),
        ("traefik.http.routerſ.x.rule", "Host(`other.ci.test`)"),
        ("tRaefi\u212a.http.routers.x.rule", "Host(`other.ci.test`)"),
        ("traefik.enable ", "true"),
    ],
)
def test_what_reaches_beyond_the_app_is_asked_for(label: str, value: str) -> None:
    assert (PART, f"{label}={value}") in rules_for({label: value})


def test_names_that_the_operator_derived_from_the_domain_are_the_apps() -> None:
    assert APP.hosts == {f"www-{DOMAIN}"}, "the mail server is somebody else's"
    assert app_of("s", "x-1.ci.test", {"A": "https://x-1-admin.ci.test:8443/x, X-1.ci.test"}).hosts == {
        "x-1-admin.ci.test", "x-1.ci.test",
    }  # fmt: skip


# Fuzz: made rules, whose meaning is known, against a request to a foreign name.
Tree = tuple  # ("host", name) | ("path",) | ("not", a) | ("and" | "or", a, b)
NAMES = (DOMAIN, f"a.{DOMAIN}", "other.ci.test")


def _made(chance: random.Random, depth: int) -> Tree:
    kind = chance.choice(("host", "path", "not", "and", "or", "and", "or") if depth else ("host", "path"))
    if kind == "host":
        return ("host", chance.choice(NAMES))
    return (kind, *(_made(chance, depth - 1) for _ in range({"path": 0, "not": 1}.get(kind, 2))))


def _written(tree: Tree, chance: random.Random) -> str:
    space = chance.choice(("", " ", "\n\t"))
    if tree[0] == "host":
        quote = chance.choice('`"')
        return f"{chance.choice(('Host', 'host', 'HostSNI'))}({space}{quote}{tree[1]}{quote}{space})"
    if tree[0] == "path":
        return chance.choice(("PathPrefix(`/`)", "Query(`a`, `) || (`)", 'Header("x", "\\"`")', "ClientIP(`::/0`)"))
    if tree[0] == "not":
        return f"!({_written(tree[1], chance)})"
    first, second = (_written(part, chance) for part in tree[1:])
    return f"({first}{space}{'&&' if tree[0] == 'and' else '||'}{space}{second})"


def _matches(tree: Tree, host: str, path: bool) -> bool:
    """Whether the rule can match a request to `host`; all other matchers say `path`."""
    if tree[0] == "host":
        return bool(tree[1] == host)
    if tree[0] == "path":
        return path
    if tree[0] == "not":
        return not _matches(tree[1], host, path)
    both = [_matches(part, host, path) for part in tree[1:]]
    return all(both) if tree[0] == "and" else any(both)


def test_a_rule_that_is_free_never_matches_a_foreign_name() -> None:
    chance = random.Random(4)
    free = 0
    for _ in range(3000):
        tree = _made(chance, chance.randrange(5))
        text = _written(tree, chance)
        assert read_rule(text) is not None, text
        if of_rule(text) == []:
            free += 1
            assert not any(
                _matches(tree, host, path)
                for host, path in itertools.product(("other.ci.test", "third.test"), (True, False))
            ), text
    assert free > 100


def test_broken_rules_are_never_free_by_accident() -> None:
    """A good rule with one character put in, left out or changed: free only where Traefik would say no, or the same."""
    chance, good = random.Random(5), f"Host(`{DOMAIN}`) && (Path(`/a`) || Path(`/b`))"
    for _ in range(3000):
        at = chance.randrange(len(good))
        text = good[:at] + chance.choice(("", *'`"()!&|,*. \\x\r\0é')) + good[at + chance.randrange(2) :]
        rule = read_rule(text)
        if of_rule(text) == []:
            assert rule is not None
            assert rule.bounded
            assert all(map(APP.has_host, rule.hosts))
