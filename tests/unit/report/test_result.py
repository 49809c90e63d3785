"""The verdict: what must never be green, and what a red run says."""

from __future__ import annotations

import copy
import json
import random
import shlex
from pathlib import Path
from typing import Any

import pytest
from life import START, TESTS, green, plan, result, stopped_at, task

from ccci.report import write
from ccci.report.result import compute

PLANS = [plan(), plan(("restore",)), plan(("upgrade",)), plan(("custom",)), plan(("prepare",)), plan(marker=False)]


def outcome_of(computed: Any, name: str) -> Any:
    return next(item for tier in computed.tiers for item in tier.assertions if item.id == name)


def tier_of(computed: Any, name: str) -> Any:
    return next(tier for tier in computed.tiers if tier.tier == name)


@pytest.mark.parametrize("one", PLANS)
def test_everything_passed_is_a_pass(one: dict[str, Any]) -> None:
    computed = compute(one, green(one))
    assert (computed.verdict, computed.exit_code, computed.cause) == ("pass", 0, None)
    assert not [item for tier in computed.tiers for item in tier.assertions if item.outcome != "pass"]


@pytest.mark.parametrize("one", PLANS)
def test_no_expected_id_may_be_missing(one: dict[str, Any]) -> None:
    for item in one["expected"]:
        stream = green(one, lambda name, gone=item["id"]: name != gone)
        if item["id"] == "teardown.no_secret_leak":
            stream = [event for event in stream if event["type"] != "leaks"]
        computed = compute(one, stream)
        assert (computed.verdict, computed.exit_code) == ("error", 3), item
        assert outcome_of(computed, item["id"]).outcome == "missing"
        assert item["id"] in str(computed.cause)


@pytest.mark.parametrize("bad", ["fail", "error", "nonsense", None, 7, "PASS"])
def test_no_bad_result_may_be_green(bad: Any) -> None:
    one = plan()
    for position, event in enumerate(green(one)):
        if event["type"] == "result":
            stream = copy.deepcopy(green(one))
            stream[position]["outcome"] = bad
            assert compute(one, stream).verdict != "pass", event
            # The worst of several results wins, whatever their order.
            for place in (position, position + 1):
                twice = [*green(one)[:place], {**event, "outcome": bad}, *green(one)[place:]]
                assert compute(one, twice).verdict != "pass", event


@pytest.mark.parametrize("seed", range(300))
def test_green_needs_every_result_of_a_shuffled_and_damaged_stream(seed: int) -> None:
    """Whatever is dropped, doubled, cut off or made bad: green only if every expected id still has only passes."""
    dice = random.Random(seed)
    one = dice.choice(PLANS)
    stream: list[dict[str, Any]] = []
    for event in green(one):
        luck = dice.random()
        if luck < 0.02:
            continue
        event = dict(event)
        if luck < 0.04 and event["type"] in ("result", "task"):
            event["outcome"] = dice.choice(["fail", "error", "skip", "failed", "unreachable", ""])
        stream += [event] * (2 if luck > 0.95 else 1)
    if dice.random() < 0.1:
        stream = stream[: dice.randrange(len(stream))]
    computed = compute(one, stream)
    given: dict[str, list[Any]] = {}
    for event in stream:
        if event["type"] == "result":
            given.setdefault(event["id"], []).append(event["outcome"])
        if event["type"] == "leaks":
            given.setdefault("teardown.no_secret_leak", []).append("pass")
    whole = all(set(given.get(item["id"], ["none"])) == {"pass"} for item in one["expected"])
    if computed.verdict == "pass":
        assert whole
        assert computed.exit_code == 0
    else:
        assert computed.exit_code in (1, 3, 4, 130)
        assert computed.cause
    if not whole:
        assert computed.exit_code != 0


@pytest.mark.parametrize(
    "stream", [[], [{"type": "play_start", "playbook": "play.yml", "at": 1.0}], [{"at": 3}, {"type": 5}]]
)
def test_empty_is_red(stream: list[dict[str, Any]]) -> None:
    computed = compute(plan(), stream)
    assert (computed.verdict, computed.exit_code) == ("error", 3)
    nothing = {**plan(), "expected": []}
    assert compute(nothing, stream).exit_code == 3
    assert compute(nothing, green(plan())).exit_code == 3


