"""How long a fault takes to become a red verdict, by ccci and the plain way, and how often a good run is called bad.

    faults.py plain     deploys each fault that keeps a stack from converging with abra alone, several at a time
    faults.py alarms    plays good runs of two recipes in turn, 50 in all; one boots slowly and restarts once (an hour)
    faults.py table     writes docs/failures-measured.md from what was measured, `make faults` included

Measured once is kept (runs/faults/plain.jsonl, alarms.jsonl): everything can be stopped and goes on later.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
sys.path.insert(0, str(PROJECT / "tests" / "faults"))

from stage import CONTAINER, ON_NODE, Stage  # noqa: E402  isort: skip
from cases import CASES  # noqa: E402
from judge import HARD_LIMIT, MEDIAN_GOAL, Case  # noqa: E402
from suite import BOOTSTRAP_LIMIT, FOLDER, RESULTS  # noqa: E402

PAGE = PROJECT / "docs" / "failures-measured.md"
BASE = "0.2.0+1.1.0"
# The faults that the plain way meets as well, with the services that its deploy has.
PLAIN: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("crash-loop", "crash-loop-silent", "crash-loop-rollback", "health-kill", "disk-full", "oom", "missing-image",
         "rate-limit", "shared-quota", "missing-bind-source", "missing-reference", "unschedulable", "start-failed"),
        ("app",),
    ),
    "acme-missing": ("app", "certdumper"),
}  # fmt: skip
AT_ONCE = 4  # plain deploys side by side: they mostly wait
PLAIN_LIMIT = 900.0  # seconds
PLAYS = 50
GOOD = (("custom-html", "", ("--pr", "1")), ("faultbox", "slow-boot", ("--pr", "1")))
Line = dict[str, Any]


def lines(path: Path) -> list[Line]:
    text = path.read_text() if path.is_file() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def append(path: Path, line: Line) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def plain(folder: Path, only: Sequence[str]) -> None:
    measured = {line["case"] for line in lines(folder / "plain.jsonl")}
    cases = [case for case in CASES if case.id in (only or PLAIN) and case.id not in measured]
    stage = Stage(folder / "runs", folder / "plain")
    stage.command("plan", "faultbox")  # builds the embedded recipe when it is not there
    cache = Path(os.environ.get("CCCI_CACHE_DIR") or Path.home() / ".cache" / "ccci")
    stage.node.run(f"rm -rf {ON_NODE}/faultbox.git && mkdir -p {ON_NODE}")
    for source in (cache / "recipes" / "faultbox.git", HERE / "plain_fault.sh"):
        subprocess.run(["docker", "cp", "-q", str(source), f"{CONTAINER}:{ON_NODE}/"], check=True)
    hands = {hand for case in cases for hand in case.around}
    with ExitStack() as around, ThreadPoolExecutor(AT_ONCE) as pool:
        for hand in hands:
            around.enter_context(hand(stage))
        for case, line in zip(cases, pool.map(lambda case: plainly(case, stage), cases), strict=True):
            append(folder / "plain.jsonl", {"case": case.id, **line})
            sys.stderr.write(f"{case.id}: {line['seconds']:.0f} s, {line['said']}\n")


def plainly(case: Case, stage: Stage) -> Line:
    """`{seconds, rc, said, ps}`: what abra took and said, and what `docker service ps` shows then."""
    base = BASE if case.tier == "upgrade" else "none"
    words = [f"{ON_NODE}/plain_fault.sh", f"{ON_NODE}/faultbox.git", case.words[1], base, " ".join(PLAIN[case.id])]
    done = subprocess.run(
        ["docker", "exec", CONTAINER, "sh", *words], capture_output=True, text=True, timeout=PLAIN_LIMIT, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{case.id}: {done.stdout[-500:]}{done.stderr[-1500:]}")
    numbers, *said = done.stdout.splitlines()
    seconds, code = numbers.split()
    words_of_abra = [line for line in said if line.startswith("FATA")] or ["calls it deployed" if code == "0" else ""]
    return {"seconds": round(float(seconds), 1), "rc": int(code), "said": words_of_abra[0][:200], "ps": said[-6:]}


def alarms(folder: Path, plays: int) -> None:
    done = len(lines(folder / "alarms.jsonl"))
    for number in range(done, plays):
        recipe, settings, words = GOOD[number % len(GOOD)]
        stage = Stage(folder / "runs", folder / "alarms", settings)
        if not settings:
            stage.player.environment.pop("CCCI_RECIPE_TESTS_DIR")
        began = time.monotonic()
        played = stage.play(*words, recipe=recipe)
        told = played.json if isinstance(played.json, dict) else {}
        line = {
            "number": number + 1, "recipe": recipe, "code": played.code, "verdict": told.get("verdict"),
            "cause": told.get("cause"), "failure_id": told.get("failure_id"), "run": (told.get("run") or {}).get("dir"),
            "restarts": restarts(told), "seconds": round(time.monotonic() - began, 1),
        }  # fmt: skip
        append(folder / "alarms.jsonl", line)
        sys.stderr.write(f"{number + 1} of {plays}: {recipe} {line['verdict']} ({line['seconds']:.0f} s)\n")


def restarts(told: Mapping[str, Any]) -> str:
    items = [item for tier in told.get("tiers") or [] for item in tier["assertions"]]
    return next((str(item["observed"]) for item in items if item["id"] == "install.no_restart_loop"), "")


def page(folder: Path) -> str:
    """docs/failures-measured.md, from what lies in `folder`. Pure but for the reading."""
    faults = lines(folder / RESULTS)
    return "\n".join([
        "# How fast a failure is named",
        "",
        "Made by `bench/faults.py table` from what `make faults`, `bench/faults.py plain` and `bench/faults.py alarms` "
        "measured on",
        f"a nested node, {os.cpu_count()} cores shared with the controller and with other work. Seconds depend on the "
        "machine; look at the ratios.",
        "",
        *side_by_side(faults, {line["case"]: line for line in lines(folder / "plain.jsonl")}),
        "",
        *from_evidence(faults),
        "",
        *false_alarms(lines(folder / "alarms.jsonl")),
        "",
    ])  # fmt: skip


def side_by_side(faults: Sequence[Line], measured: Mapping[str, Line]) -> list[str]:
    rows, ratios = [], []
    for case in CASES:
        mine = [line["verdict"] for line in faults if line["case"] == case.id and line["ok"] and line.get("verdict")]
        if case.id not in measured or not mine:
            continue
        other, own = measured[case.id], statistics.median(mine)
        ratios.append(other["seconds"] / own)
        said = other["said"].replace("|", "\\|")
        rows.append(f"| `{case.id}` | {own:.0f} s | {other['seconds']:.0f} s | {ratios[-1]:.1f} | {said or '–'} |")
    if not rows:
        return ["Nothing was measured side by side yet."]
    return [
        "## To a red verdict, from the start of the command",
        "",
        "The plain way is `abra app deploy` by hand on the same node, with the recipe's TIMEOUT of 300 s, and then a "
        "look at",
        "`docker service ps`: its time is that of abra alone, and nothing in it tells a cause. A deploy that abra "
        "calls",
        "good, or refuses at once, is shown as well.",
        "",
        "| fault | ccci | plain | ratio | abra's last word |",
        "|---|---:|---:|---:|---|",
        *rows,
        "",
        f"Median ratio: {statistics.median(ratios):.1f}.",
    ]


def from_evidence(faults: Sequence[Line]) -> list[str]:
    rows, every = [], []
    for case in CASES:
        plays = [line for line in faults if line["case"] == case.id]
        seconds = [line["first"] for line in plays if line["ok"] and line["first"] is not None]
        if not seconds:
            continue
        every += seconds
        rows.append(f"| `{case.id}` | {case.title} | {len(seconds)} | {statistics.median(seconds):.1f} s "
                    f"| {max(seconds):.1f} s |")  # fmt: skip
    if not rows:
        return ["Nothing was timed yet."]
    return [
        "## From the first evidence to the verdict",
        "",
        "What counts as first evidence is told by `ccci explain ID`; it is taken from Docker's own events and the "
        "registry's log.",
        "",
        "| case | what was injected | plays | median | most |",
        "|---|---|---:|---:|---:|",
        *rows,
        "",
        f"All plays: median {statistics.median(every):.1f} s (goal {MEDIAN_GOAL:.0f} s), most {max(every):.1f} s "
        f"(limit {HARD_LIMIT:.0f} s).",
    ]


def false_alarms(plays: Sequence[Line]) -> list[str]:
    if not plays:
        return ["Good runs were not counted yet."]
    wrong = [line for line in plays if line["verdict"] != "pass"]
    told = ", ".join(f"{count(plays, recipe)} of {recipe}" for recipe, *_ in GOOD)
    return [
        "## Good runs that were called bad",
        "",
        f"{len(wrong)} of {len(plays)} plays in a row ({told}). faultbox boots for more than 90 s there, and its app "
        "gives up once",
        "because its database is not there yet.",
        *(f"- {line['recipe']}: {line['failure_id'] or 'no id'}: {line['cause']}" for line in wrong),
    ]


def count(plays: Iterable[Line], recipe: str) -> int:
    return sum(line["recipe"] == recipe for line in plays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["plain", "alarms", "table"])
    parser.add_argument("--only", nargs="+", default=[], choices=PLAIN, metavar="ID", help="plain: these faults")
    parser.add_argument("--plays", type=int, default=PLAYS, help="good runs in all (default 50)")
    parser.add_argument("--ready", action="store_true", help="the node is set up: do not bootstrap it")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where measurements are (default runs/faults)")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if not given.ready and given.what != ["table"]:
        done = Stage(given.folder / "runs", given.folder).player.run("bootstrap", "--yes", limit=BOOTSTRAP_LIMIT)
        if done.code != 0:
            raise SystemExit(f"bootstrap ended with {done.code}\n{done.out[-2000:]}{done.err[-2000:]}")
    for what in given.what:
        if what == "plain":
            plain(given.folder, given.only)
        elif what == "alarms":
            alarms(given.folder, given.plays)
        else:
            PAGE.write_text(page(given.folder))


if __name__ == "__main__":
    main()
