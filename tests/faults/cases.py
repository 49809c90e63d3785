"""The fault suite as data: what is caused, and what has to be said about it. `make faults` plays all of it."""

from __future__ import annotations

import acts
import evidence as seen
import hands
from judge import RED, Around, Case, assertions
from playing import Played
from stage import Record, Stage

INSTALL, UPGRADE = acts.INSTALL, ("--tags", "upgrade")
BACKUP, RESTORE, CUSTOM = ("--tags", "backup"), ("--tags", "restore"), ("--tags", "custom")


def of_pr(number: int, *more: str) -> tuple[str, ...]:
    return ("--pr", str(number), *(more or INSTALL))


def deployed_once(stage: Stage, played: Played) -> list[str]:
    """Docker's own count: each service made once, and changed once more by the upgrade."""
    record, wrong = stage.record, []
    for action, most in (("create", 1), ("update", 1)):
        changes = [event for event in service_events(record, action) if "updatestate.new" not in attributes(event)]
        if len(changes) > most:
            wrong.append(f"{len(changes)} times {action} of the service")
    made = played.json["deploys"]
    return wrong + ([] if made == {"due": 1, "made": 1} else [f"deploys: {made}"])


def service_events(record: Record, action: str) -> list[dict[str, object]]:
    events = [event for event in record.docker if event["Type"] == "service" and event["Action"] == action]
    return [event for event in events if attributes(event)["name"] == f"{record.stack}_app"]


def attributes(event: dict[str, object]) -> dict[str, str]:
    return event["Actor"]["Attributes"]  # type: ignore[index, no-any-return]


def booted_in_peace(stage: Stage, played: Played) -> list[str]:
    """Nobody told the first container of `side` to stop before its 15 seconds of booting were over."""
    started = seen.first(seen.of_service(stage.record, "side", "start"))
    told = seen.first(seen.of_service(stage.record, "side", "kill"))
    if started is None or told is None:
        return ["side was never started, or never replaced"]
    return [f"side was told to stop {told - started:.1f} s after its start"] if told - started < 15 else []


def asked_again_in_time(stage: Stage, played: Played) -> list[str]:
    """Refused twice with the wish for two seconds, the registry was asked again after them, and then it gave."""
    times = {
        status: [line["at"] for line in stage.record.registry if line["status"] == status and line["path"] != "/v2/"]
        for status in (200, 429)
    }
    if not times[429] or not times[200]:
        return ["the registry never refused, or never gave"]
    pause = min(times[200]) - min(times[429])
    return [] if 2 <= pause < 10 else [f"asked again after {pause:.1f} s"]


PROVIDER, PROVIDES, PARENT = "custom-html/provides/sso.py", "custom-html/provides/sso.yml", "faultbox/recipe.yml"


def with_dep(*changes: tuple[str, str, str]) -> tuple[Around, ...]:
    return (hands.looked_before, hands.changed(*changes))


def nothing_left(stage: Stage, played: Played) -> list[str]:
    """Of the recipe and its dep, which both were there; the dep first, and each deployed once."""
    made, removed = services(stage.record, "create"), services(stage.record, "remove")
    own = [name.startswith(f"{stage.record.stack}_") for name in made]
    wrong = [] if own == [False, True] else [f"made were {made}, the recipe's own stack is {stage.record.stack}"]
    wrong += [] if sorted(made) == sorted(removed) else [f"made were {made}, removed {removed}"]
    wrong += [] if played.json["deploys"] == {"due": 2, "made": 2} else [f"deploys: {played.json['deploys']}"]
    return wrong + acts.leftovers(stage, stage.record.before)


def only_the_dep(stage: Stage, played: Played) -> list[str]:
    """The dep was deployed, its logs are kept, the recipe itself was never there, and nothing is left."""
    made, removed = services(stage.record, "create"), services(stage.record, "remove")
    wrong = [] if len(made) == 1 and made == removed else [f"made were {made}, removed {removed}"]
    wrong += [f"the recipe was deployed: {name}" for name in made if name.startswith(f"{stage.record.stack}_")]
    wrong += [] if played.json["deploys"] == {"due": 2, "made": 1} else [f"deploys: {played.json['deploys']}"]
    told = str(played.json["cause"])
    wrong += [] if told.startswith("install.sso.") else [f"the run's cause does not name the dep: {told[:100]}"]
    logs = sorted(path.name for path in (played.run_dir / "logs").glob("*.log") if path.stat().st_size)
    wrong += [] if "sso-app.log" in logs else [f"no logs of the dep among {logs}"]
    return wrong + acts.leftovers(stage, stage.record.before)


