"""Where a marker lives: a file in a volume, or a table of a database. Every store can be written, read and recognised.

Values are 32 hexadecimal digits. They reach a container through its input or as an archive, never as an argument: what
stands in a process list is no secret any more.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Protocol

from .answer import cut
from .docker import Client, running_container
from .docker_errors import DockerError

TABLE = "ccci_marker"
DROP = "DROP TABLE IF EXISTS ccci_marker"
CREATE = "CREATE TABLE ccci_marker (value VARCHAR(64) NOT NULL)"
INSERT = "INSERT INTO ccci_marker (value) VALUES ({})"
SELECT = "SELECT value FROM ccci_marker ORDER BY value"
LIMIT = 30.0  # seconds for one look into a container

# The password as the images' own variables give it; found inside, so that it is in no argument of ours.
_PSQL = """
PGPASSWORD=${POSTGRES_PASSWORD:-}
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi
export PGPASSWORD PGCONNECT_TIMEOUT=10
exec psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --set=VERBOSITY=verbose \
  --no-password --username="$1" --dbname="$2"
"""
_MYSQL = """
of() { for name in "$@"; do
  eval "file=\\${${name}_FILE:-}; value=\\${$name:-}"
  if [ -n "$file" ]; then cat "$file"; return; elif [ -n "$value" ]; then printf %s "$value"; return; fi
done; }
if [ "$1" = root ]; then MYSQL_PWD=$(of MARIADB_ROOT_PASSWORD MYSQL_ROOT_PASSWORD)
else MYSQL_PWD=$(of MARIADB_PASSWORD MYSQL_PASSWORD); fi
export MYSQL_PWD
exec "$(command -v mariadb || command -v mysql)" --batch --skip-column-names --connect-timeout=10 --user="$1" "$2"
"""
# Runs on the node, for images that have no sqlite3. In a root of its own: a link in the volume leads nowhere else.
_SQLITE = """
import json, os, sqlite3, sys
root, path = sys.argv[1:]
statements = json.load(sys.stdin)
os.chroot(root)
os.chdir("/")
if not os.path.isfile(path):
    sys.exit("no such file")
connection = sqlite3.connect(path, timeout=10)
rows = []
with connection:
    for statement, values in statements:
        rows = connection.execute(statement, values).fetchall()
connection.close()
print(json.dumps([row[0] for row in rows]))
"""


class StoreError(Exception):
    """The store could not be asked; that says nothing about the marker. The text holds its own words."""


class Refused(StoreError):  # noqa: N818 - says what happened
    """The store's own no to what was asked: the same question would get the same answer, however long one waits."""


class Misplaced(Exception):  # noqa: N818 - says what is wrong with the settings
    """The marker's settings name a place where it cannot be."""


class Store(Protocol):
    """`where` is for people. `read` gives every value that is there, sorted, or None when the place does not exist."""

    where: str

    def write(self, values: Sequence[str]) -> None: ...

    def read(self) -> list[str] | None: ...


def open_store(client: Client, stack: str, marker: Mapping[str, Any]) -> Store:
    """The store of a marker as it stands in plan.json. Misplaced for a kind that this module does not know."""
    kinds: dict[str, Callable[..., Store]] = {
        "file": FileStore,
        "postgres": PostgresStore,
        "mysql": MysqlStore,
        "sqlite": SqliteStore,
    }
    kind = str(marker.get("kind"))
    if kind not in kinds:
        raise Misplaced(f"a marker of kind {kind!r} is not written by this module; it knows {', '.join(kinds)}")
    return kinds[kind](client, stack, marker)


class _Placed:
    """What all stores have in common: a service, looked up anew each time, because tasks are replaced."""

    def __init__(self, client: Client, stack: str, marker: Mapping[str, Any]) -> None:
        self.client, self.stack = client, stack
        self.service = str(marker.get("service") or "app")
        self.path = str(marker.get("path") or "")
        self.user = str(marker.get("user") or "")
        self.database = str(marker.get("database") or "")
        self.where = f"{self.path or f'table {TABLE} of database {self.database}'} in service {self.service}"

    def container(self) -> str:
        return str(running_container(self.client, self.stack, self.service)["Id"])

    def mount(self, container: str) -> tuple[PurePosixPath, str, str]:
        """The volume that holds `path`: where it is mounted, its folder on the node, and the path inside it."""
        mounts = self.client.get(f"/containers/{container}/json")["Mounts"]
        wanted = PurePosixPath(self.path)
        holding = [one for one in mounts if wanted.is_relative_to(one["Destination"]) and one["Type"] == "volume"]
        if not holding:
            places = ", ".join(sorted(one["Destination"] for one in mounts if one["Type"] == "volume")) or "none"
            raise Misplaced(
                f"{self.path} is in no volume of service {self.service}; its volumes are mounted at: {places}"
            )
        best = max(holding, key=lambda one: len(one["Destination"]))
        target = PurePosixPath(best["Destination"])
        return target, str(best["Source"]), str(wanted.relative_to(target))


