"""Overlays: one compose file over another, as the Docker CLI merges them, quirks included. Pure.

Both sides are in the long form that `compose_shape` makes. Quirks that recipes meet in production: lists are appended
(the test of a healthcheck too), `false`, `0` and empty values do not override except where noted, and ports are told
apart by their published port alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .compose_yaml import Map, Seq

# Values that Docker keeps as pointers: a 0 or false that is written down does override.
_ZERO_OVERRIDES = {"replicas", "retries", "parallelism", "max_attempts"}
_FLAT = {"networks", "ulimits", "environment", "labels", "sysctls", "options"}  # their items are replaced as a whole
_REPLACED = {"command", "entrypoint"}
_BY_KEY: dict[str, Callable[[Any], Any]] = {
    "ports": lambda port: port.get("published", 0),
    "volumes": lambda mount: mount.get("target"),
    "secrets": lambda grant: grant.get("source"),
    "configs": lambda grant: grant.get("source"),
}


def merge_files(base: Map, over: Map) -> Map:
    """Two whole files. Services are merged deeply; a volume, network, secret or config is replaced as a whole."""
    merged = _copy(base)
    for section, value in over.items():
        if section not in merged:
            merged.put(section, value, over.places[section])
        elif section == "services":
            merged.put(section, _merge_services(merged[section], value), merged.places[section])
        elif isinstance(value, Map):
            items = _copy(merged[section])
            for key, item in value.items():
                items.put(key, item, value.places[key])
            merged.put(section, items, merged.places[section])
    return merged


def _merge_services(base: Map, over: Map) -> Map:
    merged = _copy(base)
    for name, service in over.items():
        if name in merged:
            merged.put(name, _merge_service(merged[name], service), merged.places[name])
        else:
            merged.put(name, service, over.places[name])
    return merged


def _merge_service(base: Map, over: Map) -> Map:
    merged = _merge_maps(base, over, top=True)
    if "logging" in base and "logging" in over and base["logging"].get("driver") != over["logging"].get("driver", ""):
        merged.put("logging", over["logging"], over.places["logging"])
    return merged


def _merge_maps(base: Map, over: Map, *, top: bool = False) -> Map:
    merged = _copy(base)
    for key, value in over.items():
        place = over.places[key]
        if key not in merged:
            merged.put(key, value, place)
        elif top and key in _BY_KEY:
            merged.put(key, _merge_lists_by(_BY_KEY[key], merged[key], value), merged.places[key])
        elif key in _FLAT:
            merged.put(key, _replace_items(merged[key], value), merged.places[key])
        elif isinstance(value, Map) and isinstance(merged[key], Map):
            merged.put(key, _merge_maps(merged[key], value), merged.places[key])
        elif isinstance(value, list) and isinstance(merged[key], list) and not (top and key in _REPLACED):
            merged.put(key, _appended(merged[key], value), merged.places[key])
        elif value or (key in _ZERO_OVERRIDES and value is not None):
            merged.put(key, value, place)
    return merged


def _replace_items(base: Map, over: Map) -> Map:
    merged = _copy(base)
    for key, value in over.items():
        if isinstance(value, Map) and not value:
            merged.setdefault(key, value)  # `proxy:` alone says nothing new about the network
            merged.places.setdefault(key, over.places[key])
        else:
            merged.put(key, value, over.places[key])
    return merged


def _merge_lists_by(key_of: Callable[[Any], Any], base: Seq, over: Seq) -> Seq:
    items = {key_of(item): (item, place) for side in (base, over) for item, place in side.placed()}
    merged = Seq()
    for item, place in items.values():
        merged.put(item, place)
    return merged


def _appended(base: list[Any], over: list[Any]) -> Seq:
    merged = Seq()
    merged.extend([*base, *over])
    known = [*getattr(base, "places", []), *getattr(over, "places", [])]
    merged.places = known if len(known) == len(merged) else [("", 0)] * len(merged)
    return merged


def _copy(value: Map) -> Map:
    copied = Map()
    copied.update(value)
    copied.places.update(value.places)
    return copied