def test_a_play_that_did_not_start_says_so() -> None:
    assert "did not start" in str(compute(plan(), []).cause)


@pytest.mark.parametrize("tags", [("all",), ("restore",)])
def test_a_failed_operation_explains_what_comes_after_it_and_only_that(tags: tuple[str, ...]) -> None:
    one = plan(tags)
    order = [item["id"] for item in one["expected"]]
    for item in one["expected"]:
        if item["kind"] != "operation" or item["tier"] == "teardown":
            continue
        computed = compute(one, stopped_at(one, item["id"], observed="it broke", failure_id="crash-loop"))
        assert (computed.verdict, computed.exit_code) == ("fail", 1), item
        assert computed.failure_id == "crash-loop"
        assert computed.cause == f"{item['id']}: it broke"
        for other in order:
            expected = "pass"
            if not other.startswith("teardown.") and order.index(other) > order.index(item["id"]):
                expected = "not reached"
            if other != item["id"]:
                assert outcome_of(computed, other).outcome == expected, (item, other)


def test_an_end_does_not_explain_what_should_have_come_before_it() -> None:
    one = plan()
    stream = [event for event in stopped_at(one, "upgrade.deploy") if event.get("id") != "install.health"]
    computed = compute(one, stream)
    assert outcome_of(computed, "install.health").outcome == "missing"
    assert computed.exit_code == 3


def test_what_broke_a_module_explains_what_it_could_not_say_any_more_of_its_tier() -> None:
    """Docker died while the backup was made: the marker, which that module looks at first, was not looked at either."""
    one = plan()
    told = {"observed": "Docker does not answer", "failure_id": "docker-down"}
    for outcome, marker in (("error", "not reached"), ("fail", "missing")):
        stream = stopped_at(one, "backup.snapshot", outcome, **told)
        stream = [event for event in stream if event.get("id") not in ("backup.marker_present", "backup.survey")]
        computed = compute(one, stream)
        assert computed.exit_code == 3
        assert outcome_of(computed, "backup.marker_present").outcome == marker
        if outcome == "error":
            assert computed.cause == "backup.snapshot: Docker does not answer"
            assert computed.failure_id == "docker-down"


@pytest.mark.parametrize(
    ("failure_id", "cause"),
    [(None, "teardown.engine: Docker was restarted"), ("docker-down", "upgrade.marker_seeded: no container runs")],
)
def test_a_restart_of_docker_is_told_before_what_it_broke(failure_id: str | None, cause: str) -> None:
    one = plan()
    stream = stopped_at(one, "upgrade.marker_seeded", "error", observed="no container runs", failure_id=failure_id)
    place = next(index for index, event in enumerate(stream) if event.get("id") == "teardown.removed")
    told = {"observed": "Docker was restarted", "failure_id": "docker-down"}
    stream.insert(place, result("teardown.engine", "teardown", "error", stream[place]["at"], **told))
    computed = compute(one, stream)
    assert (computed.cause, computed.failure_id, computed.exit_code) == (cause, "docker-down", 3)


def test_an_error_of_an_operation_is_infrastructures() -> None:
    one = plan()
    computed = compute(one, stopped_at(one, "upgrade.deploy", "error", observed="the daemon is gone"))
    assert (computed.verdict, computed.exit_code) == ("error", 3)
    assert tier_of(computed, "upgrade").verdict == "error"
    assert tier_of(computed, "restore").cause == "not reached, because upgrade.deploy broke"


def test_a_failed_assertion_does_not_end_the_life() -> None:
    one = plan()
    stream = green(one)
    for event in stream:
        if event.get("id") == "install.health":
            event |= {"outcome": "fail", "expected": "status 200", "observed": "status 502"}
    computed = compute(one, stream)
    assert (computed.verdict, computed.exit_code, computed.cause) == ("fail", 1, "install.health: status 502")
    assert tier_of(computed, "upgrade").verdict == "pass"