def nothing_deployed(stage: Stage, played: Played) -> list[str]:
    made = services(stage.record, "create")
    return ([f"deployed were {made}"] if made else []) + acts.leftovers(stage, stage.record.before)


def only_the_test(stage: Stage, played: Played) -> list[str]:
    """What was skipped makes the run red; of all else the verdict is its own."""
    red = [item["id"] for item in assertions(played) if item["outcome"] in RED]
    wrong = [] if len(red) == 1 else [f"red are {red}"]
    wrong += [] if "SSO UNVERIFIED" in played.json["cause"] else [f"the run's cause: {played.json['cause']}"]
    return wrong + nothing_left(stage, played)


def goes_on(stage: Stage, played: Played) -> list[str]:
    """A login that does not work is judged, and the life goes on."""
    later = [item for item in assertions(played) if item["tier"] == "custom" and item["outcome"] == "pass"]
    return ([] if later else ["no test ran after the login"]) + nothing_left(stage, played)


def services(record: Record, action: str) -> list[str]:
    """Names of services of which Docker told this, oldest first."""
    return [attributes(event)["name"] for event in record.docker
            if event["Type"] == "service" and event["Action"] == action]  # fmt: skip


CASES = [
    # What keeps a stack from converging.
    Case("crash-loop", "crash-loop", "An entrypoint that downloads a tarball and gives up", of_pr(2),
         exit=1, tier="install", service="app", says=r"exit code 1 .*404 for app\.tar\.gz",
         evidence=seen.exits("app", 2), smoke=True),
    Case("crash-loop-silent", "crash-loop", "An entrypoint that ends without a word", of_pr(3),
         exit=1, tier="install", service="app", says="exit code 1 .*no output", evidence=seen.exits("app", 2)),
    Case("crash-loop-late", "crash-loop", "A service that ends long after it had converged", CUSTOM, "late-crash",
         exit=1, tier="teardown", service="side", says="exit code 3 .*bad setting in the config"),
    Case("crash-loop-rollback", "crash-loop", "An update that swarm rolls back", of_pr(11, *UPGRADE),
         exit=1, tier="upgrade", service="app", says="exit code 3.*no licence was found",
         evidence=seen.update_state("app", "rollback")),
    Case("health-kill", "health-kill", "A migration that takes longer than start_period", of_pr(4),
         exit=1, tier="install", service="app", says="still booting.*start_period 4", evidence=seen.unhealthy("app"),
         smoke=True),
    Case("disk-full", "disk-full", "A database on a volume that is too small", of_pr(5),
         exit=1, tier="install", service="app", says=r"may be /data \(a mount with a size of its own\)",
         evidence=seen.exits("app")),
    Case("disk-full-ahead", "disk-full", "A recipe that needs more disk than the node has", INSTALL, "much-disk",
         exit=3, tier="prepare", says="GiB are free", evidence=seen.play_started),
    Case("oom", "oom", "An app that needs more memory than its limit", of_pr(6),
         exit=1, tier="install", service="app", says="memory", evidence=seen.oom("app")),
    Case("oom-host", "oom-host", "A recipe that needs more memory than the node has", INSTALL, "much-memory",
         exit=3, tier="prepare", says="GiB are available", evidence=seen.play_started, smoke=True),
    Case("missing-image", "missing-image", "A tag that its registry does not have", of_pr(7),
         exit=1, tier="prepare", says="manifest.*unknown|not found", evidence=seen.play_started, smoke=True),
    Case("rate-limit", "rate-limit", "A registry that has had enough", of_pr(8),
         around=(hands.registry("faultbox/(manifests|blobs)", hands.EVER, 21600),),
         exit=3, tier="prepare", says="(?i)toomanyrequests|pull rate limit", evidence=seen.refused(429)),
    Case("rate-limit-stubborn", "rate-limit", "A registry that wants a second, again and again", of_pr(8),
         around=(hands.registry("faultbox/(manifests|blobs)", hands.EVER, 1),),
         exit=3, tier="prepare", says="(?i)toomanyrequests|pull rate limit", evidence=seen.refused(429)),
    Case("rate-limit-passing", "rate-limit", "A registry that wants two seconds of peace", of_pr(8),
         around=(hands.registry("faultbox/manifests", 2, 2),),
         also=asked_again_in_time),
    Case("shared-quota", "shared-quota", "A container's own download meets a rate limit", of_pr(10),
         exit=3, tier="install", service="app", says="429 Too Many Requests", evidence=seen.exits("app", 2)),
    Case("missing-bind-source", "missing-bind-source", "A node without /etc/timezone", of_pr(9),
         around=(hands.without_timezone,),
         exit=3, tier="prepare", service="app", says="/etc/timezone", evidence=seen.play_started),
    Case("port-taken", "port-taken", "A port that another service has", of_pr(12), around=(hands.port_held,),
         exit=1, tier="prepare", says="5432.*ccci-faults-port", evidence=seen.play_started),
    Case("missing-reference", "missing-reference", "A config that nobody made", of_pr(13),
         exit=1, tier="install", says="greeting", evidence=seen.play_started),
    Case("unschedulable", "unschedulable", "A placement that no node has", of_pr(14),
         exit=1, tier="install", service="app", says="no node fits|placement", evidence=seen.deployed("app")),
    Case("start-failed", "start-failed", "An entrypoint that the image does not have", of_pr(15),
         exit=1, tier="install", service="app", says="wrapper", evidence=seen.not_started("app")),
    Case("acme-missing", "acme-missing", "A certificate dumper on a node without acme.json", of_pr(17),
         exit=1, tier="install", service="certdumper", says=r"acme\.json",
         evidence=seen.exits("certdumper", 2)),
    Case("killed-while-booting", "killed-while-booting", "Somebody stops a service while it boots",
         INSTALL, "checked-side", around=(hands.agent("stop-booting", 6, *INSTALL),),
         exit=1, tier="install", service="side", says="told to stop", evidence=seen.ended("side", 70, 2)),
    Case("killed-outside", "killed-outside", "Somebody kills a service again and again",
         INSTALL, "slow-app", around=(hands.agent("kill-started", 9, *INSTALL),),
         exit=3, tier="install", service="db", says="ended from outside", evidence=seen.ended("db", 137, 2)),
    Case("not-converged", "not-converged", "An app that takes longer than the limit", INSTALL, "short-deploy",
         exit=1, tier="install", service="app", says="not converged after 12 s",
         evidence=seen.later(seen.deployed("app"), 12)),
    Case("db-killed-in-init", "db-killed-in-init", "An upgrade that comes while the database is being made",
         of_pr(23, *UPGRADE), "slow-db",
         exit=1, tier="upgrade", service="db", says="MLOG_CHECKPOINT", evidence=seen.exits("db")),

    # What must not be mistaken for a failure.
    Case("legit-restarts", "legit-restarts", "An app that gives up until its database is there", of_pr(18),
         where="install.no_restart_loop",
         says=r"(?s)app restarted \d+ times.*side restarted once \(exit code 137\).*was db"),
    Case("boot-placeholder", "boot-placeholder", "A page that says “starting up” for a while", of_pr(19), "json-health",
         where="install.health", says=r"after \d+ tries.*no JSON"),
    Case("health-before-write", "health-before-write", "Writes that fail for some seconds after a restore",
         of_pr(22, *RESTORE), "write-after-restore", where="restore.write", says=r"\d times: status 500"),
    Case("health-before-write-4xx", "health-before-write", "A write that is refused for good after a restore",
         of_pr(22, *RESTORE), "bad-write-after-restore",
         exit=1, tier="restore", named="", says="400",
         evidence=seen.command_ended("-- restore")),
    Case("subservice-race", "subservice-race", "An upgrade that waits until the second service is ready",
         of_pr(27, "--tags", "install,upgrade"), "gated-side", also=booted_in_peace,
         where="install.ready", says=r"after \d+ tries"),
    Case("browser-transient", "browser-transient", "The network changes while the browser loads the page", of_pr(25),
         around=(hands.network_changes,), where="install.page", says="net::ERR_NETWORK_CHANGED"),
    Case("cold-frame", "cold-frame", "A button in a frame that is compiled at the first visit",
         of_pr(26, *CUSTOM), "frame-test", where="faultbox.test_the_button_comes", says="loaded again"),
    Case("untracked-marker", "untracked-marker", "An overlay in the checkout, which abra marks as +U",
         UPGRADE, "overlay", where="upgrade.commit", says=r"\+U"),
    Case("bad-depends-on", "bad-depends-on", "A depends_on of a service that is not there", of_pr(16),
         where="prepare.compose_valid", says="undefined service 'cache'"),
    Case("redeploy-flake", "redeploy-flake", "Values that are only known after the first deploy",
         of_pr(1, "--tags", "install,upgrade"), "late-values", also=deployed_once),

    # Backups.
    Case("empty-backup", "empty-backup", "No service with the backup label", of_pr(20, *BACKUP),
         exit=1, tier="backup", says="no service"),
    Case("silent-restore", "silent-restore", "A restore hook that does nothing and returns 0", of_pr(21, *RESTORE),
         exit=1, tier="restore", says="(?i)after the backup|nothing",
         evidence=seen.command_ended("-- restore")),
    Case("hook-failed", "hook-failed", "A backup hook that ends with an error", of_pr(28, *BACKUP),
         exit=1, tier="backup", service="app", says="7", evidence=seen.command_ended("-- create")),
    Case("restore-failed", "restore-failed", "A restore hook that breaks off", of_pr(29, *RESTORE),
         exit=1, tier="restore", says="(?i)", evidence=seen.command_ended("-- restore")),
    Case("backup-race", "backup-race", "A service is being replaced while the backup lists volumes",
         BACKUP, "with-side", around=(hands.agent("miss-volume", 1, *BACKUP),),
         where="backup.paths", says="at try 2"),
    Case("backup-race-lost", "backup-race", "It is being replaced at each try",
         BACKUP, "with-side", around=(hands.agent("miss-volume", 9, *BACKUP),),
         exit=1, tier="backup", service="side", says="side", evidence=seen.command_ended("-- create")),
    Case("interactive-hang", "interactive-hang", "A backup hook that waits for an answer",
         of_pr(24, *BACKUP), "short-backup",
         exit=1, tier="backup", says="within 1?[05] s", evidence=seen.later(seen.command_began("-- create"), 15)),
    Case("interactive-hang-hook", "interactive-hang", "A hook that scales a service and waits for ever",
         UPGRADE, "hanging-hook",
         exit=1, tier="upgrade", says="docker service update.*did not end within 15 s"),

    # Deps. The provider of settings/sso is a page and a document, so each fault is one text in its files.
    Case("dep-provided", "dep-not-provided", "A dep that gives what it should", CUSTOM, "sso",
         around=with_dep(), also=nothing_left, where="install.sso.provided", says="names itself and its endpoints"),
    Case("dep-not-ready", "boot-placeholder", "A dep that never becomes ready", INSTALL, "sso",
         around=with_dep(("custom-html/recipe.yml", "http: 30}", "http: 8}\nhealth: {path: /ready}")),
         exit=3, tier="install", named="", says="404", also=only_the_dep),
    Case("dep-not-provided", "dep-not-provided", "A provider that raises an error", INSTALL, "sso",
         around=with_dep((PROVIDER, "    return {", '    raise RuntimeError("the realm is locked")\n    return {')),
         exit=3, tier="install", says=r"custom-html \(dep sso\): RuntimeError: the realm is locked \(sso\.py:\d+\)",
         evidence=seen.command_ended("openid-configuration"), also=only_the_dep),
    Case("dep-not-provided-hang", "dep-not-provided", "A provider that never answers", INSTALL, "sso",
         around=with_dep((PROVIDER, "    endpoints = {", "    __import__('time').sleep(600)\n    endpoints = {"),
                         (PROVIDES, "limit: 120", "limit: 6")),
         exit=3, tier="install", says=r"custom-html \(dep sso\): still running after 6 s", also=only_the_dep),
    Case("dep-wrong-facts", "dep-wrong-facts", "Facts with a misspelt name", INSTALL, "sso",
         around=with_dep((PROVIDER, '"client_id"', '"clientid"')),
         exit=3, tier="install", says=r"custom-html \(dep sso\): the facts are no sso.*clientid",
         evidence=seen.command_ended("openid-configuration"), also=only_the_dep),
    Case("dep-wrong-issuer", "dep-wrong-issuer", "A provider that calls itself something else", INSTALL, "sso",
         around=with_dep((PROVIDER, 'document = {"issuer": app.url', 'document = {"issuer": "https://elsewhere.example"')),
         exit=3, tier="install", says=r"custom-html \(dep sso\): .*issuer is 'https://elsewhere\.example'",
         evidence=seen.command_ended("openid-configuration"), also=only_the_dep, smoke=True),
    Case("dep-secret-taken", "leaked-dep", "A secret of the node where one from a dep should be", INSTALL, "sso",
         around=(hands.looked_before, hands.secret_there("sso_secret_v1", *INSTALL)),
         exit=3, tier="prepare", named="", says="_sso_secret_v1",
         evidence=seen.play_started, also=nothing_deployed),
    Case("dep-unprovided", "dep-not-provided", "A dep without a file that says what it provides", settings="sso",
         act=acts.unprovided_dep),
    Case("login-failed", "login-failed", "A provider that does not take the credentials",
         ("--tags", "install,custom"), "sso",
         around=with_dep((PARENT, "deps:", "login: {through: sso, path: /login, then: [{expect_text: ada}]}\ndeps:")),
         exit=1, tier="install", says="Wrong user name or password", also=goes_on),
    Case("skip-goes-green-sso", "skip-goes-green", "A test of the login that skips itself", CUSTOM, "sso",
         around=with_dep(("faultbox/tests/test_sso.py", "    done = ",
                          '    import pytest\n\n    pytest.skip("nobody is there")\n    done = ')),
         exit=3, tier="custom", says=r"SSO UNVERIFIED.*nobody is there", also=only_the_test),

    # What cannot happen any more: each of these tries.
    Case("prune-mid-deploy", "prune-mid-deploy", "A cleaning in the middle of a run", act=acts.prune_in_a_run),
    Case("cached-untagged", "cached-untagged", "An image that is here by digest only", act=acts.cached_without_a_tag),
    Case("leaked-dep", "leaked-dep", "A kept run where the next one wants to be", act=acts.leaked_run),
    Case("killed-run", "killed-run", "Everything of a run is killed at once", act=acts.killed_run),
    Case("removal-in-progress", "removal-in-progress", "A volume that is given back late", act=acts.held_volume),
    Case("removal-in-progress-ever", "removal-in-progress", "A volume that is never given back",
         act=acts.held_volume_for_ever),
    Case("skip-goes-green", "skip-goes-green", "Tests that skip themselves", settings="skipping",
         act=acts.skipped_tests),
    Case("skip-goes-green-deps", "skip-goes-green", "A dep that no recipe provides", settings="deps",
         act=acts.refused("recipe.yml:3: there is no folder", "no-such-provider")),
    Case("stale-checkout", "stale-checkout", "A test file that vanishes", settings="two-tests",
         act=acts.vanished_test),
    Case("duplicate-test", "duplicate-test", "A stray copy of a test", settings="duplicate",
         act=acts.refused("used twice", "test_a.py:", "test_b.py:"), smoke=True),
    Case("vacuous-floor", "vacuous-floor", "One test that counts twice", settings="copied-test",
         act=acts.refused("is a copy of", verb=("lint", "faultbox"))),
    Case("wrong-service", "wrong-service", "A test that guesses a service's name",
         CUSTOM, "wrong-service",
         exit=1, tier="custom", says="(?s)postgres.*app"),
    Case("wrong-service-marker", "wrong-service", "A marker in a service that is not there", settings="wrong-marker",
         act=acts.refused("postgres", "one of app")),
    Case("dns-cutover", "dns-cutover", "The wildcard's names cannot be resolved", INSTALL,
         around=(hands.no_ingress_address,),
         exit=3, tier="prepare", says="(?i)name or service not known|resol", evidence=seen.play_started),
    Case("git-host-down", "git-host-down", "A git host that answers 404 on everything", act=acts.dead_forge),
]  # fmt: skip
