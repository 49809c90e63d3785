"""What the Traefik labels of one service ask for beyond the app's own names and parts. Pure.

One Traefik serves every app of a node and takes whatever a service's labels say, so a label can claim another app's
host name, answer in another app's place, or send Traefik to addresses inside the node. Judged is what is known to stay
within the app; whatever is not known counts as asked for, so a new option of Traefik is refused until it is added here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

PREFIX = "traefik."
NETWORKS = ("proxy",)  # where a node's Traefik meets its apps
HOST, PART = "router-host", "router-part"
MOST_DEPTH = 40  # of brackets and negations in a rule
_HOST_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", re.ASCII)
# Traefik lets Go's own scanner read its rules: in backticks nothing is escaped. What else Go knows is no token here.
_TOKEN = re.compile(r"[ \t\r\n]*(&&|\|\||[!(),]|[A-Za-z]+|`[^`]*`|\"(?:[^\"\\\n]|\\.)*\")")


@dataclass(frozen=True)
class App:
    """What is the app's own: its stack's name, its domain, and names that its operator derived from the domain."""

    stack: str
    domain: str
    hosts: frozenset[str] = frozenset()

    def has_host(self, name: str) -> bool:
        """Whether a name is the app's domain, is below it, or is one of its operator's."""
        plain = name.lower()
        return bool(_HOST_NAME.fullmatch(plain)) and (
            plain == self.domain or plain.endswith(f".{self.domain}") or plain in self.hosts
        )

    def has_part(self, name: str) -> bool:
        """Whether a router, service or middleware of Traefik is the app's: all of a node's apps share the names."""
        plain = name.strip().lower()
        return self.stack.lower() in plain and "@" not in plain


def app_of(stack: str, domain: str, env: Mapping[str, str]) -> App:
    """`env` is what the recipe's settings set, not what its `.env.sample` says: that one is a pull request's to change.

    Of the names in it those are the app's that hold the first label of its domain, which no other app has.
    """
    words = {word.strip(".") for value in env.values() for word in re.findall(r"[a-z0-9_.-]+", str(value).lower())}
    label = domain.partition(".")[0]
    return App(stack, domain.lower(), frozenset(word for word in words if label in word and "." in word))


@dataclass(frozen=True)
class Rule:
    """`hosts` are all names in Host() and HostSNI(); `bounded`: a request to another name can never match."""

    hosts: tuple[str, ...]
    bounded: bool


def read_rule(text: str) -> Rule | None:
    """The rule of a router; None for what this grammar does not know, which is then for nobody to judge."""
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if not match:
            return None
        tokens.append(match[1])
        at = match.end()
    try:
        return _Reader(tokens).read()
    except (IndexError, ValueError):
        return None


class _Reader:
    """alternatives := both (`||` both)*; both := one (`&&` one)*; one := `!` one | `(` alternatives `)` | matcher.

    Each gives whether it binds the rule to names.
    """

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens[::-1]
        self._hosts: list[str] = []
        self._depth = 0

    def read(self) -> Rule:
        bounded = self._alternatives()
        if self._tokens:
            raise ValueError("something follows")
        return Rule(tuple(self._hosts), bounded)

    def _alternatives(self) -> bool:
        bounded = self._both()
        while self._takes("||"):
            bounded = self._both() and bounded
        return bounded

    def _both(self) -> bool:
        bounded = self._one()
        while self._takes("&&"):
            bounded = self._one() or bounded
        return bounded

    def _one(self) -> bool:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise ValueError("too deep")
        if self._takes("!"):
            self._one()
            bounded = False
        elif self._takes("("):
            bounded = self._alternatives()
            self._demand(")")
        else:
            bounded = self._matcher()
        self._depth -= 1
        return bounded

    def _matcher(self) -> bool:
        name = self._tokens.pop()
        if not name.isalpha():
            raise ValueError("no matcher")
        self._demand("(")
        values: list[str] = []
        while not self._takes(")"):
            if values:
                self._demand(",")
            value = self._tokens.pop()
            if value[0] not in '`"':
                raise ValueError("no text")
            values.append(value[1:-1])
        if name.lower() not in ("host", "hostsni"):
            return False
        self._hosts += values
        return bool(values) and "*" not in values

    def _takes(self, token: str) -> bool:
        if self._tokens and self._tokens[-1] == token:
            self._tokens.pop()
            return True
        return False

    def _demand(self, token: str) -> None:
        if not self._takes(token):
            raise ValueError(f"no {token}")


Check = Callable[[App, str], bool]


def _anything(app: App, value: str) -> bool:
    return True


def _nothing(app: App, value: str) -> bool:
    return not value.strip()


def _network(app: App, value: str) -> bool:
    return value in ("", *NETWORKS) or value.startswith(f"{app.stack}_")


def _parts(app: App, value: str) -> bool:
    return all(app.has_part(name) for name in value.split(","))


def _names(app: App, value: str) -> bool:
    return all(app.has_host(name.strip().removeprefix("*.")) for name in value.split(","))


def _one_of(pattern: str) -> Check:
    """Traefik makes an address of scheme and port without looking at them: `80@10.0.0.1` would be a host of its own."""
    return lambda app, value: bool(re.fullmatch(pattern, value, re.ASCII | re.IGNORECASE))


# Keys without `traefik.`, in lower case, `*` for the name of a part, which must be the app's.
_FREE: tuple[tuple[str, Check], ...] = (
    (r"enable|(docker|swarm)\.lbswarm", _anything),
    (r"(docker|swarm)\.network", _network),
    (r"(http|tcp)\.routers\.\*\.(rule|entrypoints|priority|tls|tls\.passthrough)", _anything),  # rules: see _of_router
    (r"(http|tcp)\.routers\.\*\.(service|middlewares)", _parts),
    (r"(http|tcp)\.routers\.\*\.tls\.certresolver", _nothing),
    (r"(http|tcp)\.routers\.\*\.tls\.domains\.(main|sans)", _names),
    (r"(http|tcp)\.services\.\*\.loadbalancer\.server\.port", _one_of(r"\d{1,5}")),
    (r"http\.services\.\*\.loadbalancer\.server\.scheme", _one_of("https?|h2c")),
    (r"http\.services\.\*\.loadbalancer\.(passhostheader|(sticky|responseforwarding)(\..+)?)", _anything),
    (r"http\.middlewares\.\*\.(chain\.middlewares|errors\.service)", _parts),
    (r"http\.middlewares\.\*\.errors\.(status|query)", _anything),
    (r"http\.middlewares\.\*\.(basicauth|digestauth)\.(users|realm|removeheader|headerfield)", _anything),
    (r"http\.middlewares\.\*\.ratelimit\.(average|period|burst|sourcecriterion\..+)", _anything),
    (
        r"http\.middlewares\.\*\.(addprefix|buffering|compress|contenttype|headers|inflightreq|ipallowlist|ipwhitelist"
        r"|redirectregex|redirectscheme|replacepath|replacepathregex|retry|stripprefix|stripprefixregex)(\..+)?",
        _anything,
    ),
    (r"tcp\.middlewares\.\*\.(inflightconn|ipallowlist|ipwhitelist)(\..+)?", _anything),
)
_KINDS = re.compile(r"((?:http|tcp)\.(?:routers|services|middlewares))\.([^.]+)\.(.+)", re.DOTALL)
_ROUTER = re.compile(r"traefik\.((?:http|tcp)\.routers\.[^.]+)\.(.+)", re.DOTALL)


def asked(labels: Mapping[str, str], app: App) -> Iterator[tuple[str, str, str]]:
    """`(rule of the policy, what is asked for, label)` for all that reaches beyond the app."""
    routers: dict[str, list[tuple[str, str, str]]] = {}
    for label, value in labels.items():
        # Traefik reads `Traefik.HTTP` too, and `sans[0]` for one of several values.
        key = re.sub(r"\[\d+\]", "", label.casefold())
        if not key.startswith(PREFIX):
            continue
        if not _is_free(key.removeprefix(PREFIX), value, app):
            yield PART, f"{label}={value}", label
        router = _ROUTER.fullmatch(key)
        if router:
            routers.setdefault(router[1], []).append((router[2], value, label))
    for options in routers.values():
        yield from _of_router(options, app)


def _is_free(key: str, value: str, app: App) -> bool:
    kind = _KINDS.fullmatch(key)
    if kind and not app.has_part(kind[2]):
        return False
    general = f"{kind[1]}.*.{kind[3]}" if kind else key
    return any(re.fullmatch(pattern, general, re.DOTALL) and check(app, value) for pattern, check in _FREE)


def _of_router(options: list[tuple[str, str, str]], app: App) -> Iterator[tuple[str, str, str]]:
    """`options` are `(key below the router, value, label)`.

    Where nothing binds a rule to names, what else limits the router belongs to the demand, above all its entry points.
    """
    limits = sorted(f"{key}={value}" for key, value, _ in options if key not in ("rule", "service", "middlewares"))
    for key, text, label in options:
        if key != "rule":
            continue
        rule = read_rule(text)
        if rule is None or not rule.bounded:
            yield HOST, " ".join([text, *limits]), label
        for host in dict.fromkeys(rule.hosts if rule else ()):
            if host != "*" and not app.has_host(host):
                yield HOST, host.lower(), label
