"""What is done to the node, or to this machine, around a play. Each one is undone when the play is over."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from judge import Around
from stage import Stage

from ccci.settings import find_inventory, load_settings

IMAGE = "127.0.0.1:5000/ccci/faultbox:1.1.0"
FRONT = "127.0.0.1:5001/ccci/faultbox"
EVER = 10_000
FOREIGN = "ccci-faults-port"
INTERFACE = "ccci-faults"
LOOK = 0.1  # seconds between two looks at this machine's connections
ASKED = 0.5  # seconds after which a browser that has connected has asked; the page takes some more to answer
NOTICED = 1.5  # seconds in which a browser has closed its connections, if it minds at all


def registry(path: str = "", times: int = 0, retry_after: int = 0) -> Around:
    """A registry on 127.0.0.1:5001 of the node that refuses `times` requests for what fits `path`."""
    rules = [{"path": path, "times": times, "retry_after": retry_after}] if times else []

    @contextmanager
    def around(stage: Stage) -> Iterator[None]:
        forget_image(stage)
        try:
            with stage.helper("front.py", "5001", json.dumps(rules), into="registry"):
                yield
        finally:
            forget_image(stage)

    return around


def forget_image(stage: Stage) -> None:
    """The node has never pulled from the registry in front: neither by tag nor by digest."""
    names = "{{.Repository}}:{{.Tag}} {{.Repository}}@{{.Digest}}"
    known = f"docker images --digests --format '{names}' | tr ' ' '\\n' | grep '^{FRONT}' | grep -v '<none>'"
    stage.node.run(f"for name in $({known}); do docker rmi $name >/dev/null 2>&1; done; ! {known} >/dev/null")


def agent(what: str, number: int, *words: str) -> Around:
    """A hand on the node that knows the stack: see node/agent.py. `words` are those of the play."""
    return lambda stage: stage.helper("agent.py", what, stage.stack(*words), str(number), into="hands")


@contextmanager
def looked_before(stage: Stage) -> Iterator[None]:
    """What is on the node is written down, to be compared with what is there afterwards."""
    stage.record.before = stage.node.objects()
    yield


def changed(*changes: tuple[str, str, str]) -> Around:
    """Files of the case's settings, of which one text is another one: (file, old, new), each old text there once."""

    @contextmanager
    def around(stage: Stage) -> Iterator[None]:
        copy = stage.own_settings()
        for name, old, new in changes:
            text = (copy / name).read_text()
            assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
            (copy / name).write_text(text.replace(old, new))
        yield

    return around


def secret_there(secret: str, *words: str) -> Around:
    """Somebody else's secret has the name of one of the app's. It must still be there in the end."""

    @contextmanager
    def around(stage: Stage) -> Iterator[None]:
        name = f"{stage.stack(*words)}_{secret}"
        stage.node.run(f"echo foreign | docker secret create {name} -")
        try:
            yield
        finally:
            stage.node.run(f"docker secret rm {name}")

    return around


@contextmanager
def without_timezone(stage: Stage) -> Iterator[None]:
    stage.node.run("mv /etc/timezone /etc/timezone.ccci-faults")
    try:
        yield
    finally:
        stage.node.run("mv /etc/timezone.ccci-faults /etc/timezone")


@contextmanager
def port_held(stage: Stage) -> Iterator[None]:
    """Somebody else's service has the port 5432 of the node."""
    stage.node.run(
        f"docker service create --quiet --name {FOREIGN} --publish mode=host,published=5432,target=8000 {IMAGE}"
    )
    try:
        yield
    finally:
        stage.node.run(f"docker service rm {FOREIGN}")


@contextmanager
def no_ingress_address(stage: Stage) -> Iterator[None]:
    """An inventory that leaves the app's name to DNS, where nobody knows it."""
    usual, copy = stage.player.inventory, stage.folder / "inventory"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(find_inventory(usual), copy)
    values = copy / "group_vars" / "all" / "ccci.yml"
    lines = values.read_text().splitlines(keepends=True)
    values.write_text("".join(line for line in lines if not line.startswith("ccci_ingress_address")))
    stage.player.inventory = str(copy)
    try:
        yield
    finally:
        stage.player.inventory = usual


