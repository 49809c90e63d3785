"""Plays a plan, and makes sure that its teardown happened whatever became of the play."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from ccci import events, redaction
from ccci.engine.playbook import Playbook, Stop, run
from ccci.errors import CcciError, InfrastructureError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OnEvent = Callable[[events.Event], None]


def play(
    plan: dict[str, Any],
    inventory: str,
    on_event: OnEvent,
    on_tick: Callable[[], None],
    options: Sequence[str] = (),
    playbook: str = "play.yml",
    cleaner: str = "clean.yml",
) -> None:
    """Runs play.yml, then clean.yml when the events hold no completed teardown. The verdict is read from the events.

    INT, TERM and HUP end the play and start the cleaning; they come back to normal when this returns.
    """
    run_dir = Path(plan["run"]["dir"])
    variables = {"ccci_plan_file": str(run_dir / "plan.json")}
    tags, mark = list(plan["run"]["tags"]), plan["run"]["id"]
    with signals_caught(run_dir) as stop:
        failure: CcciError | None = None
        try:
            life = Playbook(playbook, inventory, run_dir, variables, tags, None, list(options), mark)
            code = run(life, on_event, on_tick, stop)
            if not began(events.read(run_dir)) and stop.signal is None:
                failure = never_began(run_dir, "play", code)
            elif not ended(events.read(run_dir), playbook) and stop.signal is None:
                _tell(run_dir, "died", what="ansible-playbook")
        except CcciError as error:
            failure = error
        if began(events.read(run_dir)) and not torn_down(events.read(run_dir)):
            # A second signal must not stop the cleaning: it is what keeps the node usable.
            run(Playbook(cleaner, inventory, run_dir, variables), on_event, on_tick)
            if not torn_down(events.read(run_dir)):
                text = "The cleaning after the run did not complete. Next: `ccci clean`, when the node answers again"
                _tell(run_dir, "note", text=text)
        leaks = {path: sorted(names) for path, names in redaction.find_leaks(run_dir).items()}
        _tell(run_dir, "leaks", files=leaks)
    if failure is not None:
        raise failure


def simple(
    name: str,
    inventory: str,
    run_dir: Path,
    variables: Mapping[str, str],
    on_event: OnEvent,
    limit: str | None = None,
    options: Sequence[str] = (),
) -> int:
    """Runs one other playbook, announces its tasks and returns its code. KeyboardInterrupt when a signal ended it."""
    with signals_caught(run_dir) as stop:
        other = Playbook(name, inventory, run_dir, {**variables, "ccci_run_dir": str(run_dir)}, limit=limit)
        other.options, other.announce = list(options), True
        code = run(other, on_event, lambda: None, stop)
    if stop.signal is not None:
        raise KeyboardInterrupt
    return code


def began(stream: Sequence[events.Event]) -> bool:
    """Whether a play reached the node at all."""
    return any(event["type"] == "play_start" for event in stream)


def ended(stream: Sequence[events.Event], playbook: str) -> bool:
    """Whether a playbook came to its end, however it went."""
    return any(event["type"] == "play_end" and event.get("playbook") == Path(playbook).name for event in stream)


def _tell(run_dir: Path, event_type: str, **fields: Any) -> None:
    """Adds an event if there is room. What cannot be written makes the result red; it must not stop the cleaning."""
    with suppress(OSError):
        events.append(run_dir, event_type, **fields)


def never_began(run_dir: Path, name: str, code: int) -> InfrastructureError:
    """What to say when ansible-playbook ended before its first play: a broken inventory, an option it does not know."""
    log = run_dir / "logs" / f"ansible-{name}.log"
    said = log.read_text(errors="replace").strip()[-1500:] if log.exists() else ""
    return InfrastructureError(
        "ansible-playbook ended before the play began",
        observed=f"return code {code}: {said or 'it printed nothing'}",
        next_step="Nothing was changed on the node",
    )


def torn_down(stream: Sequence[events.Event]) -> bool:
    """Whether a teardown has spoken. One that found leftovers counts: a second one would find the same."""
    return any(event["type"] == "result" and event.get("id") == "teardown.removed" for event in stream)


@contextmanager
def signals_caught(run_dir: Path) -> Iterator[Stop]:
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.signal is None:
            stop.request(number)
            _tell(run_dir, "signal", signal=signal.Signals(number).name)

    # One that we were started to ignore (nohup, a job in the background) stays ignored.
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