@pytest.mark.parametrize("outcome", ["failed", "unreachable"])
def test_a_task_that_breaks_without_a_result_is_an_error_of_its_tier(outcome: str) -> None:
    one = plan()
    stream = [event for event in stopped_at(one, "backup.survey") if event.get("id") != "backup.survey"]
    place = next(index for index, event in enumerate(stream) if event.get("outcome") == "failed")
    stream[place] |= {"outcome": outcome, "msg": "MODULE FAILURE\nTraceback …"}
    computed = compute(one, stream)
    assert (computed.verdict, computed.exit_code) == ("error", 3)
    assert tier_of(computed, "backup").verdict == "error"
    assert "MODULE FAILURE" in str(computed.cause)
    assert outcome_of(computed, "restore.run").outcome == "not reached"


def test_a_task_without_a_tier_that_breaks_is_an_error_of_prepare() -> None:
    one = plan()
    start = green(one)[0]
    stream = [start, task(None, START + 1, "failed", "assert", msg="--skip-tags upgrade would …"), *green(one)[-5:]]
    computed = compute(one, stream)
    assert tier_of(computed, "prepare").verdict == "error"
    assert "--skip-tags" in str(computed.cause)


def test_a_broken_task_of_a_test_that_was_rescued_is_that_tests_failure_alone() -> None:
    one = plan()
    stream = green(one)
    place = next(index for index, event in enumerate(stream) if event.get("id") == TESTS[0])
    failed = task("custom", START + 500, "failed", "assert", msg="Assertion failed")
    stream[place : place + 1] = [failed, result(TESTS[0], "custom", "fail", START + 501, check="a step", observed="no")]
    computed = compute(one, stream)
    assert (computed.verdict, computed.exit_code) == ("fail", 1)
    assert [item.id for item in tier_of(computed, "custom").assertions if item.outcome != "pass"] == [TESTS[0]]


def test_the_verdict_task_that_fails_because_something_is_red_is_no_news() -> None:
    one = plan()
    stream = green(one)
    stream.insert(-1, task(None, START + 900, "failed", "ccci_verdict", msg="verdict fail\n  install: …"))
    assert compute(one, stream).verdict == "pass"
    stream.insert(-1, task(None, START + 900, "failed", "ccci_verdict", msg="KeyError: 'x'"))
    assert compute(one, stream).verdict == "error"


def test_skips_need_a_reason_and_are_shown() -> None:
    one = plan()
    for reason, verdict in (("no database here", "pass"), ("", "error"), (None, "error"), ("  ", "error")):
        stream = green(one)
        for event in stream:
            if event.get("id") == TESTS[1]:
                event |= {"outcome": "skip", "evidence": reason}
        assert compute(one, stream).verdict == verdict, reason


def test_only_skips_is_red() -> None:
    one = plan(("custom",))
    stream = green(one)
    for event in stream:
        if event["type"] == "result":
            event |= {"outcome": "skip", "evidence": "because"}
    assert compute(one, stream).verdict == "error"


@pytest.mark.parametrize("tags", [("custom",), ("all",)])
def test_tests_that_all_skip_are_never_a_green_that_shows_nothing(tags: tuple[str, ...]) -> None:
    one = plan(tags)
    stream = green(one)
    for event in stream:
        if event.get("id") in TESTS:
            event |= {"outcome": "skip", "evidence": "no browser here"}
    computed = compute(one, stream)
    # Asked for nothing else, this run shows nothing; a whole life shows much, and says what it does not show.
    assert computed.verdict == ("error" if tags == ("custom",) else "pass")
    assert tier_of(computed, "custom").verdict == "skip"
    assert [outcome_of(computed, name).cause for name in TESTS] == ["no browser here"] * 2
    assert any("no functional test ran" in gap for gap in computed.coverage_gaps)


def test_a_planned_test_that_left_nothing_is_a_stale_checkout() -> None:
    """Its file was there when the plan was made: the other test ran, and the play came to its end."""
    one = plan()
    computed = compute(one, green(one, lambda name: name != TESTS[0]))
    lost = outcome_of(computed, TESTS[0])
    assert (computed.verdict, computed.exit_code, computed.failure_id) == ("error", 3, "stale-checkout")
    assert (lost.outcome, lost.failure_id, lost.observed) == (
        "missing", "stale-checkout", "1 of the 2 planned tests ran",
    )  # fmt: skip
    assert computed.explain == "ccci explain stale-checkout"


