"""The drawing of a run: where its bars are, and the page that shows them with what each service used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from life import START, fact, green, moment, plan, task

from ccci.report import clean, html, services, words
from ccci.report.result import compute
from ccci.report.timeline import LEFT, WIDTH, Chart, Row, chart, steps

HOSTILE = "<script>alert(1)</script>"


def wait(what: str, start: float, end: float) -> dict[str, Any]:
    return {"at": end, "type": "wait", "what": what, "start": start, "end": end}


def life() -> list[dict[str, Any]]:
    """100 s: a pull of 10, then an app that starts within 1 s, is healthy after 5 and ready after 9."""
    return [
        task("prepare", START + 20, "ok", start=START),
        moment("prepare", "registry.test/team/nginx:1", "pull", START + 5),
        moment("prepare", "registry.test/team/nginx:1", "pulled", START + 15),
        task("install", START + 100, "failed", start=START + 20),
        wait("docker", START + 20, START + 30),
        *[moment("install", "app", what, START + 20 + at)
          for what, at in (("created", 0), ("started", 1), ("healthy", 5), ("ready", 9))],
    ]  # fmt: skip


def row(found: Chart, name: str) -> Row:
    return next(row for row in found.rows if row.name == name)


def test_bars_are_where_the_time_was() -> None:
    found = chart(life())
    assert found is not None
    second = (WIDTH - LEFT) / 100
    (pull,) = row(found, "nginx:1").bars
    assert (pull.kind, round((pull.x - LEFT) / second), round(pull.width / second)) == ("pull", 5, 10)
    bars = [(bar.kind, round((bar.x - LEFT) / second), round(bar.width / second)) for bar in row(found, "app").bars]
    assert bars == [("start", 20, 1), ("boot", 21, 4), ("ready", 25, 4)]
    assert [bar.kind for bar in row(found, "install").bars] == ["failed"]
    assert row(found, "↳ docker").bars[0].title == "waiting for docker · 10 s"
    heights = [one.y for one in found.rows]
    assert heights == sorted(set(heights))
    assert heights[-1] < found.height


def test_no_bar_leaves_the_drawing() -> None:
    outside = [moment("teardown", "late", what, START + at) for what, at in (("created", 500), ("started", 900))]
    found = chart([*life(), *outside])
    assert found is not None
    assert all(bar.x >= LEFT and bar.x + bar.width <= WIDTH for one in found.rows for bar in one.bars)


def test_a_service_that_did_not_come_up_has_the_steps_that_it_took() -> None:
    (times,) = services.times([moment("install", "app", "created", START), moment("install", "app", "started", START)])
    assert [kind for *_, kind in steps(times)] == ["start"]


@pytest.mark.parametrize("stream", [[], [{"type": "task"}], [task("install", START, "ok", start=START)]])
def test_nothing_is_drawn_of_no_time(stream: list[dict[str, Any]]) -> None:
    assert chart(stream) is None


def test_the_page_shows_what_each_service_took_and_used(tmp_path: Path) -> None:
    used = {"memory_peak": 60 << 20, "memory_limit": 64 << 20, "disk": 58_200_000, "died": ["t1", "t2"]}
    free = {"memory_peak": None, "memory_limit": None, "disk": None, "died": []}
    pulled = {"each": {"registry.test/team/nginx:1": {"bytes": 21_300_000, "size": 67_000_000, "seconds": 9.5}}}
    stream = [
        *green(plan()), *life()[1:],
        fact("teardown", "resources", {"app": used, HOSTILE: free}), fact("prepare", "pulled", pulled),
        moment("install", HOSTILE, "created", START), moment("install", HOSTILE, "running", START + 1),
    ]  # fmt: skip
    data = clean.plain_data(compute(plan(), stream).to_json())
    page = html.render(data, stream, tmp_path)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    used_and_taken = ("60 MiB", "94 % of 64 MiB", "58 MB", "unknown", "no limit", "created → ready", "9.0 s")
    for part in (*used_and_taken, "21 MB", "67 MB", "pulling an image"):
        assert part in text, part
    assert "<script" not in page
    assert "created → ready" not in html.render({**data, "service_times": []}, [], tmp_path)


def test_amounts() -> None:
    assert [words.size(value) for value in (None, 0, 41_000, 999_000, 3_240_000, 58_200_000, 1.71e9)] == [
        "unknown", "0 kB", "41 kB", "999 kB", "3.2 MB", "58 MB", "1.7 GB",
    ]  # fmt: skip
    assert [words.memory(value) for value in (5 << 10, 64 << 20, 1 << 30)] == ["5.0 KiB", "64 MiB", "1.0 GiB"]
