"""The result as one self-contained page: no script, nothing is loaded, everything that is not ours is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ccci.report import clean, pages, timeline, words

LOG_LIMIT = 200_000  # characters of each log; its end is kept, the file has the rest
_SHOWN_ELSEWHERE = ("images", "backup_survey", "stale", "deploys", "pulled")


def render(result: dict[str, Any], events: Sequence[dict[str, Any]], run_dir: Path) -> str:
    """`result` is result.json's data. Files that are listed but gone are left out."""
    environment = pages.environment()
    environment.filters |= {"thing": _thing, "size": words.size, "memory": words.memory, "image": _image}
    environment.globals |= {"explain": words.explain, "difference": words.difference, "remark": words.remark}
    return environment.get_template("report.html.j2").render(
        result=result,
        times=sorted(result["service_times"], key=lambda one: str(one["service"])),
        chart=(chart := timeline.chart(clean.plain_data(list(events)))),
        kinds=_legend(chart),
        red=[item for tier in result["tiers"] for item in tier["assertions"] if item["outcome"] in words.RED],
        pictures=_pictures(result, run_dir),
        logs=_logs(result, run_dir),
        images=_images(result["facts"]),
        survey=_lines(result["facts"].get("backup_survey")),
        facts={name: _fact(value) for name, value in result["facts"].items() if _last(name) not in _SHOWN_ELSEWHERE},
    )


def _legend(chart: timeline.Chart | None) -> list[tuple[str, str]]:
    """What the colours mean that the drawing really has."""
    there = {bar.kind for row in chart.rows for bar in row.bars} if chart else set()
    return [(kind, meaning) for kind, meaning in timeline.KINDS.items() if kind in there]


def _pictures(result: dict[str, Any], run_dir: Path) -> list[dict[str, str]]:
    found = []
    for artefact in result["artefacts"]:
        path = pages.inside(run_dir, artefact["path"])
        uri = pages.picture(path) if path else None
        if uri:
            title = str(artefact.get("title") or artefact["path"])
            found.append({"title": title, "tier": str(artefact.get("tier") or ""), "uri": uri})
    return found


def _logs(result: dict[str, Any], run_dir: Path) -> list[dict[str, Any]]:
    found = []
    for artefact in result["artefacts"]:
        path = pages.inside(run_dir, artefact["path"])
        if artefact.get("kind") != "log" or path is None:
            continue
        text = clean.plain(path.read_text(encoding="utf-8", errors="replace"))
        shown = text[-LOG_LIMIT:]
        lines = shown.count("\n") + 1 if shown.strip() else 0
        whole = len(text) <= LOG_LIMIT
        found.append({"name": path.stem, "path": artefact["path"], "text": shown, "lines": lines, "whole": whole})
    return found


def _images(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """`(side, image)`, with the sides as the fact has them: base and head; of a dep with its key: `sso head`."""
    pairs = []
    for name, fact in facts.items():
        if _last(name) == "images" and isinstance(fact, dict):
            dep = name.rpartition(".")[0]
            sides = {f"{dep} {side}".strip(): images for side, images in fact.items() if isinstance(images, list)}
            pairs += [(side, str(image)) for side, images in sides.items() for image in images]
    return list(dict.fromkeys(pairs))


def _last(name: str) -> str:
    """A fact's name without the dep that it is about."""
    return name.rpartition(".")[2]


def _image(name: str) -> str:
    """With no more of a digest than tells it from others."""
    name, at, digest = name.partition("@sha256:")
    return f"{name}{at}{digest[:12]}…" if at else name


def _lines(fact: Any) -> list[str]:
    return [str(line) for line in fact] if isinstance(fact, list) else []


def _fact(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{key}: {_short(item)}" for key, item in value.items()]
    if isinstance(value, list):
        return [_short(item) for item in value]
    return [_short(value)]


def _short(value: Any) -> str:
    import json

    return clean.one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 300)


def _thing(thing: Any) -> str:
    return f"{thing.get('kind', 'object')} {thing.get('name', '')}" if isinstance(thing, dict) else str(thing)
