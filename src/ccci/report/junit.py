"""The result as junit.xml: a suite per tier, a case per id; cause, log tail and artefact paths in each failure."""

# junitparser has no types.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

from typing import Any

from ccci.report import words

LOG_LINES = 20


def render(result: dict[str, Any]) -> str:
    """`result` is result.json's data, cleaned of control characters (XML forbids most of them)."""
    from junitparser import JUnitXml, TestSuite

    document = JUnitXml(f"ccci {result['recipe']}")
    for tier in result["tiers"]:
        suite = TestSuite(tier["tier"])
        for item in tier["assertions"]:
            suite.add_testcase(_case(item, tier, result))
        if not tier["assertions"]:
            suite.add_testcase(_not_judged(tier, result))
        document.add_testsuite(suite)
    totals = {"verdict": result["verdict"], "run": result["run"]["id"], "ref": result["ref"].get("commit")}
    for suite in document:
        for name, value in totals.items():
            suite.add_property(name, str(value))
    document.update_statistics()
    return str(document.tostring().decode("utf-8"))


def _case(item: dict[str, Any], tier: dict[str, Any], result: dict[str, Any]) -> Any:
    from junitparser import Error, Failure, Skipped, TestCase

    group = f"{tier['tier']}.{item['dep']}" if item["dep"] else tier["tier"]
    case = TestCase(item["id"], classname=f"{result['recipe']}.{group}", time=item["seconds"])
    kinds = {"fail": Failure, "error": Error, "missing": Error, "not reached": Skipped, "skip": Skipped}
    kind = kinds.get(item["outcome"])
    if kind is not None:
        outcome = kind(item["cause"] or item["outcome"], item["failure_id"] or item["outcome"])
        if kind is not Skipped:
            outcome.text = _details(item, result)
        case.result = [outcome]
    return case


def _not_judged(tier: dict[str, Any], result: dict[str, Any]) -> Any:
    from junitparser import Skipped, TestCase

    case = TestCase(f"{tier['tier']}.not_planned", classname=f"{result['recipe']}.{tier['tier']}", time=0)
    case.result = [Skipped(tier["cause"] or "not planned", "skip")]
    return case


def _details(item: dict[str, Any], result: dict[str, Any]) -> str:
    lines = [item["title"], f"cause: {item['cause']}"]
    lines += words.difference(item["expected"], item["observed"])
    if item["hint"]:
        lines.append(f"hint: {item['hint']}")
    more = words.explain(item["failure_id"])
    if more:
        lines.append(f"more: {more}")
    tail = words.last_lines(item["evidence"], LOG_LINES)
    lines += ["", *tail] if tail else []
    files = [artefact["path"] for artefact in related(item, result)]
    lines += ["", f"reproduce: {result['reproduce']}", f"files: {', '.join(files) or 'none'}"]
    return "\n".join(lines)


def related(item: dict[str, Any], result: dict[str, Any]) -> list[dict[str, Any]]:
    """The artefacts that help with an id: the service's log, or else all logs, and the tier's screenshots."""
    found = [artefact for artefact in result["artefacts"] if artefact.get("kind") in ("log", "screenshot", "file")]
    logs = [artefact for artefact in found if artefact.get("kind") == "log"]
    logs = [log for log in logs if item["service"] and log["path"].endswith(f"/{item['service']}.log")] or logs
    return [*logs, *(one for one in found if one.get("kind") != "log" and one.get("tier") in (item["tier"], None))]
