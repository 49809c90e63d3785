#!/bin/bash
# Run by backup-bot in the container of the database: mysql_backup.sh backup | tidy | restore
set -euo pipefail

dump=/var/lib/mysql/backup.sql.gz
MYSQL_PWD=$(<"$MARIADB_ROOT_PASSWORD_FILE")
export MYSQL_PWD

ask() {
    mariadb --user=root --batch --skip-column-names "$@"
}

case "${1:-}" in
backup)
    # Written aside first: a dump that is there is whole. It makes the database, too, with the collation that it has.
    mariadb-dump --user=root --single-transaction --routines --databases "$MARIADB_DATABASE" | gzip >"$dump.part"
    gunzip -c "$dump.part" | tail -n 1 | grep -q '^-- Dump completed'
    mv "$dump.part" "$dump"
    ;;
tidy)
    rm -f "$dump" "$dump.part"
    ;;
restore)
    test -s "$dump" || { echo "mysql_backup.sh: $dump is missing or empty, nothing to restore" >&2; exit 1; }
    gunzip -t "$dump"
    # The application must not write into a database that is going away: it is locked out, and its connections are ended.
    trap 'ask --execute="ALTER USER \`$MARIADB_USER\`@\`%\` ACCOUNT UNLOCK"' EXIT
    ask --execute="ALTER USER \`$MARIADB_USER\`@\`%\` ACCOUNT LOCK"
    ask --execute="KILL USER \`$MARIADB_USER\`@\`%\`"
    ask --execute="DROP DATABASE IF EXISTS \`$MARIADB_DATABASE\`"
    gunzip -c "$dump" | ask
    rm -f "$dump"
    ;;
*)
    echo "usage: mysql_backup.sh backup | tidy | restore" >&2
    exit 2
    ;;
esac