class FileStore(_Placed):
    """Through Docker's archive calls: they need no shell in the image, and no right of the container's user."""

    def write(self, values: Sequence[str]) -> None:
        container = self.container()
        target, _, inside = self.mount(container)
        content = "".join(f"{value}\n" for value in values).encode()
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            member = tarfile.TarInfo(inside)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
        query = {"path": str(target)}
        self.client.request("PUT", f"/containers/{container}/archive", query, packed.getvalue(), timeout=LIMIT)

    def read(self) -> list[str] | None:
        try:
            raw = self.client.request(
                "GET", f"/containers/{self.container()}/archive", {"path": self.path}, timeout=LIMIT
            )
        except DockerError as error:
            if error.status != 404:
                raise
            if "No such container" in error.message:
                raise StoreError(f"the container went away: {error.message}") from error
            return None
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            member = next(iter(archive), None)
            file = archive.extractfile(member) if member is not None and member.isreg() else None
            if file is None:
                return ["(not a file)"]
            return sorted(file.read(4096).decode("utf-8", "replace").splitlines())


class _TableStore(_Placed):
    """A table of its own with one column: an import that merges instead of replacing leaves more rows than one."""

    script = ""
    absent = re.compile("")
    refusal = re.compile("")

    def run(self, sql: str) -> str | None:
        """What the client prints; None when the table does not exist."""
        argv = ["sh", "-c", self.script, "sh", self.user, self.database]
        done = self.client.exec(self.container(), argv, stdin=sql.encode(), limit=LIMIT)
        if done.rc == 0:
            return done.stdout.decode("utf-8", "replace")
        words = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        if self.absent.search(words):
            return None
        told = f"the database's client ended with {done.rc}: {cut(words, 600) or 'no word'}"
        raise Refused(told) if self.refusal.search(words) else StoreError(told)

    def write(self, values: Sequence[str]) -> None:
        statements = [DROP, CREATE, *(INSERT.format(f"'{_plain(value)}'") for value in values)]
        self.run("".join(f"{statement};\n" for statement in statements))

    def read(self) -> list[str] | None:
        printed = self.run(f"{SELECT};\n")
        return None if printed is None else sorted(printed.split())


class PostgresStore(_TableStore):
    script = _PSQL
    absent = re.compile(r"\b42P01\b")  # undefined_table
    # Privileges and syntax. Not class 28 (roles) nor 3D000 (databases): an image's first start makes these late.
    refusal = re.compile(r"ERROR: +(42501|42601)\b")


class MysqlStore(_TableStore):
    script = _MYSQL
    absent = re.compile(r"\bERROR 1146\b")  # ER_NO_SUCH_TABLE
    refusal = re.compile(r"\bERROR (1064|1142)\b")  # ER_PARSE_ERROR, ER_TABLEACCESS_DENIED_ERROR


class SqliteStore(_Placed):
    def run(self, *statements: tuple[str, Sequence[str]]) -> list[str] | None:
        _, source, inside = self.mount(self.container())
        command = [sys.executable, "-I", "-c", _SQLITE, source, inside]
        try:
            done = subprocess.run(
                command, input=json.dumps(statements), capture_output=True, text=True, timeout=LIMIT, check=False,
                env={"PATH": os.defpath},
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise StoreError(f"SQLite did not answer within {LIMIT:.0f} s") from error
        if done.returncode == 0:
            return sorted(json.loads(done.stdout))
        words = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"return code {done.returncode}"
        if f"no such table: {TABLE}" in words or words == "no such file":
            return None
        refused = re.search("readonly database|not a database|malformed", words)
        raise (Refused if refused else StoreError)(f"SQLite on {self.where}: {words}")

    def write(self, values: Sequence[str]) -> None:
        rows = [(INSERT.format("?"), [value]) for value in values]
        if self.run((DROP, []), (CREATE, []), *rows) is None:
            raise Misplaced(f"there is no database {self.path} in service {self.service}")

    def read(self) -> list[str] | None:
        return self.run((SELECT, []))


def _plain(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]+", value):
        raise ValueError("a marker's value is hexadecimal")
    return value
