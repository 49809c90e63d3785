"""What a person sees while a run goes on: a line per finished tier, and under it what is happening now."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ccci.plan.tiers import TIERS
from ccci.report import clean, words
from ccci.report.estimate import Estimate
from ccci.report.model import SEVERITY

Event = dict[str, Any]
WIDE = 100  # columns; in fewer the sign of life needs the room
QUIET = 15.0  # seconds after which plain output shows a sign of life
_RED = ("fail", "error", "failed", "unreachable")


class LiveView:
    """`mode` is `live` (a terminal: the last line moves) or `plain` (a pipe, CI: one line per thing that happened)."""

    def __init__(self, plan: dict[str, Any], console: Console, mode: str, estimate: Estimate | None = None) -> None:
        self._console = console
        self._began = time.monotonic()
        self._estimate = estimate
        self._tier: str | None = None
        self._tier_began = self._began
        self._worst = "pass"
        self._doing = "starting ansible-playbook"
        self._sign = ""
        self._spoke = self._began
        self._closed = False
        head = plan.get("head") or {}
        self._print(
            Text.assemble((str(plan["recipe"]["name"]), "bold"), f"  {clean.one_line(str(head.get('label', '')))}")
        )
        self._live = Live(console=console, auto_refresh=False, transient=True) if mode == "live" else None
        if self._live is not None:
            self._live.start()

    def on_event(self, event: Event) -> None:
        kind = event.get("type")
        tier = event.get("tier")
        if kind in ("begin", "task", "result", "progress") and isinstance(tier, str) and self._moves_to(tier):
            self._end_tier()
            self._begin_tier(tier, _name(event) if kind == "begin" else "…")
        if kind == "progress":
            self._sign = clean.one_line(str(event.get("text", "")))
            self._plainly(self._sign)
        elif kind == "result":
            self._result(event)
        elif kind == "begin":
            self._doing, self._sign = _name(event), ""
        elif kind == "task":
            self._task(event)
        elif kind == "signal":
            self._say(Text(f"  {event.get('signal')}: ending the play, then taking everything away …", "yellow"))
        elif kind == "play_start" and event.get("playbook") == "clean.yml":
            self._say(Text("  taking away what the play could not", "yellow"))
        self._refresh()

    def on_tick(self) -> None:
        """Called about ten times a second."""
        if self._live is None and time.monotonic() - self._spoke > QUIET:
            self._plainly(self._sign or self._doing, always=True)
        self._refresh()

    def close(self) -> None:
        """Ends the moving line. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._end_tier()
        if self._live is not None:
            self._live.update(Text(""), refresh=True)
            self._live.stop()
        self._print(Text())

    def _moves_to(self, tier: str) -> bool:
        """The images of an app are pulled while its deps are installed already; that is no way back."""
        order = [TIERS.index(name) if name in TIERS else -1 for name in (tier, self._tier)]
        return tier != self._tier and (min(order) < 0 or order[0] > order[1])

    def _begin_tier(self, tier: str, doing: str) -> None:
        self._tier, self._tier_began = tier, time.monotonic()
        self._worst, self._sign = "pass", ""
        self._doing = doing
        seconds = self._estimate.tiers.get(tier) if self._estimate else None
        self._plainly(f"{doing} (usually {words.seconds(seconds)})" if seconds is not None else doing, always=True)

    def _end_tier(self) -> None:
        if self._tier is None:
            return
        line = Text(f"{words.SYMBOLS[self._worst]} {self._tier:<9}", words.COLOURS[self._worst])
        line.append(f" {words.seconds(time.monotonic() - self._tier_began):>11}", "default")
        self._tier = None
        self._say(line)

    def _result(self, event: Event) -> None:
        outcome = str(event.get("outcome"))
        if outcome in SEVERITY and SEVERITY[outcome] > SEVERITY[self._worst] and outcome != "skip":
            self._worst = outcome
        if outcome in _RED:
            said = clean.one_line(str(event.get("observed") or event.get("evidence") or ""))
            self._say(Text(f"  {words.SYMBOLS[outcome]} {event.get('id')}: {said}", words.COLOURS[outcome]))

    def _task(self, event: Event) -> None:
        if event.get("module") == "ccci_verdict":
            return  # it repeats what was said already
        if event.get("outcome") == "unreachable":
            self._worst = "error"
            self._say(Text(f"  ! {event.get('host')} cannot be reached", "magenta"))
        elif event.get("outcome") in _RED and self._worst == "pass":
            self._worst = "error"

    def _refresh(self) -> None:
        if self._live is None or self._closed:
            return
        self._live.update(self._moving(self._console.width), refresh=True)

    def _moving(self, width: int) -> Text:
        now = time.monotonic()
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[int((now - self._began) * 8) % 10] + " ", "cyan")
        line.append(f"{self._tier or 'start':<9}", "bold")
        elapsed = now - (self._tier_began if self._tier else self._began)
        line.append(f" {words.seconds(elapsed):>11}")
        if told := usual(self._estimate, self._tier, elapsed, brief=width < WIDE):
            line.append(f" {told}", "dim")
        line.append(f"  {self._sign or self._doing}")
        line.truncate(max(10, width - 1), overflow="ellipsis")
        return line

    def _plainly(self, text: str, always: bool = False) -> None:
        """In plain mode, one line; the same text again only as a sign of life."""
        if self._live is not None or not text:
            return
        now = time.monotonic()
        if always or now - self._spoke > 1.0:
            self._print(Text(f"  {self._tier or 'start'}  {words.seconds(now - self._began)}  {text}", "dim"))

    def _say(self, line: Text) -> None:
        self._print(line)

    def _print(self, line: Text) -> None:
        self._spoke = time.monotonic()
        self._console.print(line, soft_wrap=True, highlight=False)


def _name(event: Event) -> str:
    """A task's name without its role and file."""
    return clean.one_line(str(event.get("name", ""))).rpartition(" : ")[2].rpartition(" | ")[2]


def usual(estimate: Estimate | None, tier: str | None, elapsed: float, brief: bool = False) -> str:
    """`of about 30 s, about 40 s left`: how long a tier usually takes, and how long the run still will. Pure.

    `brief` leaves out the tier's, unless nobody knows about the run.
    """
    if estimate is None:
        return ""
    if estimate.is_long(tier, elapsed):
        return "longer than usual"
    whole = estimate.tiers.get(tier or "")
    parts = [f"of about {words.seconds(whole)}"] if whole is not None else []
    left = estimate.left(tier, elapsed)
    if brief and left is not None:
        parts = []
    parts += [f"about {words.seconds(left)} left"] if left is not None and left >= 1 else []
    return ", ".join(parts)
