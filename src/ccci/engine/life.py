"""Plays a plan, and makes sure that its teardown happened whatever became of the play."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from ccci import events, redaction
from ccci.engine.playbook import Playbook, Stop, run

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OnEvent = Callable[[events.Event], None]


def play(
    plan: dict[str, Any], inventory: str, on_event: OnEvent, on_tick: Callable[[], None], options: list[str]
) -> None:
    """Runs play.yml, then clean.yml when the events hold no completed teardown. The verdict is read from the events.

    INT, TERM and HUP end the play and start the cleaning; they come back to normal when this returns.
    """
    run_dir = Path(plan["run"]["dir"])
    plan_file = {"ccci_plan_file": str(run_dir / "plan.json")}
    marks = {"CCCI_RUN_ID": plan["run"]["id"]}
    with _signals(run_dir) as stop:
        life = Playbook("play.yml", inventory, run_dir, plan_file, list(plan["run"]["tags"]), None, options, marks)
        run(life, on_event, on_tick, stop)
        if not torn_down(events.read(run_dir)):
            # A second signal must not stop the cleaning: it is what keeps the node usable.
            run(Playbook("clean.yml", inventory, run_dir, plan_file), on_event, on_tick)
        leaks = {path: sorted(names) for path, names in redaction.find_leaks(run_dir).items()}
        events.append(run_dir, "leaks", files=leaks)


def torn_down(stream: list[events.Event]) -> bool:
    """Whether a teardown has spoken. One that found leftovers counts: a second one would find the same."""
    return any(event["type"] == "result" and event.get("id") == "teardown.removed" for event in stream)


@contextmanager
def _signals(run_dir: Path) -> Iterator[Stop]:
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.signal is None:
            stop.request(number)
            events.append(run_dir, "signal", signal=signal.Signals(number).name)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
