"""What a compose file of version 3.8 may say, as the Docker CLI's stack loader takes it. Pure.

One walk over a file fills in variables, checks every value against the table of its key, and brings short forms into
one long form (environment as a mapping, ports, volumes, secrets and configs as mappings), so that merging is simple.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import compose_values as values
from .compose_yaml import ComposeError, Map, Place, Seq
from .interpolate import interpolate

MOST_TEXT = 4 * 1024 * 1024  # characters in all values once variables are filled in


@dataclass
class Walk:
    """What fills in variables (None: not known yet, they stay as they are), and how much may still be written."""

    env: Mapping[str, str] | None
    room: int = MOST_TEXT

    def text(self, text: str, place: Place, path: str) -> str:
        if self.env is None:
            return text
        try:
            filled = interpolate(text, self.env)
        except ValueError as error:
            raise ComposeError(*place, f"{path} {error}") from error
        self.spend(len(filled), place, path)
        return filled

    def spend(self, amount: int, place: Place, path: str) -> None:
        self.room -= amount
        if self.room < 0:
            raise ComposeError(*place, f"{path}: the values grow beyond {MOST_TEXT} characters")


Shape = Callable[[Any, Walk, Place, str], Any]


def scalar(convert: Callable[[Any, Any], Any]) -> Shape:
    """A shape for one value; `convert(filled, raw)` gives the value or raises ValueError with what it must be."""

    def shape(value: Any, walk: Walk, place: Place, path: str) -> Any:
        filled = walk.text(value, place, path) if isinstance(value, str) else value
        if walk.env is None and isinstance(value, str) and "$" in value and convert is not values.duration:
            return value
        try:
            return convert(filled, value)
        except ValueError as error:
            raise ComposeError(*place, f"{path} {error}") from error

    return shape


def listing(item: Shape, *, single: bool = False) -> Shape:
    """A list of items; with `single` one item may stand alone."""

    def shape(value: Any, walk: Walk, place: Place, path: str) -> Any:
        if single and isinstance(value, str):
            alone = Seq()
            alone.put(value, place)
            value = alone
        if not isinstance(value, Seq):
            raise ComposeError(*place, f"{path} must be a list")
        found = Seq()
        for index, (one, where) in enumerate(value.placed()):
            made = item(one, walk, where, f"{path}.{index}")
            made = made if isinstance(made, list) else [made]
            walk.spend(100 * len(made), where, path)  # a range of ports is short to write and long to hold
            for each in made:
                found.put(each, where)
        return found

    return shape


def fields(**keys: Shape) -> Shape:
    """A mapping with these keys only."""

    def shape(value: Any, walk: Walk, place: Place, path: str) -> Any:
        if not isinstance(value, Map):
            raise ComposeError(*place, f"{path} must be a mapping")
        found = Map()
        for key, one in value.items():
            where = value.places[key]
            if key in keys:
                found.put(key, keys[key](one, walk, where, f"{path}.{key}"), where)
            else:
                near = values.nearest(key, keys)
                hint = f"; did you mean {near}?" if near else ""
                raise ComposeError(*where, f"{path} Additional property {key} is not allowed{hint}")
        return found

    return shape


def entries(item: Shape) -> Shape:
    """A mapping with any keys, whose values have one shape."""

    def shape(value: Any, walk: Walk, place: Place, path: str) -> Any:
        if not isinstance(value, Map):
            raise ComposeError(*place, f"{path} must be a mapping")
        found = Map()
        for key, one in value.items():
            where = value.places[key]
            found.put(key, item(one, walk, where, f"{path}.{key}"), where)
        return found

    return shape


def extensible(inner: Shape) -> Shape:
    """A mapping whose `x-…` keys are passed over."""

    def shape(value: Any, walk: Walk, place: Place, path: str) -> Any:
        if isinstance(value, Map):
            kept = Map()
            for key in value:
                if not key.startswith("x-"):
                    kept.put(key, value[key], value.places[key])
            value = kept
        return inner(value, walk, place, path)

    return shape


def nullable(inner: Shape) -> Shape:
    """A mapping, or nothing, which is an empty one."""

    def shape(value: Any, walk: Walk, place: Place, path: str) -> Any:
        return Map() if value is None else inner(value, walk, place, path)

    return shape


def either(*shapes: tuple[type, Shape], words: str) -> Shape:
    """The shape that belongs to the value's type; `words` names the types for people."""

    def shape(value: Any, walk: Walk, place: Place, path: str) -> Any:
        for kind, one in shapes:
            if isinstance(value, kind):
                return one(value, walk, place, path)
        raise ComposeError(*place, f"{path} must be {words}")

    return shape


