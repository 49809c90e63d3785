"""The ids that a run has to speak about. What is planned and neither reached nor explained makes the run red. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ccci.plan.tiers import TIERS, requested

OPERATION, ASSERTION = "operation", "assertion"


@dataclass(frozen=True)
class Expected:
    """One id. `also_for` names the tiers that need this operation although it belongs to another one; `dep` is the key
    of the dep that it speaks about."""

    id: str
    kind: str
    title: str
    also_for: tuple[str, ...] = ()
    dep: str | None = None

    @property
    def tier(self) -> str:
        return self.id.partition(".")[0]

    def to_json(self) -> dict[str, str]:
        of_dep = {"dep": self.dep} if self.dep else {}
        return {"id": self.id, "tier": self.tier, "kind": self.kind, "title": self.title, **of_dep}


@dataclass(frozen=True)
class DepShape:
    """A dep, for its ids: `level` as in plan.deps; `told` names it in titles; `warm`: it is not deployed;
    `lent`: something is made in it for the run."""

    key: str
    level: int
    told: str
    pre_install: bool = False
    ready: bool = False
    warm: bool = False
    lent: bool = True


@dataclass(frozen=True)
class Shape:
    """What decides which ids there are. `unplanned` are tiers that cannot or shall not be judged at all. `ready` are
    probes of the version that is installed first, `ready_head` those of the ref under test. `deps` are in the order of
    their deploys; `login`: a person logs in through one of them."""

    tags: tuple[str, ...] = ("all",)
    unplanned: tuple[str, ...] = ()
    marker: bool = True
    ready: bool = False
    ready_head: bool = False
    gates: bool = False
    hooks: tuple[str, ...] = ()
    page: bool = True
    health_from_install: bool = True
    tests: tuple[str, ...] = ()
    deps: tuple[DepShape, ...] = ()
    login: bool = False


@dataclass(frozen=True)
class ExpectedTest:
    """A recipe's own test; its id begins with the recipe's name, not with a tier's."""

    id: str

    def to_json(self) -> dict[str, str]:
        return {"id": self.id, "tier": "custom", "kind": ASSERTION, "title": f"The recipe's own test {self.id}"}