@pytest.mark.parametrize("without", ["play_end", "custom"])
def test_a_play_that_was_cut_off_is_no_stale_checkout(without: str) -> None:
    one = plan()
    stream = green(one, lambda name: name not in TESTS)
    stream = [event for event in stream if event["type"] != without and event.get("tier") != without]
    lost = outcome_of(compute(one, stream), TESTS[0])
    assert (lost.outcome, lost.failure_id) == ("missing", None)


def test_unplanned_results_are_shown_and_count_when_they_are_bad() -> None:
    one = plan()
    for outcome, verdict, code in (("pass", "pass", 0), ("fail", "fail", 1), ("error", "error", 3)):
        stream = green(one)
        stream.insert(5, result("install.surprise", "install", outcome, observed="what?"))
        computed = compute(one, stream)
        assert (computed.verdict, computed.exit_code) == (verdict, code)
        assert not outcome_of(computed, "install.surprise").planned


@pytest.mark.parametrize("cut", [1, 3, 9, 20, 30])
def test_a_signal_means_interrupted_and_explains_the_rest(cut: int) -> None:
    one = plan()
    whole = green(one)
    tail = [event for event in whole if event.get("tier") == "teardown" or event["type"] in ("leaks", "fact")]
    stream = [*whole[:cut], {"at": START + 400, "type": "signal", "signal": "SIGINT"}, *tail]
    computed = compute(one, stream)
    assert (computed.verdict, computed.exit_code, computed.cause) == ("interrupted", 130, "interrupted by SIGINT")
    assert outcome_of(computed, "restore.run").cause == "not reached, because the run was interrupted by SIGINT"
    assert tier_of(computed, "teardown").verdict == "pass"
    assert compute(one, stream[: cut + 1]).exit_code == 130


def test_what_was_killed_explains_the_rest_and_is_an_error() -> None:
    one = plan()
    whole = green(one)
    middle = next(index for index, event in enumerate(whole) if event.get("tier") == "upgrade") + 1
    tail = [event for event in whole if event.get("tier") == "teardown" or event["type"] in ("leaks", "fact")]
    stream = [*whole[:middle], {"at": START + 400, "type": "died", "what": "ansible-playbook"}, *tail]
    computed = compute(one, stream)
    assert (computed.verdict, computed.exit_code) == ("error", 3)
    assert "ansible-playbook was killed in the middle of the play" in str(computed.cause)


def test_leftovers_beat_every_other_exit_code_and_hide_none() -> None:
    one = plan()
    left = {"at": START + 999, "type": "fact", "name": "left_behind", "value": [{"kind": "volume", "name": "x"}]}
    for stream, verdict in (
        (green(one), "error"),
        (stopped_at(one, "upgrade.converged"), "fail"),
        ([*green(one), {"at": START, "type": "signal", "signal": "SIGTERM"}], "interrupted"),
    ):
        computed = compute(one, [*stream, left])
        assert (computed.verdict, computed.exit_code) == (verdict, 4)
        assert computed.left_behind == ({"kind": "volume", "name": "x"},)
        assert computed.cause
    stream = green(one)
    for event in stream:
        if event.get("id") == "teardown.removed":
            event |= {"outcome": "fail", "observed": "volume x"}
    assert compute(one, stream).exit_code == 4


def test_foreign_changes_are_listed_and_decide_nothing() -> None:
    one = plan()
    foreign = {"at": START, "type": "fact", "name": "foreign", "value": [{"kind": "service", "name": "someone-elses"}]}
    computed = compute(one, [*green(one), foreign])
    assert computed.exit_code == 0
    assert computed.foreign[0]["name"] == "someone-elses"


def test_a_leak_is_red() -> None:
    one = plan()
    stream = [*green(one), {"at": START, "type": "leaks", "files": {"logs/app.log": ["db_password"]}}]
    computed = compute(one, stream)
    assert (computed.verdict, computed.exit_code) == ("error", 3)
    assert outcome_of(computed, "teardown.no_secret_leak").observed == "db_password in logs/app.log"


