"""Tries to cause what is impossible now. Each act returns what is wrong, as texts: nothing when the try failed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import hands
from judge import RED, assertions
from playing import PROJECT, Played
from stage import INVENTORY, Stage

from ccci.settings import find_inventory

INSTALL = ("--tags", "install")
REACH_LIMIT = 120.0  # seconds until a play has come to the wanted moment


def unlike(what: str, played: Played, code: int, *words: str) -> list[str]:
    """What of an exit code and of words in the output is not as it should be."""
    said = f"{played.out}\n{played.err}"
    wrong = [f"{what}: exit {played.code}, not {code}: {' '.join(said.split())[-300:]}"] if played.code != code else []
    return wrong + [f"{what}: no “{word}” in “{' '.join(said.split())[-400:]}”" for word in words if word not in said]


def refused(*words: str, verb: tuple[str, ...] = ("plan", "faultbox")) -> Callable[[Stage], list[str]]:
    """The command ends with 2 and says these words, before anything is deployed."""
    return lambda stage: unlike(" ".join(verb), stage.command(*verb), 2, *words)


def until(what: str, question: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + REACH_LIMIT
    while not question():
        assert process.poll() is None, f"the play ended before {what}"
        assert time.monotonic() < end, f"no {what} within {REACH_LIMIT:.0f} s"
        time.sleep(0.1)


def leftovers(stage: Stage, before: dict[str, list[str]]) -> list[str]:
    """What is on the node now and was not before, and what is gone."""
    after = stage.node.objects()
    return [
        f"{kind}: {', '.join(sorted(set(after[kind]) ^ set(before[kind])))}"
        for kind in before
        if after[kind] != before[kind]
    ]


def prune_in_a_run(stage: Stage) -> list[str]:
    """`ccci clean`, again and again while a run pulls and deploys: no image may go."""
    with hands.registry()(stage), stage.recording(), stage.started("play", "faultbox", "--pr", "8", "--format", "json",
                                                                   "--tags", "install", "--yes") as play:  # fmt: skip
        cleaned = 0
        while play.poll() is None and cleaned < 20:
            done = stage.command("clean")
            if done.code != 0:
                return unlike("clean", done, 0)
            cleaned += 1
        played = stage.ended(play)
    gone = [
        event["Actor"]["Attributes"].get("name", event["Actor"]["ID"])
        for event in stage.record.docker
        if event["Type"] == "image" and event["Action"] in ("delete", "untag", "prune")
        and event["at"] < stage.record.began + played.json["run"]["ended"] - played.json["run"]["started"]
    ]  # fmt: skip
    return (
        unlike("play", played, 0)
        + ([f"images went meanwhile: {gone}"] if gone else [])
        + ([] if cleaned else ["clean never came while the run lasted"])
    )


def cached_without_a_tag(stage: Stage) -> list[str]:
    """An image that the node knows by digest only survives a cleaning, and none of its layers is pulled again."""
    with hands.registry()(stage):
        tag = f"{hands.FRONT}:1.1.0"
        stage.node.run(f"docker pull -q {tag}")
        digest = stage.node.run(f"docker inspect --format '{{{{index .RepoDigests 0}}}}' {tag}").strip()
        digest = f"{hands.FRONT}@{digest.partition('@')[2]}"
        stage.node.run(f"docker rmi {tag} && docker pull -q {digest}")
        wrong = unlike("clean", stage.command("clean"), 0)
        if stage.node.run(f"docker inspect --format here {digest} 2>/dev/null || true").strip() != "here":
            wrong.append("the cleaning removed the image")
    with stage.helper("front.py", "5001", "[]", into="registry"):
        wrong += unlike("play", stage.play("--pr", "8", "--tags", "install"), 0)
    hands.forget_image(stage)
    # The image's configuration is a blob, too, of a few kilobytes.
    pulled = [line["path"] for line in stage.record.registry if "/blobs/" in line["path"] and line["bytes"] > 100_000]
    if not stage.record.registry:
        wrong.append("nobody asked the registry")
    return wrong + ([f"layers were pulled again: {pulled}"] if pulled else [])


def leaked_run(stage: Stage) -> list[str]:
    """What a run left where the next one wants to be is named before anything is deployed, and never collided with."""
    before = stage.node.objects()
    first = stage.play("--tags", "install", "--keep", "always")
    wrong = unlike("the kept run", first, 0)
    try:
        second = stage.play("--tags", "install")
    finally:  # also when the suite is ended now: the next case wants the node
        wrong += unlike("clean", stage.command("clean", "--run", first.json["run"]["id"]), 0)
    wrong += unlike("the next run", second, 3)
    red = [item for item in assertions(second) if item["outcome"] in RED]
    if not red or (red[0]["tier"], red[0]["failure_id"]) != ("prepare", "leaked-dep"):
        wrong.append(f"named {red[0]['tier']} {red[0]['failure_id']}" if red else "nothing is red")
    elif first.json["run"]["id"] not in str(red[0]["observed"]):
        wrong.append(f"the kept run is not named: {red[0]['observed']}")
    return wrong + leftovers(stage, before)


def killed_run(stage: Stage) -> list[str]:
    """Everything of a run is killed at once, with its app deployed; the next play finds a free node, and leaves one."""
    before = stage.node.objects()
    stack = stage.stack()
    with stage.started("play", "faultbox", "--format", "json", "--yes") as process:
        until(f"service {stack}_app", lambda: f"{stack}_app" in stage.node.run("docker service ls -q --format "
                                                                              "'{{.Name}}'"), process)  # fmt: skip
        family = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
        pids = {str(process.pid)}
        for _ in range(10):
            pids |= {pid for pid, parent in map(str.split, family.splitlines()[1:]) if parent in pids}
        for pid in sorted(pids):
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait(10)
    if stage.node.objects() == before:
        return ["the kill came too late to prove anything"]
    return unlike("the next run", stage.play("--tags", "install"), 0) + leftovers(stage, before)


def held_volume(stage: Stage) -> list[str]:
    """A foreign container keeps the run's volume: the teardown waits for it, and removes the volume then."""
    before = stage.node.objects()
    with hands.agent("hold-volume", 8)(stage):
        played = stage.play("--tags", "install")
    wrong = unlike("play", played, 0) + leftovers(stage, before)
    return wrong + ([] if any("rm --force" in line["did"] for line in stage.record.hands) else ["nothing was held"])


