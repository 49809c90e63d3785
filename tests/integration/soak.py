"""Kills runs in every way at random moments, and compares the node before and after. Long; run with `make soak`.

A trial: a play begins, a random moment of a random tier comes, something dies (the command line, ansible-playbook, the
node's Docker, the node), the run ends, and then `ccci clean` or the next play has to leave the node as it was before:
nothing of the run, and everything foreign with the same ids and versions.

Results are appended to `soak/soak.jsonl` below the runs folder, the seed in its first line. A trial that is there
already is not repeated, so that the command can be interrupted and started again. Exits 1 when any trial failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import killing
from killing import Command
from playing import PROJECT, Node, Player

TRIALS = 67  # one lap: every way in each of its tiers
CONTAINER, ADDRESS, SUBNET = "ccci-soak", "10.213.215.2", "10.213.215.0/24"
END_LIMIT = 300.0  # seconds from the killing to the end of the command line
CLEAN_LIMIT = 420.0
SETTLE_LIMIT = 180.0  # seconds for swarm to bring the platform's own containers up again
START = "start"  # before the first tier: planning, starting Ansible
FOREIGN_NAME = "foreign"
PLATFORM = ("ccci-backupbot", "ccci-ingress")
GREEN = ("--pr", "7", "--tags", "install")  # the next play: it has to clean first, and to pass
PULLED = [f"127.0.0.1:5000/ccci/nginx:{tag}" for tag in ("1.22.1", "1.26.3")]
Inventory = dict[str, str]


@dataclass(frozen=True)
class Trial:
    """What is killed `delay` seconds after the first sign of `tier`; `by`: who takes the run away, clean or play."""

    number: int
    way: str
    tier: str
    delay: float
    by: str


class SoakNode(Node):
    """The node's Docker from inside, with what identifies an object besides its name."""

    def inventory(self, with_containers: bool) -> Inventory:
        """`{"kind id": "version name"}` of everything that a run could leave or touch.

        Tasks' containers count by their id, or (after Docker itself was killed, which makes swarm replace them) by the
        service that they belong to.
        """
        found: Inventory = {}
        for line in self.run(LISTING).splitlines():
            kind, identity, *rest = line.split()
            if kind == "service" and not with_containers:
                rest = rest[1:]  # swarm itself writes down how an old update went when it starts
            if kind != "task":
                found[f"{kind} {identity}"] = " ".join(rest)
                continue
            service, state = rest
            if service.startswith((*PLATFORM, FOREIGN_NAME)) and state != "running":
                continue  # swarm keeps the last dead ones of a service, and forgets them by itself
            found[f"task {identity if with_containers else service}"] = service
        return found

    def docker_pid(self) -> str:
        return self.run("cat /var/run/docker.pid").strip()

    def settled(self, foreign: bool = True) -> bool:
        """Docker answers, and each service of the platform (and the foreign one) has what it wants."""
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            rows = self.run("docker service ls --format '{{.Name}} {{.Replicas}}'").splitlines()
            wanted = {row.split()[0]: row.split()[1].split("/") for row in rows}
            container = self.run("docker container inspect --format '{{.State.Running}}' foreign || true").strip()
            healthy = self.run("docker ps --filter health=healthy --format '{{.Label \"com.docker.stack.namespace\"}}'")
            names = {f"{name}_app" for name in PLATFORM} | ({FOREIGN_NAME} if foreign else set())
            return (
                names <= set(wanted)
                and (container == "true" or not foreign)
                and all(there == due for there, due in wanted.values())
                and "ccci-backupbot" in healthy
            )
        return False