_EVERY_LATER = ("upgrade", "backup", "restore", "custom")
_GENERIC = (
    Expected("prepare.node", OPERATION, "The node is ready and free for this run"),
    Expected("prepare.compose_valid", OPERATION, "The compose files are valid"),
    Expected("prepare.policy", OPERATION, "The compose files ask for nothing forbidden"),
    Expected("prepare.images_pulled", OPERATION, "Every image can be pulled"),
    Expected("install.pre_install", OPERATION, "The hook pre_install ran", _EVERY_LATER),
    Expected("install.deploy", OPERATION, "The app is deployed", _EVERY_LATER),
    Expected("install.converged", OPERATION, "All services have converged", _EVERY_LATER),
    Expected("install.no_restart_loop", ASSERTION, "No service restarts again and again"),
    Expected("install.health", ASSERTION, "The app answers its health check"),
    Expected("install.certificate", ASSERTION, "The TLS certificate is for the app's domain"),
    Expected("install.ready", OPERATION, "The ready probes hold", _EVERY_LATER),
    Expected("install.page", ASSERTION, "A browser shows the page"),
    Expected("install.post_install", OPERATION, "The hook post_install ran", _EVERY_LATER),
    Expected("install.login", ASSERTION, "A person logs in, and out again"),
    Expected("upgrade.marker_seeded", OPERATION, "The marker is written", ("backup", "restore")),
    Expected("upgrade.gates", OPERATION, "The gates before the upgrade are open"),
    Expected("upgrade.pre_upgrade", OPERATION, "The hook pre_upgrade ran"),
    Expected("upgrade.deploy", OPERATION, "The app is redeployed in place at the ref under test"),
    Expected("upgrade.converged", OPERATION, "All services have converged again"),
    Expected("upgrade.ready", ASSERTION, "The ready probes hold after the upgrade"),
    Expected("upgrade.commit", ASSERTION, "The stack runs the commit under test"),
    Expected("upgrade.images_changed", ASSERTION, "Image digests changed, or the upgrade says that it is a no-op"),
    Expected("upgrade.update_completed", ASSERTION, "Swarm completed the update without a rollback"),
    Expected("upgrade.volumes_kept", ASSERTION, "The volumes are the same as before"),
    Expected("upgrade.secrets_kept", ASSERTION, "The secrets are the same as before"),
    Expected("upgrade.marker_survived", ASSERTION, "The marker survived the upgrade"),
    Expected("upgrade.health", ASSERTION, "The app answers its health check after the upgrade"),
    Expected("upgrade.login", ASSERTION, "A person logs in after the upgrade"),
    Expected("backup.pre_backup", OPERATION, "The hook pre_backup ran", ("restore",)),
    Expected("backup.marker_present", ASSERTION, "The marker is there before the backup"),
    Expected("backup.survey", OPERATION, "At least one service is backed up", ("restore",)),
    Expected("backup.snapshot", OPERATION, "A snapshot was made", ("restore",)),
    Expected("backup.paths", ASSERTION, "The snapshot holds the expected paths"),
    Expected("restore.pre_restore", OPERATION, "The hook pre_restore ran"),
    Expected("restore.mutated", OPERATION, "The marker was changed after the backup"),
    Expected("restore.run", OPERATION, "The backup was restored"),
    Expected("restore.post_restore", OPERATION, "The hook post_restore ran"),
    Expected("restore.converged", OPERATION, "All services run after the restore"),
    Expected("restore.ready", ASSERTION, "The ready probes hold after the restore"),
    Expected("restore.marker_back", ASSERTION, "The backed-up marker is back"),
    Expected("restore.health", ASSERTION, "The app answers its health check after the restore"),
    Expected("restore.login", ASSERTION, "A person logs in after the restore"),
    Expected("restore.write_ready", ASSERTION, "The app's data can be written again"),
    Expected("custom.setup_custom", OPERATION, "The hook setup_custom ran"),
    Expected("teardown.removed", OPERATION, "Nothing of the run is left on the node"),
    Expected("teardown.deploy_count", ASSERTION, "The app was deployed exactly once"),
    Expected("teardown.stayed_up", ASSERTION, "Every service stayed up after it had converged"),
    Expected("teardown.no_secret_leak", ASSERTION, "No secret can be read in the run's files"),
)
# Of each dep, as <tier>.<key>.<name>. Here without the key, and with {} for its name in titles.
_OF_DEP = (
    Expected("prepare.warm", OPERATION, "{}: the warm one can be used"),
    Expected("prepare.compose_valid", OPERATION, "{}: the compose files are valid"),
    Expected("prepare.policy", OPERATION, "{}: the compose files ask for nothing forbidden"),
    Expected("prepare.images_pulled", OPERATION, "{}: every image can be pulled"),
    Expected("install.pre_install", OPERATION, "{}: the hook pre_install ran", _EVERY_LATER),
    Expected("install.deploy", OPERATION, "{}: the app is deployed", _EVERY_LATER),
    Expected("install.converged", OPERATION, "{}: all services have converged", _EVERY_LATER),
    Expected("install.no_restart_loop", ASSERTION, "{}: no service restarts again and again"),
    Expected("install.health", OPERATION, "{}: the app answers its health check", _EVERY_LATER),
    Expected("install.ready", OPERATION, "{}: the ready probes hold", _EVERY_LATER),
    Expected("install.provided", OPERATION, "{}: it provides what the recipe needs", _EVERY_LATER),
    Expected("teardown.stayed_up", ASSERTION, "{}: every service stayed up while it was lent"),
    Expected("teardown.withdrawn", ASSERTION, "{}: what it made for the run is gone"),
)
_OF_WARM_ALONE = ("prepare.warm", "teardown.stayed_up", "teardown.withdrawn")
_OF_WARM = (*_OF_WARM_ALONE, "install.health", "install.ready", "install.provided")
_DEPLOYED_FIRST = ("install.pre_install", "install.deploy")  # of all deps of a level, before the level is judged
_AFTER_LEVEL_0 = "prepare.images_pulled"  # pulled while the first deps boot
# The id of a hook is <tier>.<hook>.
HOOK_TIERS = {
    "pre_install": "install", "post_install": "install", "pre_upgrade": "upgrade", "pre_backup": "backup",
    "pre_restore": "restore", "post_restore": "restore", "setup_custom": "custom",
}  # fmt: skip
MARKER_IDS = (
    "upgrade.marker_seeded", "upgrade.marker_survived", "backup.marker_present", "restore.mutated",
    "restore.marker_back",
)  # fmt: skip


