"""Plan and events → result. Pure, and the only place where a verdict is made.

The verdict never comes from Ansible's return code. It comes from the ids that the plan expects: each one needs an
outcome or an explanation. What has neither is `missing`, and missing is as red as an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ccci import errors
from ccci.plan.expected import needed_for
from ccci.plan.tiers import CHOOSABLE, TIERS, requested
from ccci.report import judge, services, timing, words
from ccci.report.model import (
    ERROR,
    FAIL,
    INTERRUPTED,
    MISSING,
    NOT_REACHED,
    PASS,
    SKIP,
    Assertion,
    Event,
    Result,
    Tier,
    with_artefacts,
    worst,
)
from ccci.report.whole_run import ENGINE, REMOVED, deploys_made

__all__ = ["Result", "compute", "last_play", "reproduce", "with_artefacts"]


def compute(plan: dict[str, Any], events: list[Event]) -> Result:
    """Joins a plan with what happened. Never raises for odd events: what it cannot read makes the run red."""
    stream = last_play(events)
    wanted = _wanted(plan, stream)
    judged = judge.judge(plan, _due(plan, wanted), stream, wanted)
    tiers = tuple(_tier(name, judged, plan, stream, wanted) for name in TIERS if _shown(name, judged, plan, wanted))
    facts = {str(event.get("name")): event.get("value") for event in stream if event["type"] == "fact"}
    left_behind = tuple(facts.pop("left_behind", None) or ())
    foreign = tuple(facts.pop("foreign", None) or ())
    facts.pop(services.FACT, None)  # one look of many; `resources` joins them
    signals = [str(event.get("signal")) for event in stream if event["type"] == "signal"]
    verdict = _verdict(tiers, wanted, bool(left_behind), bool(signals))
    culprit = _culprit(tiers, verdict)
    interrupted = f"interrupted by {signals[0]}" if signals else None
    said = [str(event.get("text")) for event in stream if event["type"] == "note"]
    return Result(
        verdict=verdict,
        exit_code=_exit_code(verdict, tiers, bool(left_behind)),
        cause=interrupted or (culprit.cause if culprit else _no_culprit(verdict, left_behind)),
        failure_id=culprit.failure_id if culprit else None,
        explain=words.explain(culprit.failure_id) if culprit else None,
        run=_run(plan, stream, wanted),
        recipe=str(plan["recipe"]["name"]),
        deps=tuple(_dep(dep) for dep in plan.get("deps") or ()),
        ref=dict(plan.get("head") or {}),
        base=dict(plan["base"]) if plan.get("base") else None,
        tiers=tiers,
        left_behind=left_behind,
        foreign=foreign,
        deploys={"due": plan["scope"].get("deploys", 1), "made": deploys_made(facts.pop("deploys", None))},
        coverage_gaps=tuple(_coverage_gaps(plan, tiers, wanted)),
        untrusted_tests=tuple(map(str, plan.get("untrusted_tests") or ())),
        time=timing.time_of(stream),
        timeline=tuple(_without_type(event) for event in stream if event["type"] == "timeline"),
        service_times=tuple(services.times(stream)),
        pulls=tuple(services.pulls(stream)),
        resources=tuple(services.resources(stream)),
        artefacts=_artefacts(stream),
        notes=(*map(str, plan.get("notes") or ()), *said),
        facts=facts,
        reproduce=reproduce(plan, culprit.tier if culprit else None),
    )


def _dep(dep: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": str(dep["key"]), "recipe": str(dep["recipe"]["name"]), "version": str(dep["head"]["version"]),
        "commit": str(dep["head"]["commit"]), "domain": str(dep["app"]["domain"]),
        "warm": bool(dep.get("warm")),
    }  # fmt: skip


def last_play(events: Sequence[Event]) -> list[Event]:
    """A plan can be played again into the same folder (plain ansible-playbook); the last play is what counts."""
    known = [event for event in events if isinstance(event.get("type"), str)]
    starts = [index for index, event in enumerate(known) if judge.starts_life(event)]
    return known[starts[-1] :] if len(starts) > 1 else known


def reproduce(plan: dict[str, Any], tier: str | None) -> str:
    """The command that does just this again, for a shell. Secrets must be hidden in the plan: quotes tear them."""
    import shlex

    head, run = plan.get("head") or {}, plan["run"]
    words = ["ccci", "play", str(plan["recipe"]["name"])]
    if head.get("pr") is not None:
        words += ["--pr", str(head["pr"])]
    elif head.get("kind") == "version":
        words += ["--version", str(head.get("version"))]
    elif head.get("kind") == "ref":
        words += ["--ref", str(head.get("commit"))]
    if run.get("inventory") and not str(run["inventory"]).rstrip("/").endswith("inventory/local"):
        words += ["-i", str(run["inventory"])]
    if run.get("source"):
        words += ["--source", str(run["source"])]
    if run.get("from"):
        words += ["--from", str(run["from"])]
    for key, value in (run.get("set") or {}).items():
        words += ["--set", f"{key}={value}"]
    if run.get("cold"):
        words.append("--cold")
    tags = [tier] if tier in (*CHOOSABLE, "prepare") else [tag for tag in run.get("tags", []) if tag != "all"]
    if tags:
        words += ["--tags", ",".join(str(tag) for tag in tags)]
    return shlex.join(words)


def _wanted(plan: dict[str, Any], stream: Sequence[Event]) -> tuple[str, ...]:
    """The tiers whose verdict is wanted: the plan's, narrowed by `--tags` of a plain ansible-playbook.

    Tags that leave nothing of what the plan was made for narrow nothing: then its ids are missing, not forgotten.
    """
    planned = requested(list(plan["run"].get("tags") or ["all"]))
    starts = [event for event in stream if judge.starts_life(event)]
    if not starts or not isinstance(starts[-1].get("tags"), list):
        return planned
    played = requested([str(tag) for tag in starts[-1]["tags"]])
    both = tuple(tier for tier in planned if tier in played)
    nothing_left = not any(tier in CHOOSABLE for tier in both) and any(tier in CHOOSABLE for tier in planned)
    return planned if nothing_left else both


def _due(plan: dict[str, Any], wanted: Sequence[str]) -> list[dict[str, Any]]:
    """The plan's ids; when the play was narrowed, those of what is left and of what that needs."""
    expected = list(plan["expected"])
    if tuple(wanted) == requested(list(plan["run"].get("tags") or ["all"])):
        return expected
    return [item for item in expected if {item["tier"], *needed_for(str(item["id"]))} & set(wanted)]