# One line per object: kind, id, version or what else changes with it, name.
LISTING = r"""
set -e
each() { kind=$1; shift; form=$1; shift; if [ $# -gt 0 ]; then docker "$kind" inspect --format "$form" "$@"; fi; }
each service 'service {{.ID}} {{.Version.Index}} {{.Spec.Name}}' $(docker service ls -q)
each service 'spec {{.ID}} {{json .Spec}}' $(docker service ls -q)
each secret 'secret {{.ID}} {{.Version.Index}} {{.Spec.Name}}' $(docker secret ls -q)
each config 'config {{.ID}} {{.Version.Index}} {{.Spec.Name}}' $(docker config ls -q)
each network 'network {{if eq .Name "bridge"}}-{{else}}{{.Id}}{{end}} {{.Driver}} {{.Name}}' $(docker network ls -q)
each volume 'volume {{.Name}} {{.CreatedAt}} {{.Driver}}' $(docker volume ls -q)
each container '{{with index .Config.Labels "com.docker.swarm.service.name"}}task {{$.Id}} {{.}} {{$.State.Status}}{{else}}container {{.Id}} {{.Created}} {{.Name}} {{.State.Status}}{{end}}' $(docker ps -aq)
for path in /var/lib/ccci/runs/* /tmp/ansible_* /root/.ansible/tmp/*; do [ ! -e "$path" ] || echo "file $path"; done
for path in $(docker volume inspect --format '{{.Mountpoint}}' foreign)/*; do
    echo "content $path $(stat --format '%i %Y' "$path") $(sha256sum <"$path")"
done
bot=$(docker ps -q --filter name=ccci-backupbot_app --filter status=running)
docker exec "$bot" restic snapshots --no-lock --json | python3 -c 'import json, sys
for one in json.load(sys.stdin) or []: print("snapshot", one["id"], one["time"], *one["tags"])'
"""  # noqa: E501
FOREIGN = r"""
set -e
image=$(docker container inspect --format '{{.Config.Image}}' ccci-registry)
docker volume inspect foreign >/dev/null 2>&1 || docker volume create --label owner=somebody foreign >/dev/null
echo kept >"$(docker volume inspect --format '{{.Mountpoint}}' foreign)/data"
docker config inspect foreign >/dev/null 2>&1 || echo kept | docker config create foreign - >/dev/null
docker secret inspect foreign >/dev/null 2>&1 || echo kept | docker secret create foreign - >/dev/null
docker network inspect foreign >/dev/null 2>&1 || docker network create --driver overlay --attachable foreign >/dev/null
docker container inspect foreign >/dev/null 2>&1 || docker run --detach --restart always --name foreign \
    --volume foreign:/data --network bridge --entrypoint sleep "$image" infinity >/dev/null
docker service inspect foreign >/dev/null 2>&1 || docker service create --quiet --detach --name foreign \
    --endpoint-mode dnsrr --network foreign --entrypoint sleep --config foreign --secret foreign \
    "$image" infinity >/dev/null
bot=$(docker ps -q --filter name=ccci-backupbot_app --filter status=running)
docker exec "$bot" sh -c 'restic snapshots --no-lock --json --tag foreign | grep -q foreign \
    || restic backup --quiet --tag foreign /etc/hostname'
"""


