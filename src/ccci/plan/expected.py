"""The ids that a run has to speak about. What is planned and neither reached nor explained makes the run red. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ccci.plan.tiers import TIERS, requested

OPERATION, ASSERTION = "operation", "assertion"


@dataclass(frozen=True)
class Expected:
    """One id. `also_for` names the tiers that need this operation although it belongs to another one."""

    id: str
    kind: str
    title: str
    also_for: tuple[str, ...] = ()

    @property
    def tier(self) -> str:
        return self.id.partition(".")[0]

    def to_json(self) -> dict[str, str]:
        return {"id": self.id, "tier": self.tier, "kind": self.kind, "title": self.title}


@dataclass(frozen=True)
class Shape:
    """What decides which ids there are. `unplanned` are tiers that cannot or shall not be judged at all. `ready` are
    probes of the version that is installed first, `ready_head` those of the ref under test."""

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
    Expected("restore.write_ready", ASSERTION, "The app's data can be written again"),
    Expected("custom.setup_custom", OPERATION, "The hook setup_custom ran"),
    Expected("teardown.removed", OPERATION, "Nothing of the run is left on the node"),
    Expected("teardown.deploy_count", ASSERTION, "The app was deployed exactly once"),
    Expected("teardown.no_secret_leak", ASSERTION, "No secret can be read in the run's files"),
)
# The id of a hook is <tier>.<hook>.
HOOK_TIERS = {
    "pre_install": "install", "pre_upgrade": "upgrade", "pre_backup": "backup", "pre_restore": "restore",
    "post_restore": "restore", "setup_custom": "custom",
}  # fmt: skip
MARKER_IDS = (
    "upgrade.marker_seeded", "upgrade.marker_survived", "backup.marker_present", "restore.mutated",
    "restore.marker_back",
)  # fmt: skip


def expected(shape: Shape) -> list[Expected | ExpectedTest]:
    """Every id of the run, in the order of its life. A tier that was not asked for gives only the operations that
    another one needs; its assertions are not expected."""
    wanted = [tier for tier in requested(shape.tags) if tier not in shape.unplanned]
    chosen: list[Expected | ExpectedTest] = [item for item in _GENERIC if _applies(item, shape, wanted)]
    if "custom" in wanted:
        last = next(index for index, item in enumerate(chosen) if isinstance(item, Expected) and item.tier == TIERS[-1])
        chosen[last:last] = [ExpectedTest(test) for test in shape.tests]
    return chosen


def generic_ids() -> frozenset[str]:
    """Every id that some run of some recipe may expect, the recipes' own tests aside."""
    return frozenset(item.id for item in _GENERIC)


def _applies(item: Expected, shape: Shape, wanted: Sequence[str]) -> bool:
    if not shape.marker and item.id in MARKER_IDS:
        return False
    optional = {
        "install.ready": shape.ready,
        "install.page": shape.page and shape.health_from_install,
        "install.certificate": shape.page,
        "install.health": shape.health_from_install,
        "upgrade.gates": shape.gates,
        "upgrade.ready": shape.ready_head,
        "restore.ready": shape.ready_head,
        **{f"{tier}.{hook}": hook in shape.hooks for hook, tier in HOOK_TIERS.items()},
    }
    if not optional.get(item.id, True):
        return False
    return item.tier in wanted or any(tier in wanted for tier in item.also_for)


def needed_for(identifier: str) -> tuple[str, ...]:
    """The other tiers that need an operation: what `--tags` of a plain ansible-playbook makes run as well."""
    return next((item.also_for for item in _GENERIC if item.id == identifier), ())