def pairs(empty: Any) -> Shape:
    """`KEY=value` list or mapping, as a mapping of texts; `empty` stands for a key without value."""
    value_of = scalar(values.pair_value)

    def shape(value: Any, walk: Walk, place: Place, path: str) -> Any:
        found = Map()
        if isinstance(value, Map):
            for key, one in value.items():
                made = value_of(one, walk, value.places[key], f"{path}.{key}")
                found.put(key, empty if made is None else made, value.places[key])
        elif isinstance(value, Seq):
            for index, (one, where) in enumerate(value.placed()):
                key, equals, text = str(STRING(one, walk, where, f"{path}.{index}")).partition("=")
                found.put(key, text if equals else empty, where)
        else:
            raise ComposeError(*place, f"{path} must be a mapping or a list of KEY=value")
        if "" in found:
            raise ComposeError(*found.places[""], f"{path} has a value without a key")
        return found

    return shape


def anything(value: Any, walk: Walk, place: Place, path: str) -> Any:
    """For what swarm ignores (build, restart …): taken as it stands."""
    return value


STRING = scalar(values.string)
BOOLEAN = scalar(values.boolean)
INTEGER = scalar(values.integer)
NUMBER = scalar(values.number)
TEXT = scalar(values.text)
DURATION = scalar(values.duration)
SIZE = scalar(values.size)
STRINGS = listing(STRING)
LOOSE_STRINGS = listing(STRING, single=True)
PAIRS = pairs("")
COMMAND = either((str, scalar(values.words)), (list, STRINGS), words="a string or a list")
GRANT = either(
    (str, scalar(values.grant)),
    (dict, fields(source=STRING, target=STRING, uid=STRING, gid=STRING, mode=INTEGER)),
    words="a string or a mapping",
)
PORT = either(
    (int, scalar(values.ports)),
    (str, scalar(values.ports)),
    (dict, fields(target=INTEGER, published=INTEGER, protocol=STRING, mode=STRING)),
    words="a port, a string or a mapping",
)
LONG_MOUNT = fields(
    type=STRING,
    source=STRING,
    target=STRING,
    read_only=BOOLEAN,
    consistency=STRING,
    bind=fields(propagation=STRING),
    volume=fields(nocopy=BOOLEAN),
    tmpfs=fields(size=SIZE),
)
MOUNT = either(
    (str, scalar(values.mount)),
    (dict, LONG_MOUNT),
    words="a string or a mapping",
)
ATTACHMENT = nullable(fields(aliases=STRINGS, ipv4_address=STRING, ipv6_address=STRING, driver_opts=entries(TEXT)))
UPDATE = fields(
    parallelism=INTEGER, delay=DURATION, failure_action=STRING, monitor=DURATION, max_failure_ratio=NUMBER, order=STRING
)
RESOURCES = {"cpus": STRING, "memory": SIZE}
GENERIC = listing(fields(discrete_resource_spec=fields(kind=STRING, value=INTEGER)))
DEPLOY = fields(
    mode=STRING,
    endpoint_mode=STRING,
    replicas=INTEGER,
    labels=PAIRS,
    update_config=UPDATE,
    rollback_config=UPDATE,
    restart_policy=fields(condition=STRING, delay=DURATION, max_attempts=INTEGER, window=DURATION),
    resources=fields(limits=fields(**RESOURCES), reservations=fields(**RESOURCES, generic_resources=GENERIC)),
    placement=fields(constraints=STRINGS, preferences=listing(fields(spread=STRING)), max_replicas_per_node=INTEGER),
)
HEALTHCHECK = fields(
    test=either((str, scalar(values.shell_test)), (list, STRINGS), words="a string or a list"),
    interval=DURATION,
    timeout=DURATION,
    start_period=DURATION,
    retries=NUMBER,
    disable=BOOLEAN,
)
_IGNORED_BY_SWARM = (
    "build", "devices", "expose", "external_links", "links", "shm_size",
)  # fmt: skip
SERVICE = fields(
    image=STRING, command=COMMAND, entrypoint=COMMAND, environment=pairs(None), env_file=LOOSE_STRINGS, labels=PAIRS,
    deploy=nullable(DEPLOY), healthcheck=HEALTHCHECK, ports=listing(PORT), volumes=listing(MOUNT),
    secrets=listing(GRANT), configs=listing(GRANT), networks=either(
        (list, lambda value, walk, place, path: _named(LOOSE_STRINGS(value, walk, place, path))),
        (dict, entries(ATTACHMENT)), words="a list or a mapping",
    ),
    depends_on=STRINGS, logging=fields(driver=STRING, options=entries(scalar(values.pair_value))), ulimits=entries(
        either((int, INTEGER), (str, INTEGER), (dict, fields(soft=INTEGER, hard=INTEGER)), words="a number"),
    ),
    cap_add=STRINGS, cap_drop=STRINGS, dns=LOOSE_STRINGS, dns_search=LOOSE_STRINGS, tmpfs=LOOSE_STRINGS,
    extra_hosts=either(
        (list, STRINGS),
        (dict, lambda value, walk, place, path: _hosts(PAIRS(value, walk, place, path))),
        words="a list or a mapping",
    ),
    sysctls=PAIRS, security_opt=STRINGS, credential_spec=fields(config=STRING, file=STRING, registry=STRING),
    container_name=STRING, cgroup_parent=STRING, network_mode=STRING, restart=STRING, userns_mode=STRING,
    mac_address=STRING, hostname=STRING, domainname=STRING, user=STRING, working_dir=STRING, ipc=STRING, pid=STRING,
    isolation=STRING,
    stop_signal=STRING, stop_grace_period=DURATION, read_only=BOOLEAN, stdin_open=BOOLEAN, tty=BOOLEAN,
    privileged=BOOLEAN, init=BOOLEAN, **dict.fromkeys(_IGNORED_BY_SWARM, anything),
)  # fmt: skip
EXTERNAL = either((bool, BOOLEAN), (str, BOOLEAN), (dict, fields(name=STRING)), words="a boolean or mapping")
OBJECT: dict[str, Shape] = {"name": STRING, "external": EXTERNAL, "labels": PAIRS, "driver": STRING}
SECTIONS: dict[str, Shape] = {
    "services": entries(extensible(SERVICE)),
    "volumes": entries(nullable(fields(**OBJECT, driver_opts=entries(TEXT)))),
    "networks": entries(
        nullable(fields(**OBJECT, driver_opts=entries(TEXT), ipam=anything, internal=BOOLEAN, attachable=BOOLEAN))
    ),
    "secrets": entries(fields(**OBJECT, driver_opts=entries(TEXT), file=STRING, template_driver=STRING)),
    "configs": entries(fields(**OBJECT, file=STRING, template_driver=STRING)),
}


def _named(names: Seq) -> Map:
    found = Map()
    for name, place in names.placed():
        found.put(name, Map(), place)
    return found


def _hosts(hosts: Map) -> Seq:
    found = Seq()
    for name, address in hosts.items():
        found.put(f"{name}:{address}", hosts.places[name])
    return found