@pytest.mark.parametrize("made", [0, 2, {"stack": 2}, {"stack": 1, "other": 1}])
def test_the_number_of_deploys_must_be_what_is_due(made: Any) -> None:
    one = plan()
    computed = compute(one, [*green(one), {"at": START, "type": "fact", "name": "deploys", "value": made}])
    assert computed.verdict == "fail"
    count = outcome_of(computed, "teardown.deploy_count")
    more = made == 2 or (isinstance(made, dict) and sum(made.values()) == 2)
    assert (count.outcome, count.failure_id) == ("fail", "redeploy-flake" if more else None)
    assert count.observed == ("2 deploys" if more else "0 deploys")
    assert computed.failure_id == count.failure_id
    assert computed.deploys == {"due": 1, "made": 2 if more else 0}


def test_a_life_that_ended_before_its_deploy_is_not_blamed_for_not_deploying() -> None:
    one = plan()
    stream = stopped_at(one, "prepare.images_pulled", observed="manifest unknown", failure_id="missing-image")
    for event in stream:
        if event.get("id") == "teardown.deploy_count":
            event |= {"outcome": "fail", "observed": "0 deploys"}
    stream.append({"at": START, "type": "fact", "name": "deploys", "value": {}})
    computed = compute(one, stream)
    assert (computed.verdict, computed.exit_code, computed.failure_id) == ("fail", 1, "missing-image")
    assert outcome_of(computed, "teardown.deploy_count").outcome == "not reached"


def test_an_app_may_only_stay_where_somebody_asked_for_it() -> None:
    for keep, code in (("never", 3), ("always", 0)):
        one = plan(keep=keep)
        stream = green(one)
        for event in stream:
            if event.get("id") == "teardown.removed":
                event |= {"outcome": "skip", "evidence": "kept: https://cust-c12afe.ci.test"}
        assert compute(one, stream).exit_code == code


def test_a_test_without_any_result_is_missing_and_several_results_join() -> None:
    one = plan()
    stream = green(one)
    place = next(index for index, event in enumerate(stream) if event.get("id") == TESTS[0])
    stream[place : place + 1] = [
        result(TESTS[0], "custom", "pass", START + 1, check="written"),
        result(TESTS[0], "custom", "fail", START + 2, check="read back", expected="abc", observed="abd"),
    ]
    item = outcome_of(compute(one, stream), TESTS[0])
    assert (item.outcome, item.observed, [check.check for check in item.checks]) == (
        "fail",
        "abd",
        ["written", "read back"],
    )


def test_prerequisites_are_marked() -> None:
    one = plan(("restore",))
    computed = compute(one, green(one))
    assert {tier.tier: tier.prerequisite for tier in computed.tiers} == {
        "prepare": False, "install": True, "upgrade": True, "backup": True, "restore": False, "teardown": False,
    }  # fmt: skip


def test_a_plain_playbook_may_narrow_a_plan_but_not_to_nothing() -> None:
    whole, part = plan(), plan(("restore",))
    stream = green(part)
    computed = compute(whole, stream)
    assert computed.verdict == "pass"
    assert computed.run["judged_tiers"] == ["prepare", "restore", "teardown"]
    assert compute(whole, [event for event in stream if event.get("id") != "backup.snapshot"]).verdict == "error"
    stream[0]["tags"] = ["something-else"]
    assert compute(whole, stream).verdict == "error"
    assert compute(part, green(plan(("backup",)))).verdict == "error"


def test_the_last_play_into_a_folder_counts() -> None:
    one = plan()
    assert compute(one, [*stopped_at(one, "upgrade.deploy"), *green(one)]).verdict == "pass"
    assert compute(one, [*green(one), *stopped_at(one, "upgrade.deploy")]).verdict == "fail"


def test_coverage_gaps_are_said() -> None:
    one = {**plan(), "marker": {"kind": "none", "reason": "no volume"}, "untrusted_tests": [".ccci/tests/x.yml"]}
    one["not_planned"] = [{"tier": "custom", "reason": "the recipe has no tests of its own"}]
    one["expected"] = [item for item in one["expected"] if item["tier"] != "custom"]
    computed = compute(one, green(one))
    assert computed.verdict == "pass"
    assert tier_of(computed, "custom").verdict == "skip"
    assert len([gap for gap in computed.coverage_gaps if "custom" in gap or "marker" in gap or "untrusted" in gap]) == 3


def test_the_command_that_does_it_again() -> None:
    one = plan()
    computed = compute(one, stopped_at(one, "upgrade.converged"))
    assert computed.reproduce == "ccci play custom-html --pr 2 --tags upgrade"