def held_volume_for_ever(stage: Stage) -> list[str]:
    """It is never given back: exit 4, with the volume and who has it; afterwards `ccci clean` can finish."""
    before = stage.node.objects()
    try:
        with hands.agent("hold-volume", 3600)(stage):
            played = stage.play("--tags", "install")
            holder = stage.node.run("docker inspect --format '{{.Id}}' ccci-faults-holder").strip()
    finally:
        stage.node.run("docker rm --force ccci-faults-holder")
    wrong = unlike("play", played, 4)
    removed = next(item for item in assertions(played) if item["id"] == "teardown.removed")
    said = f"{removed['observed']} {removed['evidence']}"
    if removed["failure_id"] != "removal-in-progress":
        wrong.append(f"named {removed['failure_id']}")
    wrong += [f"no “{word}” in “{said[:300]}”" for word in ("_data", holder) if word not in said]
    wrong += unlike("clean", stage.command("clean", "--run", played.json["run"]["id"]), 0)
    return wrong + leftovers(stage, before)


def vanished_test(stage: Stage) -> list[str]:
    """A test file that was there when the run was planned is gone when it would run."""
    copy = stage.own_settings()
    planned = stage.command("plan", "faultbox", "--save", "--tags", "custom")
    plan = Path(planned.out.strip())
    (copy / "faultbox" / "tests" / "second.yml").unlink()
    done = subprocess.run(
        [str(PROJECT / ".venv/bin/ansible-playbook"), "-i", str(find_inventory(INVENTORY)), "playbooks/play.yml",
         "--tags", "custom", "-e", f"ccci_plan_file={plan}"],
        cwd=PROJECT, env=stage.player.environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    wrong = [] if done.returncode else ["the play was green"]
    # The play's last task tells the verdict.
    said = done.stdout.partition("verdict ")[2].splitlines()
    told = any("faultbox.second" in line for line in said)
    return wrong + ([] if told else [f"no word of faultbox.second in “{' '.join(said)[:300]}”"])


def skipped_tests(stage: Stage) -> list[str]:
    """A test that skips itself because what it needs is not there makes no run green."""
    played = stage.play("--tags", "custom")
    if played.code == 0:
        return ["a run in which every test was skipped is green"]
    return [] if "skip" in f"{played.out}{played.err}".lower() else ["the skip is not told"]


def unprovided_dep(stage: Stage) -> list[str]:
    """A dep whose folder says nothing of what its parent wants: told before the node is touched."""
    (stage.own_settings() / "custom-html" / "provides" / "sso.yml").unlink()
    before = stage.node.objects()
    with stage.recording():
        played = stage.command("play", "faultbox", "--yes", *INSTALL)
    made = [event["Actor"] for event in stage.record.docker if event["Action"] == "create"]
    wrong = unlike("play", played, 2, "recipe.yml:5", "custom-html", "provides/sso.yml")
    return wrong + ([f"made on the node: {made[:3]}"] if made else []) + leftovers(stage, before)


@contextmanager
def forge(status: int) -> Iterator[str]:
    """A git host that has no such repository; its front page answers with `status`. Gives the repository's URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code = status if self.path == "/" else 404
            body = b"404 page not found\n"
            self.send_response(code)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/coop-cloud/faultbox.git"
    finally:
        server.shutdown()
        thread.join()


def dead_forge(stage: Stage) -> list[str]:
    """404 for the repository: infrastructure when the host answers 404 everywhere, an unknown recipe when it lives."""
    with forge(404) as url:
        down = stage.command("play", "faultbox", "--pr", "1", "--source", url, "--yes")
    with forge(200) as url:
        up = stage.command("play", "faultbox", "--pr", "1", "--source", url, "--yes")
    return unlike("a dead forge", down, 3, "is down") + unlike("a living forge", up, 2, "Unknown recipe")
