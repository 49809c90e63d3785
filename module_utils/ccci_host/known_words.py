"""Words that the engine and programs are known to write when something is wrong, and what they mean. Pure.

Each is the source of a failure id; what a death or a refused task comes to is decided in `diagnose.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from . import full_disk
from .answer import short


@dataclass(frozen=True)
class Finding:
    failure_id: str
    service: str
    sentence: str
    evidence: str
    hint: str = ""
    outcome: str = "fail"
    certain: bool = True


@dataclass(frozen=True)
class Pattern:
    """Words of the engine or of a program, and what they mean. `{0}` in the sentence is the first group."""

    words: re.Pattern[str]
    failure_id: str
    sentence: str
    hint: str
    outcome: str = "fail"


def _pattern(words: str, failure_id: str, sentence: str, hint: str, outcome: str = "fail") -> Pattern:
    return Pattern(re.compile(words, re.IGNORECASE | re.MULTILINE), failure_id, sentence, hint, outcome)


# What swarm writes into the `Err` of a task.
TASK_ERRORS = (
    _pattern("(toomanyrequests|rate limit)", "rate-limit", "the registry answered {0}",
             "wait, or give the node credentials for the registry", "error"),
    _pattern("(no space left on device)", "disk-full", "the node's disk is full", "make room on the node", "error"),
    _pattern(r"no such image:? *(\S*)|manifest unknown|pull access denied|repository does not exist", "missing-image",
             "its image {0} is not on the node and cannot be pulled", "check its name and tag"),
    _pattern(r"bind source path does not exist: (/etc/(?:timezone|localtime))", "missing-bind-source",
             "the node has no {0}", "bootstrap the node again", "error"),
    _pattern(r"bind source path does not exist: (\S+)", "missing-bind-source", "it mounts {0}, which the node lacks",
             "a recipe should mount volumes, not paths of the host"),
    _pattern("port is already allocated|address already in use|host-mode port already in use", "port-taken",
             "a port that it publishes is already in use", "see what holds it: docker service ls, ss -ltnp", "error"),
    _pattern(r"insufficient resources", "unschedulable", "it reserves more than the node has free",
             "free resources on the node, or reserve less", "error"),
    _pattern(r"((?:secret|config|network|volume) \S*).*(?:not found|does not exist)", "missing-reference",
             "its {0} does not exist", "declare it in the compose file, or create it before the deploy"),
    _pattern(r"constraints not satisfied|unsupported platform|no suitable node", "unschedulable",
             "no node fits its placement", "look at deploy.placement.constraints"),
    _pattern(r'exec: "?([^":]+)"?.*(?:not found|no such file|permission denied)', "start-failed",
             "its command {0} cannot be executed in this image", "check `command` and `entrypoint` against the image"),
)  # fmt: skip
# Refusals that a task which is still on its way out can cause: once is no proof.
PASSING = re.compile(r"port is already allocated|address already in use|network \S* ?not found", re.IGNORECASE)
NO_SPACE = Pattern(full_disk.SAID, full_disk.ID, "no space is left: {0}", full_disk.UNKNOWN_HINT)
# What databases write that find the data of a first start which was broken off: no later start can use it.
HALF_MADE = _pattern(
    r"(redo log[^\n]* corrupt\w*|Missing MLOG_CHECKPOINT|could not locate a valid checkpoint record"
    r"|Table 'mysql\.\w+' doesn't exist|Can't open and lock privilege tables)",
    "db-killed-in-init", "the database was killed during its first initialisation: {0}",
    "this data cannot be repaired: keep the first start from being killed (a longer start_period), then deploy anew",
)  # fmt: skip
# The same words have other reasons too: they mean this only if a kill during a boot was seen.
MAYBE_HALF_MADE = _pattern(
    r"(MigrationsAreLocked\w*|waiting for change ?log lock|could not acquire change log lock|migration lock"
    r"|(?:role|database) \S+ does not exist|Unknown database \S+|Access denied for user)",
    "db-killed-in-init", "the database was killed during its first initialisation: {0}", HALF_MADE.hint,
)  # fmt: skip
# It begins at the beginning of a word: at any letter, a log of that name alone would keep the expression busy.
ACME = _pattern(
    r"((?<!\S)\S*acme\.json[^\n]*(?:no such file|not found|not exist|missing|cannot|empty|wait)\w*"
    r"|wait[^\n]*acme\.json)",
    "acme-missing", "it wants the file of an ACME client: {0}",
    "this node's certificate is a file: choose another way of TLS for tests, with env or compose_files in recipe.yml",
)  # fmt: skip
# Not where it is what the program itself answered: a line of its access log.
QUOTA = _pattern(
    r"^(?![^\n]*(?:\"[A-Z]+ /\S* HTTP/[\d.]+\" \d{3}\b|\bCompleted \d{3} ))[^\n]*?"
    r"(toomanyrequests|429 Too Many Requests)", "shared-quota", "its own download was refused: {0}",
    "the node's address has used up a quota: wait, or keep the download in a volume", "error",
)  # fmt: skip
# What programs write into their logs before they die. They refine a finding, they never make one.
LOG_WORDS = (NO_SPACE, QUOTA, HALF_MADE, ACME)


def of_words(patterns: Sequence[Pattern], text: str, service: str, evidence: str) -> Finding | None:
    for pattern in patterns:
        match = pattern.words.search(text)
        if match:
            group = (match[1] if match.lastindex else "") or ""
            sentence = pattern.sentence.format(short(group, 200)).replace("  ", " ")
            return Finding(
                pattern.failure_id, service, f"{service}: {sentence}", evidence, pattern.hint, pattern.outcome
            )
    return None
