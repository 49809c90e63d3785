#!/bin/bash
# Run by backup-bot in the container of the database: pg_backup.sh backup | tidy | restore
set -euo pipefail

dump=/var/lib/postgresql/data/backup.sql.gz

ask() {
    psql --username="$POSTGRES_USER" --dbname=postgres --quiet --set=ON_ERROR_STOP=1 "$@"
}

case "${1:-}" in
backup)
    # Written aside first: a dump that is there is whole.
    pg_dump --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --no-owner | gzip >"$dump.part"
    gunzip -c "$dump.part" | grep '^-- PostgreSQL database dump complete' >/dev/null
    mv "$dump.part" "$dump"
    ;;
tidy)
    rm -f "$dump" "$dump.part"
    ;;
restore)
    test -s "$dump" || { echo "pg_backup.sh: $dump is missing or empty, nothing to restore" >&2; exit 1; }
    # Imported aside, so that a dump that cannot be read costs nothing. With the collation that Synapse demands.
    ask --command="DROP DATABASE IF EXISTS \"$POSTGRES_DB.new\" WITH (FORCE)" \
        --command="CREATE DATABASE \"$POSTGRES_DB.new\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
    gunzip -c "$dump" | psql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB.new" --quiet --set=ON_ERROR_STOP=1 \
        --single-transaction --output=/dev/null
    # Synapse's connections are ended; it makes new ones by itself, after some errors.
    ask --command="DROP DATABASE IF EXISTS \"$POSTGRES_DB\" WITH (FORCE)" \
        --command="ALTER DATABASE \"$POSTGRES_DB.new\" RENAME TO \"$POSTGRES_DB\""
    rm -f "$dump"
    ;;
*)
    echo "usage: pg_backup.sh backup | tidy | restore" >&2
    exit 2
    ;;
esac