def _shown(name: str, judged: Sequence[Assertion], plan: dict[str, Any], wanted: Sequence[str]) -> bool:
    return any(item.tier == name for item in judged) or (name in wanted and _not_planned(plan, name) is not None)


def _tier(
    name: str, judged: Sequence[Assertion], plan: dict[str, Any], stream: Sequence[Event], wanted: Sequence[str]
) -> Tier:
    assertions = tuple(item for item in judged if item.tier == name)
    bad = worst(assertions)
    if bad is None or bad.outcome in (PASS, SKIP):
        some_pass = any(item.outcome == PASS for item in assertions)
        verdict = PASS if some_pass else SKIP
        reason = None if some_pass else (_not_planned(plan, name) or (bad.cause if bad else None))
        return Tier(name, verdict, timing.tier_seconds(stream, name), reason, None, name not in wanted, assertions)
    cause = bad.cause if bad.outcome == NOT_REACHED else f"{bad.id}: {bad.cause}"
    seconds = timing.tier_seconds(stream, name)
    return Tier(name, bad.outcome, seconds, cause, bad.failure_id, name not in wanted, assertions)


def _verdict(tiers: Sequence[Tier], wanted: Sequence[str], left_behind: bool, interrupted: bool) -> str:
    if interrupted:
        return INTERRUPTED
    found = {tier.verdict for tier in tiers}
    if found - {PASS, FAIL, SKIP} - {NOT_REACHED}:
        return ERROR
    if FAIL in found:
        return FAIL
    # Nothing red must not mean nothing seen: something planned that was asked for has to have passed.
    asked = [tier for tier in tiers if tier.tier in wanted and tier.tier in CHOOSABLE]
    judged = asked if any(tier in CHOOSABLE for tier in wanted) else [tier for tier in tiers if tier.tier in wanted]
    if found - {PASS, SKIP} or left_behind or not any(_shows_something(tier) for tier in judged):
        return ERROR
    return PASS