def expected(shape: Shape) -> list[Expected | ExpectedTest]:
    """Every id of the run, in the order of its life. A tier that was not asked for gives only the operations that
    another one needs; its assertions are not expected."""
    wanted = [tier for tier in requested(shape.tags) if tier not in shape.unplanned]
    chosen: list[Expected | ExpectedTest] = [
        item for item in _with_deps(shape) if _applies(item, shape) and _is_due(item, wanted)
    ]
    if "custom" in wanted:
        last = next(index for index, item in enumerate(chosen) if isinstance(item, Expected) and item.tier == TIERS[-1])
        chosen[last:last] = [ExpectedTest(test) for test in shape.tests]
    return chosen


def _with_deps(shape: Shape) -> list[Expected]:
    """The generic ids and those of the deps, where the life comes to them: the app's images are pulled while the first
    deps boot, and its own deploy comes last."""
    if not shape.deps:
        return list(_GENERIC)
    prepared = [item for dep in shape.deps for item in of_dep(dep) if item.tier == "prepare"]
    levels: list[Expected] = []
    for level in sorted({dep.level for dep in shape.deps}):
        items = [item for dep in shape.deps if dep.level == level for item in of_dep(dep) if item.tier == "install"]
        first = [item for item in items if _without_key(item.id) in _DEPLOYED_FIRST]
        levels += first
        if level == 0:
            levels += [item for item in _GENERIC if item.id == _AFTER_LEVEL_0]
        levels += [item for item in items if item not in first]
    own = [item for item in _GENERIC if item.id != _AFTER_LEVEL_0]
    before, after = ([item for item in own if item.tier == tier] for tier in ("prepare", "teardown"))
    withdrawn = [item for dep in shape.deps for item in of_dep(dep) if item.tier == "teardown"]
    return [*before, *prepared, *levels, *own[len(before) : -len(after)], *withdrawn, *after]


def of_dep(dep: DepShape) -> list[Expected]:
    """The ids of one dep: `install.sso.deploy`."""
    optional = {"install.pre_install": dep.pre_install, "install.ready": dep.ready, "teardown.withdrawn": dep.lent,
                "teardown.stayed_up": dep.lent}  # fmt: skip
    here = {item.id: item.id in _OF_WARM if dep.warm else item.id not in _OF_WARM_ALONE for item in _OF_DEP}
    return [
        Expected(_with_key(item.id, dep.key), item.kind, item.title.format(dep.told), item.also_for, dep.key)
        for item in _OF_DEP
        if here[item.id] and optional.get(item.id, True)
    ]


def _with_key(identifier: str, key: str) -> str:
    tier, _, rest = identifier.partition(".")
    return f"{tier}.{key}.{rest}"


def _without_key(identifier: str) -> str:
    tier, _, rest = identifier.partition(".")
    return f"{tier}.{rest.rpartition('.')[2]}"


def generic_ids() -> frozenset[str]:
    """Every id that some run of some recipe may expect, the recipes' own tests aside."""
    return frozenset(item.id for item in _GENERIC)


def ids_of_deps(keys: Iterable[str]) -> frozenset[str]:
    """Every id that a run with deps of these keys may expect of them."""
    return frozenset(_with_key(item.id, key) for key in keys for item in _OF_DEP)


def _is_due(item: Expected, wanted: Sequence[str]) -> bool:
    return item.tier in wanted or any(tier in wanted for tier in item.also_for)


def _applies(item: Expected, shape: Shape) -> bool:
    if item.dep is not None:
        return True
    if not shape.marker and item.id in MARKER_IDS:
        return False
    optional = {
        "install.ready": shape.ready,
        "install.page": shape.page and shape.health_from_install,
        "install.certificate": shape.page,
        "install.health": shape.health_from_install,
        "install.login": shape.login,
        "upgrade.gates": shape.gates,
        "upgrade.ready": shape.ready_head,
        "upgrade.login": shape.login,
        "restore.ready": shape.ready_head,
        "restore.login": shape.login,
        **{f"{tier}.{hook}": hook in shape.hooks for hook, tier in HOOK_TIERS.items()},
    }
    return optional.get(item.id, True)


def needed_for(identifier: str) -> tuple[str, ...]:
    """The other tiers that need an operation: what `--tags` of a plain ansible-playbook makes run as well."""
    own = next((item.also_for for item in _GENERIC if item.id == identifier), None)
    if own is not None or identifier.count(".") != 2:
        return own or ()
    return next((item.also_for for item in _OF_DEP if item.id == _without_key(identifier)), ())
