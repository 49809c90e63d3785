"""The data that must survive: a paused monitor, which watches nothing, named and described by the value."""

from typing import Any

from uptime_kuma_client import owner


def seed(app: Any, value: str) -> None:
    with owner(app) as kuma:
        kuma.add_monitor(name=f"marker {value}", description=value, url="http://127.0.0.1:9/", active=False)


def check(app: Any, value: str) -> bool:
    with owner(app) as kuma:
        return any((one["name"], one["description"]) == (f"marker {value}", value) for one in kuma.monitors())


def destroy(app: Any, value: str) -> None:
    with owner(app) as kuma:
        for one in kuma.monitors():
            if one["description"] == value:
                kuma.delete_monitor(one["id"])
