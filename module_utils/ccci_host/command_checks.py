"""Checks of a recipe's own tests that run a command inside a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .answer import cut
from .docker import Client, DockerError, ExecResult, LimitReached, NoContainer, running_container, service_name
from .docker_errors import TooMuch
from .swarm_checks import Judged, unknown_service

DEFAULT_LIMIT = 60
GONE = (404, 409)  # Docker's statuses for a container that was removed, or ended, since it was looked up
SHOWN = 1000  # characters of an output in expected/observed; the evidence holds more


def run(client: Client, stack: str, check: Mapping[str, Any]) -> tuple[Judged, str]:
    """Runs one check `{id, service, argv, stdin, user, limit, rc, stdout_contains, stdout_equals}`: its result, and the
    evidence."""
    id, service, limit = check["id"], check["service"], float(check.get("limit") or DEFAULT_LIMIT)
    shown = " ".join(check["argv"])
    names = [service_name(one, stack) for one in client.services(stack)]
    if service not in names:
        return unknown_service(id, service, names), ""
    try:
        container = running_container(client, stack, service)
        stdin = check["stdin"].encode() if check.get("stdin") else None
        result = client.exec(
            container["Id"], list(check["argv"]), stdin=stdin, user=check.get("user") or "", limit=limit
        )
    except NoContainer as error:
        return Judged(id, "fail", f"{service} runs", str(error), service=service), ""
    except TooMuch as error:
        return Judged(id, "fail", f"`{shown}` ends with a readable output", str(error), service=service), ""
    except LimitReached as error:
        told = f"`{shown}` was still running in {service} after {limit:.0f} s"
        return Judged(id, "fail", f"`{shown}` ends within {limit:.0f} s", told, "interactive-hang", service), str(error)
    except DockerError as error:
        if error.status not in GONE:
            raise
        told = f"the container of {service} went away: {error.message}"
        return Judged(id, "fail", f"{service} runs", told, service=service), ""
    return judge(check, result), evidence(shown, result)


def judge(check: Mapping[str, Any], result: ExecResult) -> Judged:
    """What came back against what the check names; the return code is 0 unless it says otherwise. Pure."""
    stdout = result.stdout.decode("utf-8", "replace")
    expected_rc = 0 if check.get("rc") is None else int(check["rc"])
    expected, observed = [f"rc {expected_rc}"], [f"rc {result.rc}"]
    ok = result.rc == expected_rc
    if check.get("stdout_contains") is not None:
        ok = ok and check["stdout_contains"] in stdout
        expected.append(f"stdout contains {check['stdout_contains']!r}")
    if check.get("stdout_equals") is not None:
        # Programs end their last line; authors of tests rarely write that down.
        ok = ok and stdout.rstrip("\n") == check["stdout_equals"].rstrip("\n")
        expected.append(f"stdout is {check['stdout_equals']!r}")
    if len(expected) > 1 or not ok:
        observed.append(f"stdout {stdout[:SHOWN]!r}")
    if not ok and result.stderr:
        observed.append(f"stderr {cut(result.stderr.decode('utf-8', 'replace'), SHOWN)!r}")
    wanted = f"`{' '.join(check['argv'])}` in {check['service']}: {', '.join(expected)}"
    return Judged(check["id"], "pass" if ok else "fail", wanted, ", ".join(observed), service=check["service"])


def evidence(shown: str, result: ExecResult) -> str:
    parts = [f"$ {shown}", result.stdout.decode("utf-8", "replace"), result.stderr.decode("utf-8", "replace")]
    return "\n".join(part.rstrip() for part in [*parts, f"rc {result.rc}"] if part.strip())