class Soak:
    """The node, the command line against it, and the book of results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.book = folder / "soak.jsonl"
        self.player = Player(str(write_inventory(folder / "inventory")), folder)
        self.node = SoakNode(["docker", "exec", CONTAINER, "sh", "-c"])
        self.spans: dict[str, float] = {}

    def set_up(self) -> None:
        done = self.player.run("bootstrap", "--yes", limit=1200)
        assert done.code == 0, done.err[-4000:]
        killing.wait_for(lambda: self.node.settled(foreign=False), SETTLE_LIMIT, "the node's own services run")
        self.node.run(FOREIGN, limit=120.0)
        self.settle()
        cleaned = self.player.run("clean", limit=CLEAN_LIMIT)
        assert cleaned.code == 0, cleaned.out + cleaned.err

    def measure(self) -> dict[str, float]:
        """Seconds that each tier takes undisturbed: the moments of the killing are spread over them."""
        began = time.time()
        command = killing.play(self.player)
        played = command.end(END_LIMIT)
        assert played.code == 0, played.out + played.err
        events = command.events()
        begun = [e for e in events if e["type"] == "begin"]
        first = {tier: min(e["at"] for e in begun if e.get("tier") == tier) for tier in killing.TIERS}
        marks = [began, *(first[tier] for tier in killing.TIERS), events[-1]["at"]]
        names = (START, *killing.TIERS)
        return {name: round(marks[i + 1] - marks[i], 2) for i, name in enumerate(names)}

    def settle(self) -> None:
        killing.wait_for(self.node.settled, SETTLE_LIMIT, "the node's own services run")

    def inventory(self, with_containers: bool) -> Inventory:
        """Objects come and go while they are listed: asked again until the list can be made."""
        for _ in range(10):
            with contextlib.suppress(AssertionError):
                return self.node.inventory(with_containers)
            time.sleep(1)
        return self.node.inventory(with_containers)

    def try_out(self, trial: Trial) -> dict[str, Any]:
        """One trial: {problem: text, empty when all was well; code: of the command; cause: its sentence; …}."""
        way = WAYS[trial.way]
        self.settle()
        before = self.inventory(not way.hits_docker)
        if trial.tier == "prepare":  # so that there is something to be pulled when the moment comes
            self.node.run(f"docker image rm {' '.join(PULLED)} >/dev/null 2>&1 || true")
        told: dict[str, Any] = {}
        commands: list[Command] = []
        try:
            command = killing.play(self.player)
            commands.append(command)
            self.come(command, trial)
            told["moment"] = moment(command)
            struck = time.monotonic()
            way.strike(self, command, trial, commands)
            played = command.end(END_LIMIT)
            told["seconds_to_end"] = round(time.monotonic() - struck, 1)
            told |= {"code": played.code, "cause": (played.json or {}).get("cause")}
            judge(way, command, played)
            told["left"] = self.run_is_there(command)
            if way.hits_docker is False and way.ends_itself and told["left"]:
                raise AssertionError(f"the run ended without taking itself away: {told['left']}")
            ended = time.monotonic()
            self.take_away(trial)
            told["seconds_to_clear"] = round(time.monotonic() - ended, 1)
            self.compare(before, way, commands)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            told["problem"] = str(error)[-3000:] or type(error).__name__
        finally:
            for command in commands:
                command.kill()
        if "problem" in told:  # the next trial shall not pay for it
            self.player.run("clean", limit=CLEAN_LIMIT)
        if "problem" not in told:
            for command in commands:
                if command.run_dir:
                    shutil.rmtree(command.run_dir, ignore_errors=True)
                command.discard()
        return {"problem": "", **told}

    def come(self, command: Command, trial: Trial) -> None:
        if trial.tier != START:
            killing.reach(command, trial.tier)
        time.sleep(trial.delay)

    def run_is_there(self, command: Command) -> list[str]:
        """What the node still knows of the run right after its end; asked only where Docker was left alone."""
        run = command.run_dir.name if command.run_dir else ""
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            listed = self.node.run(
                "docker config ls --format '{{.Name}}'; docker service ls --format '{{.Name}}'; "
                "docker volume ls -q; ls /var/lib/ccci/runs"
            ).split()
            stack = f"{run[16:]}_"
            return sorted(name for name in listed if run and (run in name or name.startswith(stack)))
        return ["(the node does not answer)"]

    def take_away(self, trial: Trial) -> None:
        if trial.by == "clean":
            cleaned = self.player.run("clean", limit=CLEAN_LIMIT)
            assert cleaned.code == 0, f"`ccci clean` ended with {cleaned.code}\n{cleaned.out}{cleaned.err}"
            assert "Traceback" not in cleaned.err, cleaned.err
            return
        next_one = killing.play(self.player, *GREEN)
        played = next_one.end(END_LIMIT)
        told = f"the next play ended with {played.code}: {(played.json or {}).get('cause')}\n{played.err[-1500:]}"
        assert played.code == 0, told
        self.player.run("clean", limit=CLEAN_LIMIT)  # finishes the dead run's report
        if next_one.run_dir:
            shutil.rmtree(next_one.run_dir, ignore_errors=True)
        next_one.discard()

    def compare(self, before: Inventory, way: Way, commands: list[Command]) -> None:
        self.settle()
        after = self.inventory(not way.hits_docker)
        if way.hits_node:  # what a machine's start empties
            before, after = (
                {k: v for k, v in one.items() if not k.startswith("file /tmp/")} for one in (before, after)
            )
        gone = [f"gone: {name} {value}" for name, value in before.items() if after.get(name) != value]
        more = [f"left: {name} {value}" for name, value in after.items() if before.get(name) != value]
        assert not gone + more, "the node differs from before\n" + "\n".join(gone + more)
        for command in commands:
            folder = command.run_dir
            assert not folder or not marked(folder.name), f"processes of {folder} live on: {marked(folder.name)}"
            assert not folder or not (folder / "ansible").exists(), f"{folder}/ansible is still there"


@dataclass(frozen=True)
class Way:
    """A way to die. `codes`: exit codes of a play that was hit before its end; `ends_itself`: it cleans up, too."""

    strike: Callable[[Soak, Command, Trial, list[Command]], None]
    codes: tuple[int, ...]
    ends_itself: bool = True
    hits_docker: bool = False
    hits_node: bool = False
    tiers: tuple[str, ...] = ()  # empty: all of them


def by_signal(number: int, again: float | None = None) -> Callable[[Soak, Command, Trial, list[Command]], None]:
    def strike(soak: Soak, command: Command, trial: Trial, commands: list[Command]) -> None:
        command.process.send_signal(number)
        if again is not None:
            time.sleep(again)
            command.process.send_signal(number)

    return strike


def kill_command_line(soak: Soak, command: Command, trial: Trial, commands: list[Command]) -> None:
    killing.kill_command_line(command)


def kill_family(soak: Soak, command: Command, trial: Trial, commands: list[Command]) -> None:
    killing.kill_family(command)


def kill_ansible(soak: Soak, command: Command, trial: Trial, commands: list[Command]) -> None:
    killing.wait_for(lambda: killing.kill_ansible(command) or command.ended, 60, "there is an ansible-playbook")


def kill_docker(soak: Soak, command: Command, trial: Trial, commands: list[Command]) -> None:
    soak.node.run(f"kill -9 {soak.node.docker_pid()}")


def restart_node(soak: Soak, command: Command, trial: Trial, commands: list[Command]) -> None:
    subprocess.run(["docker", "restart", CONTAINER], capture_output=True, timeout=120, check=True)


def kill_clean_too(soak: Soak, command: Command, trial: Trial, commands: list[Command]) -> None:
    """The play dies, and so does the first `ccci clean` after it."""
    killing.kill_command_line(command)
    cleaning = Command(soak.player, "clean")
    time.sleep(1.0 + 3 * trial.delay / max(soak.spans[trial.tier], 0.1))
    cleaning.kill()
    cleaning.discard()


def clean_twice_at_once(soak: Soak, command: Command, trial: Trial, commands: list[Command]) -> None:
    killing.kill_command_line(command)
    both = [Command(soak.player, "clean"), Command(soak.player, "clean")]
    for cleaning in both:
        done = cleaning.end(CLEAN_LIMIT)
        cleaning.discard()
        assert done.code == 0, f"one of two cleanings ended with {done.code}\n{done.out}{done.err}"


def one_that_waits(soak: Soak, command: Command, trial: Trial, commands: list[Command]) -> None:
    """A second play waits for the node; the first one dies; the second one has to take over and to pass."""
    second = killing.play(soak.player, *GREEN, "--wait")
    commands.append(second)
    waiting = "waiting: run"
    killing.wait_for(
        lambda: waiting in second.output() or second.ended or command.ended, 60, "the second play waits for the first"
    )
    killing.kill_command_line(command)
    played = second.end(END_LIMIT)
    told = f"the play that waited ended with {played.code}: {(played.json or {}).get('cause')}\n{played.err[-1500:]}"
    assert played.code == 0, told


WAYS = {
    "SIGINT": Way(by_signal(signal.SIGINT), (130,)),
    "SIGTERM": Way(by_signal(signal.SIGTERM), (130,)),
    "SIGHUP": Way(by_signal(signal.SIGHUP), (130,)),
    "SIGINT twice": Way(by_signal(signal.SIGINT, again=1.0), (130,), tiers=("install", "teardown")),
    "kill -9 of the command line": Way(kill_command_line, (-9,), ends_itself=False),
    "kill -9 of ansible-playbook": Way(kill_ansible, (3,)),
    "kill -9 of both": Way(kill_family, (-9,), ends_itself=False, tiers=("prepare", "backup")),
    "kill -9 of dockerd": Way(kill_docker, (3,), hits_docker=True),
    "restart of the node": Way(restart_node, (3,), hits_docker=True, hits_node=True),
    "kill -9, also of the clean": Way(kill_clean_too, (-9,), ends_itself=False, tiers=("install", "upgrade", "backup")),
    "kill -9, then two cleans at once": Way(
        clean_twice_at_once, (-9,), ends_itself=False, tiers=("install", "restore")
    ),
    "kill -9 while a play waits": Way(one_that_waits, (-9,), ends_itself=False, tiers=("install", "upgrade")),
}


def judge(way: Way, command: Command, played: Any) -> None:
    """The exit code and the words of the play that was hit. What came after its teardown cannot hurt it."""
    told = f"{played.code}: {(played.json or {}).get('cause')}\n{played.out[-1500:]}{played.err[-1500:]}"
    assert "Traceback" not in played.out + played.err, told
    assert "unexpected" not in played.err, told
    removed = any(e["type"] == "result" and e.get("id") == "teardown.removed" for e in command.events())
    # Python that was interrupted inside `exec` ends itself with SIGINT afterwards; a shell says 130 for both.
    code = 130 if played.code == -signal.SIGINT else played.code
    if code in way.codes:
        if way.hits_docker:
            cause = (played.json or {}).get("cause") or played.err
            assert re.search(r"Docker|the node", cause), f"the cause does not say what happened: {cause}"
        return
    assert played.code == 0, told
    assert removed, told


def moment(command: Command) -> str:
    """The last thing that was seen of the play."""
    events = [e for e in command.events() if e["type"] in ("begin", "task", "result", "progress")]
    last = events[-1] if events else {}
    name = last.get("name") or last.get("id") or last.get("text") or ""
    return f"{last.get('tier', START)}: {last.get('type', '')} {name}"


def marked(run: str) -> list[str]:
    """Processes of a run, here and (a container's processes are seen from outside) on the node."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"CCCI_RUN_ID={run}".encode() in (path / "environ").read_bytes().split(b"\0"):
                found.append((path / "cmdline").read_text().replace("\0", " ")[:200])
    return [words for words in found if words]


def write_inventory(folder: Path) -> Path:
    """A copy of inventory/nested for a node of our own."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(PROJECT / "inventory" / "nested", folder)
    hosts = folder / "hosts.yml"
    hosts.write_text(hosts.read_text().replace("ccci-nested\n", f"{CONTAINER}\n").replace(" nested:", " soak:"))
    values = folder / "group_vars" / "all"
    known = values / "ccci.yml"
    known.write_text(re.sub(r"(ccci_ingress_address:) \S+", rf"\1 {ADDRESS}", known.read_text()))
    own = {"nested_node_network": CONTAINER, "nested_node_subnet": SUBNET, "nested_node_address": ADDRESS}
    (values / "node.yml").write_text("".join(f"{key}: {value}\n" for key, value in own.items()))
    return folder


def trials(seed: str, spans: dict[str, float], count: int) -> list[Trial]:
    """Every way in each of its tiers, in a random order and at random moments, lap after lap."""
    drawn: list[Trial] = []
    lap = 0
    while len(drawn) < count:
        lap += 1
        dice = random.Random(f"{seed}/{lap}")
        pairs = [(way, tier) for way in WAYS for tier in WAYS[way].tiers or (START, *killing.TIERS)]
        dice.shuffle(pairs)
        for way, tier in pairs:
            delay = round(dice.uniform(0, spans[tier]), 2)
            drawn.append(Trial(len(drawn) + 1, way, tier, delay, "clean" if len(drawn) % 2 else "play"))
    return drawn[:count]


def table(rows: list[dict[str, Any]]) -> str:
    """For docs/soak.md: a line per way to die."""
    lines = [
        "| what was killed | trials | nothing left, nothing touched | failed | median seconds |",
        "|---|---|---|---|---|",
    ]
    for way in WAYS:
        mine = [row for row in rows if row["way"] == way]
        bad = sum(1 for row in mine if row["problem"])
        middle = sorted(row["seconds"] for row in mine)[len(mine) // 2] if mine else 0
        lines.append(f"| {way} | {len(mine)} | {len(mine) - bad} | {bad} | {middle:.0f} |")
    bad = sum(1 for row in rows if row["problem"])
    lines.append(f"| all | {len(rows)} | {len(rows) - bad} | {bad} | |")
    return "\n".join(lines)


def read_book(book: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The first line, and the last word on each trial."""
    lines = [json.loads(line) for line in book.read_text().splitlines()] if book.exists() else []
    rows = {line["number"]: line for line in lines if "number" in line}
    head = next((line for line in lines if "seed" in line), {})
    return head, [rows[number] for number in sorted(rows)]


def write(book: Path, line: dict[str, Any]) -> None:
    with book.open("a") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--seed", default=None, help="of a new series; a random one otherwise")
    parser.add_argument("--again", action="store_true", help="try failed trials again")
    parser.add_argument("--only", action="append", help="only ways whose name contains this (again: or this)")
    parser.add_argument("--table", action="store_true", help="print the table of docs/soak.md, and stop there")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what runs is then ended, too
    folder = Path(os.environ.get("CCCI_RUNS_DIR") or "runs").resolve() / "soak"
    folder.mkdir(parents=True, exist_ok=True)
    head, rows = read_book(folder / "soak.jsonl")
    if asked.table:
        print(table(rows))
        return 0
    soak = Soak(folder)
    soak.set_up()
    if not head:
        head = {"seed": asked.seed or secrets.token_hex(4), "spans": soak.measure()}
        write(soak.book, head)
    soak.spans = head["spans"]
    print(
        f"seed {head['seed']}; {len(rows)} trials are done already; seconds of the tiers: {head['spans']}", flush=True
    )
    done = {row["number"] for row in rows if not (asked.again and row["problem"])}
    for trial in trials(head["seed"], head["spans"], asked.trials):
        if trial.number in done or not any(words in trial.way for words in asked.only or [""]):
            continue
        began = time.monotonic()
        told = soak.try_out(trial)
        row = {**asdict(trial), **told, "seconds": round(time.monotonic() - began, 1)}
        write(soak.book, row)
        what = f"{trial.way}, {trial.tier} + {trial.delay:.1f} s, then {trial.by}"
        outcome = (told["problem"].splitlines() or ["nothing left, nothing touched"])[0]
        print(f"{trial.number}/{asked.trials} {what} ({row['seconds']:.0f} s): {outcome}", flush=True)
    _, rows = read_book(soak.book)
    bad = Counter(bool(row["problem"]) for row in rows)
    print(f"seed {head['seed']}: {len(rows)} trials, {bad[False]} left nothing and touched nothing, {bad[True]} failed")
    return 1 if bad[True] else 0


if __name__ == "__main__":
    sys.exit(main())