def test_the_command_says_what_was_given_besides() -> None:
    one = plan()
    one["run"] |= {"source": "https://forge.test/x.git", "from": "1.0.0+1", "set": {"A": "$(id); it's", "B": ""}}
    words = compute(one, green(one)).reproduce
    assert words.startswith("ccci play custom-html --pr 2 --source https://forge.test/x.git --from 1.0.0+1 --set ")
    assert shlex.split(words)[-4:] == ["--set", "A=$(id); it's", "--set", "B="]


def test_a_given_value_that_is_a_secret_is_not_in_the_command(tmp_path: Path) -> None:
    secret = "it's a 'secret' word"
    one = plan()
    one["run"] |= {"set": {"PASSWORD": secret, "TITLE": "plain words"}}
    (tmp_path / "plan.json").write_text(json.dumps(one))
    (tmp_path / "secrets.json").write_text(json.dumps({"db_password": secret}))
    (tmp_path / "events.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in green(one)))
    found = shlex.split(write.write_all(tmp_path).reproduce)
    assert found[-4:] == ["--set", "PASSWORD=<secret db_password>", "--set", "TITLE=plain words"]


def with_stayed(stream: list[dict[str, Any]], **fields: Any) -> list[dict[str, Any]]:
    return [{**event, **fields} if event.get("id") == "teardown.stayed_up" else event for event in stream]


CRASHED = {"outcome": "fail", "failure_id": "crash-loop", "service": "worker", "observed": "worker ended 3 times"}


def test_a_service_that_did_not_stay_up_is_red() -> None:
    one = plan()
    computed = compute(one, with_stayed(green(one), **CRASHED))
    assert (computed.verdict, computed.exit_code, computed.failure_id) == ("fail", 1, "crash-loop")
    assert computed.cause == "teardown.stayed_up: worker ended 3 times"
    dep = compute(one, with_stayed(green(one), **{**CRASHED, "outcome": "error"}))
    assert (dep.verdict, dep.exit_code) == ("error", 3)


def test_a_run_in_which_nobody_looked_whether_services_stayed_up_is_not_green() -> None:
    one = plan()
    assert compute(one, [event for event in green(one) if event.get("id") != "teardown.stayed_up"]).verdict == "error"
    computed = compute(one, with_stayed(green(one), outcome="skip", evidence="nothing of it is there"))
    assert (computed.verdict, computed.exit_code) == ("error", 3)


@pytest.mark.parametrize("outcome", ["fail", "error", "skip", "pass"])
@pytest.mark.parametrize("name", ["install.deploy", "install.converged", "restore.run"])
def test_after_an_early_end_the_first_cause_stays(name: str, outcome: str) -> None:
    one = plan()
    stream = stopped_at(one, name, observed="it broke", failure_id="health-kill")
    told = {**CRASHED, "outcome": outcome, "evidence": "e"}
    computed = compute(one, with_stayed(stream, **told))
    assert (computed.verdict, computed.exit_code, computed.failure_id) == ("fail", 1, "health-kill")
    red = outcome in ("fail", "error")
    assert outcome_of(computed, "teardown.stayed_up").outcome == ("not reached" if red else outcome)


def test_an_assertion_that_failed_before_stays_the_cause() -> None:
    one = plan()
    stream = with_stayed(green(one), **CRASHED)
    stream = [
        {**event, "outcome": "fail", "observed": "500"} if event.get("id") == "install.health" else event
        for event in stream
    ]
    assert str(compute(one, stream).cause).startswith("install.health: 500")


def test_time_is_split_without_counting_anything_twice() -> None:
    one = plan()
    stream = green(one)
    first, last = stream[0]["at"], stream[-1]["at"]
    waits = [
        {"type": "wait", "at": last, "what": "docker", "start": first, "end": first + 10},
        {"type": "wait", "at": last, "what": "app", "start": first + 5, "end": first + 12},
        {"type": "wait", "at": last, "what": "app", "start": first - 100, "end": first + 1},
    ]
    time = compute(one, [*stream[:-1], *waits, stream[-1]]).time
    assert (time.wall, time.app, time.harness) == (last - first, 12.0, last - first - 12.0)
    assert time.by == {"app": 8.0, "docker": 10.0}