def _shows_something(tier: Tier) -> bool:
    return any(item.planned and item.outcome == PASS for item in tier.assertions)


def _exit_code(verdict: str, tiers: Sequence[Tier], left_behind: bool) -> int:
    removed = [item for tier in tiers for item in tier.assertions if item.id == REMOVED]
    if left_behind or any(item.outcome == FAIL for item in removed):
        return errors.LEFT_BEHIND
    return {PASS: errors.PASS, FAIL: errors.RECIPE_FAILED, INTERRUPTED: errors.INTERRUPTED}.get(
        verdict, errors.INFRASTRUCTURE
    )


def _culprit(tiers: Sequence[Tier], verdict: str) -> Tier | None:
    """The tier to name in one sentence: the first that is as bad as the whole run, before any that was not reached. One
    that says that Docker was restarted comes before all that this may have broken, unless they say it themselves."""
    red = [tier for tier in tiers if tier.verdict not in (PASS, SKIP)]
    same = [tier for tier in red if tier.verdict in (verdict, MISSING if verdict == ERROR else verdict)]
    restarted = [tier for tier in same if any(item.id == ENGINE and item.outcome == ERROR for item in tier.assertions)]
    first = next(iter(same or red), None)
    return restarted[0] if restarted and first and first.failure_id != restarted[0].failure_id else first


def _no_culprit(verdict: str, left_behind: Sequence[Any]) -> str | None:
    if verdict == PASS:
        return None
    return "the teardown left something behind" if left_behind else "nothing that was asked for was judged"


def _not_planned(plan: dict[str, Any], tier: str) -> str | None:
    return next((str(item["reason"]) for item in plan.get("not_planned") or () if item["tier"] == tier), None)


def _coverage_gaps(plan: dict[str, Any], tiers: Sequence[Tier], wanted: Sequence[str]) -> list[str]:
    gaps = [f"{item['tier']} is not judged: {item['reason']}" for item in plan.get("not_planned") or ()]
    own = [item for tier in tiers if tier.tier == "custom" for item in tier.assertions if item.planned]
    if "custom" in wanted and all(item.outcome == SKIP for item in own):
        gaps.append("no functional test ran: nothing shows that the app does what it is for")
    marker = plan.get("marker") or {}
    if marker.get("kind") == "none":
        gaps.append(f"no marker, so nothing shows that data survives: {marker.get('reason', 'no reason given')}")
    if "custom" in wanted:
        proved = {str((plan.get("login") or {}).get("through"))}
        proved |= {str(key) for test in plan.get("tests") or () for key in test.get("needs") or ()}
        mine = [str(dep["key"]) for dep in plan.get("deps") or () if dep.get("parent", "app") == "app"]
        gaps += [f"no test and no login needs the dep {key}, so nothing shows that it is used" for key in mine
                 if key not in proved]  # fmt: skip
    gaps += [f"not run: untrusted: {test}" for test in plan.get("untrusted_tests") or ()]
    return gaps


def _run(plan: dict[str, Any], stream: Sequence[Event], wanted: Sequence[str]) -> dict[str, Any]:
    moments = [moment for event in stream if (moment := timing.number(event.get("at"))) is not None]
    starts = [event for event in stream if judge.starts_life(event)]
    run = plan["run"]
    return {
        "id": run["id"],
        "dir": str(run["dir"]) if run.get("dir") else None,
        "started": min(moments) if moments else None,
        "ended": max(moments) if moments else None,
        "node": starts[-1].get("node") if starts else run.get("node"),
        "tags": list(run.get("tags") or ["all"]),
        "judged_tiers": list(wanted),
        "keep": run.get("keep", "never"),
        "domain": (plan.get("app") or {}).get("domain"),
    }


def _artefacts(stream: Sequence[Event]) -> tuple[Event, ...]:
    by_path = {str(event.get("path")): _without_type(event) for event in stream if event["type"] == "artefact"}
    return tuple(by_path.values())


def _without_type(event: Event) -> Event:
    return {key: value for key, value in event.items() if key != "type"}
