"""What is done to the node, or to this machine, around a play. Each one is undone when the play is over."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from judge import Around
from stage import Stage

from ccci.settings import find_inventory

IMAGE = "127.0.0.1:5000/ccci/faultbox:1.1.0"
FRONT = "127.0.0.1:5001/ccci/faultbox"
EVER = 10_000
FOREIGN = "ccci-faults-port"
INTERFACE = "ccci-faults"


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


def network_changes(stage: Stage) -> AbstractContextManager[None]:
    """While the browser loads the page, this machine's addresses change, as they do beside starting containers."""
    return meanwhile(stage, "ccci_assert_browser", _change_network)


def _change_network(stage: Stage) -> None:
    time.sleep(1.5)  # the browser has asked, the page is slow to answer
    for words in (
        ("link", "add", INTERFACE, "type", "veth", "peer", "name", f"{INTERFACE}-b"),
        ("address", "add", "192.0.2.77/24", "dev", INTERFACE),
        ("link", "set", f"{INTERFACE}-b", "up"),
        ("link", "set", INTERFACE, "up"),
    ):
        subprocess.run(["ip", *words], check=True, capture_output=True)
    stage.hand("an interface appeared")
    time.sleep(1)
    subprocess.run(["ip", "link", "delete", INTERFACE], check=True, capture_output=True)
    stage.hand("the interface went")


@contextmanager
def meanwhile(stage: Stage, module: str, do: object) -> Iterator[None]:
    """`do(stage)` in the background, as soon as the run's events say that a task of this module begins."""
    known, over = stage.runs(), threading.Event()
    problems: list[BaseException] = []

    def work() -> None:
        try:
            while not over.wait(0.05):
                new = [path / "events.jsonl" for path in stage.runs() - known]
                texts = [path.read_text(errors="replace") for path in new if path.is_file()]
                if any('"begin"' in line and f'"{module}"' in line for text in texts for line in text.splitlines()):
                    do(stage)  # type: ignore[operator]
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
