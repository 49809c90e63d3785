"""BKP: backup and restore through abra, with whatever backup service the node has."""

from __future__ import annotations

import pytest
from abra_adapter import Abra
from abra_recipes import Source, compose, sample
from abra_swarm import Swarm, stack_of

pytestmark = pytest.mark.docker
SERVICE = """\
    volumes: ["data:/data", "cache:/cache"]
    healthcheck: {test: "test -f /data/word", interval: 1s, timeout: 2s, retries: 5}"""
LABELS = """\
        - "backupbot.backup=true"
        - "backupbot.backup.volumes.cache=false"
        - "backupbot.backup.pre-hook=cp /data/word /data/dump"
        - "backupbot.backup.post-hook=rm /data/dump"
        - "backupbot.restore.post-hook=cp /data/dump /data/reimported\""""
SCRIPT = "echo before > /data/word; echo x > /cache/word; trap 'exit 0' TERM; while :; do sleep 1 & wait $$!; done"
TAIL = "volumes:\n  data:\n  cache:\n"
BACKUP_SERVICE = "coop-cloud.backupbot.enabled=true"


def words(abra: Abra, domain: str, script: str) -> str:
    return abra.ok("app", "run", domain, "app", "-n", "--", "sh", "-c", script, pty=True).output.strip()


def test_bkp_1_to_7_backup_and_restore(abra: Abra, swarm: Swarm, domain: str) -> None:
    assert swarm.docker("service", "ls", "--filter", f"label={BACKUP_SERVICE}", "--quiet"), (
        "no service has the label of a backup service. Set the embedded platform up: make platform"
    )
    source = Source(abra.folder.parent / "origin/keepsake")
    text = compose("1.0.0+12.0", service=SERVICE, labels=LABELS, tail=TAIL, script=SCRIPT)
    source.commit({".env.sample": sample("keepsake"), "abra.sh": "", "compose.yml": text}, "1.0.0+12.0")
    source.clone_to(abra.checkout("keepsake"))
    abra.ok("app", "new", "keepsake", "-n", "-o", "--server", "default", "--domain", domain)
    abra.ok("app", "deploy", domain, "-n", "-o", "-D", limit=90)

    abra.ok("app", "backup", "create", domain, "-n", "-o", "-C", pty=True, limit=90)
    snapshots = abra.ok("app", "backup", "snapshots", domain, "-n", "-o", "-C", pty=True)
    assert any(character.isdigit() for character in snapshots.output)
    assert words(abra, domain, "ls /data") == "word", "BKP-3: the post-hook took the dump away"

    words(abra, domain, "echo after > /data/word; echo after > /cache/word")
    abra.ok("app", "restore", domain, "-n", "-o", "-C", pty=True, limit=90)
    assert words(abra, domain, "cat /data/word") == "before"
    assert words(abra, domain, "cat /data/reimported") == "before", "BKP-7: restore hooks run after the files are back"
    assert words(abra, domain, "cat /cache/word") == "after", "BKP-3: a volume that is left out stays as it is"
    service = swarm.docker("service", "ls", "--filter", f"label={BACKUP_SERVICE}", "--quiet").split()[0]
    container = swarm.docker("ps", "--quiet", "--filter", f"label=com.docker.swarm.service.id={_id(swarm, service)}")
    forget = ["exec", "-e", f"SERVICE={stack_of(domain)}", container.split()[0], "/usr/bin/backup", "forget"]
    swarm.docker(*forget, check=False)  # a stranger's backup service may have no such verb; then its snapshot stays


def test_bkp_3_without_labels_there_is_nothing_to_back_up(abra: Abra, plain: Source, swarm: Swarm, domain: str) -> None:
    abra.ok("app", "new", "plain", "-n", "-o", "--server", "default", "--domain", domain)
    abra.ok("app", "deploy", domain, "-n", "-o", "-D", "-c")
    assert abra("app", "backup", "create", domain, "-n", "-o", "-C", pty=True, limit=60).rc != 0


def _id(swarm: Swarm, service: str) -> str:
    return str(swarm.inspect("service", service)["ID"])