@contextmanager
def network_changes(stage: Stage) -> Iterator[None]:
    """While the browser loads the page, this machine's addresses change, as they do beside starting containers."""
    subprocess.run(["ip", "link", "delete", INTERFACE], capture_output=True, check=False)  # of a suite that was killed
    # Before the play, because nothing else can make this case: without the right to it, it says so at once.
    _ip("link", "add", INTERFACE, "type", "veth", "peer", "name", f"{INTERFACE}-b")
    _ip("link", "delete", INTERFACE)
    ingress = load_settings(stage.player.inventory).ingress_address
    assert ingress, f"the inventory {stage.player.inventory} has no ccci_ingress_address: where does the browser go?"
    with meanwhile(stage, "ccci_assert_browser", lambda over: _disturb_browser(stage, ingress, over)):
        yield


def _disturb_browser(stage: Stage, ingress: str, over: threading.Event) -> None:
    """Changes this machine's addresses while a browser waits for the ingress, until it has lost a connection by that.

    Chromium then gives up what it asks for over HTTP/2, and says so. How long it takes to start is not known: a change
    at a fixed time may come before it asks.
    """
    changes = 0
    while not over.wait(LOOK):
        before = browsing(_connections(ingress))
        if not before or over.wait(ASKED):
            continue
        changes += 1
        with _new_address():
            stage.hand("an address appeared")
            lost, end = False, time.monotonic() + NOTICED
            while not lost and time.monotonic() < end:
                time.sleep(LOOK)
                lost = not before & browsing(_connections(ingress))
        stage.hand("the address went")
        if lost:
            return
    raise AssertionError(f"no browser lost its connection to {ingress} by {changes} changes of this machine's network")


@contextmanager
def _new_address() -> Iterator[None]:
    """An interface that is up, with one global address and no route: a browser does not mind link-local ones, and
    nothing else here must notice."""
    _ip("link", "add", INTERFACE, "type", "veth", "peer", "name", f"{INTERFACE}-b")
    try:
        _ip("address", "add", "198.51.100.77/32", "dev", INTERFACE)
        _ip("link", "set", f"{INTERFACE}-b", "up")
        _ip("link", "set", INTERFACE, "up")
        yield
    finally:
        _ip("link", "delete", INTERFACE)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    command, said = f"ip {' '.join(words)}", done.stderr.strip()
    if "not permitted" in said:
        raise PermissionError(
            f"this machine's network cannot be changed (`{command}`: {said}): the case needs root, with the capability "
            "NET_ADMIN, on the machine where the browser runs; it cannot be played otherwise"
        )
    raise AssertionError(f"`{command}` ended with {done.returncode}: {said}")


def _connections(address: str) -> str:
    """This machine's open connections to an address, a line each, as `ss` shows them."""
    words = ["ss", "--no-header", "--tcp", "--numeric", "--processes", "state", "established", "dst", address]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def browsing(connections: str) -> set[str]:
    """The own ends (`address:port`) of those connections that a Chromium has, whatever its name is here. Pure."""
    rows = [line.split(maxsplit=4) for line in connections.splitlines()]
    return {row[2] for row in rows if len(row) == 5 and "chrom" in row[4]}


@contextmanager
def meanwhile(stage: Stage, module: str, do: Callable[[threading.Event], None]) -> Iterator[None]:
    """`do(over)` in the background, as soon as the run's events say that a task of this module begins; `over` is set
    when the play has ended."""
    known, over = stage.runs(), threading.Event()
    problems: list[BaseException] = []

    def work() -> None:
        try:
            while not over.wait(0.05):
                new = [path / "events.jsonl" for path in stage.runs() - known]
                texts = [path.read_text(errors="replace") for path in new if path.is_file()]
                if any('"begin"' in line and f'"{module}"' in line for text in texts for line in text.splitlines()):
                    do(over)
                    return
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if problems:
        raise problems[0]
