"""Plays the fault suite: `make faults`. What passed is not played again, so it can be stopped at any time.

Results are appended to runs/faults/faults.jsonl, one line a play; runs/faults/<case>/ keeps what the last play of a
case recorded. Ends with 1 when something is not as cases.py says.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import signal
import statistics
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from stage import PROJECT, Stage  # isort: skip  (it makes the modules of tests/integration known)
from cases import CASES
from judge import HARD_LIMIT, MEDIAN_GOAL, Case, got, problems

FOLDER = PROJECT / "runs" / "faults"
RESULTS = "faults.jsonl"
BOOTSTRAP_LIMIT = 1500.0  # seconds; from nothing it takes some minutes
Outcome = dict[str, Any]


def run(case: Case, folder: Path) -> Outcome:
    """One play of a case: `{case, ok, expected, got, problems, first, verdict, seconds, run}`. `first` and `verdict`
    are seconds to the verdict, from the first evidence and from the start of the command; None where there is none."""
    stage = Stage(folder / "runs", folder / case.id, case.settings)
    began = time.monotonic()
    outcome: Outcome = {"case": case.id, "at": round(time.time(), 1), "expected": case.expected, "first": None}
    try:
        if case.act is not None:
            wrong = case.act(stage)
            outcome |= {"got": "possible" if wrong else "impossible", "problems": wrong}
        else:
            outcome |= _play(case, stage)
    except Exception as error:  # one broken case must not hide the others
        where = traceback.format_exception(error)[-2:]
        outcome |= {"got": "broken", "problems": [f"{type(error).__name__}: {error}"[:2000], "".join(where)[-600:]]}
    return {**outcome, "ok": not outcome["problems"], "seconds": round(time.monotonic() - began, 1)}


def _play(case: Case, stage: Stage) -> Outcome:
    with stage.recording(), ExitStack() as around:
        for hand in case.around:
            around.enter_context(hand(stage))
        began = time.time()
        played = stage.play(*case.words)
    (stage.folder / "stdout.txt").write_text(played.out)
    (stage.folder / "stderr.txt").write_text(played.err)
    stage.read_run(played)
    answer = got(played, stage.record)
    first = case.evidence(stage.record) if case.evidence else None
    wrong = problems(case, answer, played, first)
    if case.also is not None and played.json is not None:
        wrong += case.also(stage, played)
    late = round(answer.at - first, 1) if first is not None and answer.at is not None else None
    verdict = round(answer.at - began, 1) if answer.at is not None else None
    where = str((played.json or {}).get("run", {}).get("dir") or "") if isinstance(played.json, dict) else ""
    return {"got": str(answer), "problems": wrong, "first": late, "verdict": verdict, "run": where,
            "said": " ".join(answer.said.split())[:500]}  # fmt: skip


def chosen(patterns: Sequence[str]) -> list[Case]:
    """Cases by id, by failure id, or by a pattern such as `health-*`; all without one."""
    found = [
        case for case in CASES
        if not patterns or any(fnmatch.fnmatch(name, one) for one in patterns for name in (case.id, case.failure_id))
    ]  # fmt: skip
    if not found:
        known = ", ".join(case.id for case in CASES)
        raise SystemExit(f"no case fits {', '.join(patterns)}; there are {known}")
    return found


def known(path: Path) -> dict[tuple[str, int], Outcome]:
    """The last outcome of each case and round."""
    text = path.read_text() if path.is_file() else ""
    found = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    return {(one["case"], one["round"]): one for one in found}


def table(outcomes: Sequence[Outcome]) -> str:
    """What the suite came to, a line for each play, and a summary."""
    wide = max(len(one["case"]) for one in outcomes)
    lines = [f"{'case':{wide}}  {'':4}  {'first':>6}  {'all':>6}  expected / got"]
    for one in outcomes:
        first = "" if one["first"] is None else f"{one['first']:.1f} s"
        answer = one["got"] if one["ok"] else f"{one['expected']} / {one['got']}"
        mark = "ok" if one["ok"] else "FAIL"
        lines.append(f"{one['case']:{wide}}  {mark:4}  {first:>6}  {one['seconds']:>4.0f} s  {answer}")
        lines += [f"{'':{wide}}        {' '.join(problem.split())[:400]}" for problem in one["problems"]]
    passed = sum(one["ok"] for one in outcomes)
    late = [one["first"] for one in outcomes if one["first"] is not None]
    if late:
        lines.append(
            f"first: from the first evidence to the verdict; median {statistics.median(late):.1f} s "
            f"(goal {MEDIAN_GOAL:.0f} s), most {max(late):.1f} s (limit {HARD_LIMIT:.0f} s)"
        )
    lines.append(f"{passed} passed, {len(outcomes) - passed} failed")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="ID", help="these cases, or cases of these failure ids"
    )
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="how often each case is played")
    parser.add_argument("--again", action="store_true", help="play what passed already, too")
    parser.add_argument("--ready", action="store_true", help="the node is set up: do not bootstrap it")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where results go (default runs/faults)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what a case did to the node is undone
    cases, results = chosen(given.only), given.folder / RESULTS
    given.folder.mkdir(parents=True, exist_ok=True)
    if not given.ready:
        done = Stage(given.folder / "runs", given.folder).player.run("bootstrap", "--yes", limit=BOOTSTRAP_LIMIT)
        if done.code != 0:
            raise SystemExit(f"bootstrap ended with {done.code}\n{done.out[-2000:]}{done.err[-2000:]}")
    before = {} if given.again else known(results)
    rounds = [(case, number) for number in range(1, given.repeat + 1) for case in cases]
    for place, (case, number) in enumerate(rounds, 1):
        if before.get((case.id, number), {}).get("ok"):
            continue
        sys.stderr.write(f"{place} of {len(rounds)}: {case.id} … ")
        sys.stderr.flush()
        outcome = {**run(case, given.folder), "round": number}
        with results.open("a") as file:
            file.write(json.dumps(outcome, ensure_ascii=False) + "\n")
        sys.stderr.write(f"{'ok' if outcome['ok'] else 'FAIL'} ({outcome['seconds']:.0f} s)\n")
    every = known(results)
    outcomes = [every[case.id, number] for case, number in rounds]
    sys.stdout.write(f"{table(outcomes)}\n")
    return 0 if all(one["ok"] for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
