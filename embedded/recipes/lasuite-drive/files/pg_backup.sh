#!/bin/bash
# Run by backup-bot in the container of the database: pg_backup.sh backup | tidy | restore
set -euo pipefail

dump=/var/lib/postgresql/data/backup.sql

case "${1:-}" in
backup)
    # Written aside first: a dump that is there is whole.
    pg_dump --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --no-owner >"$dump.part"
    grep -q '^-- PostgreSQL database dump complete' "$dump.part"
    mv "$dump.part" "$dump"
    ;;
tidy)
    rm -f "$dump" "$dump.part"
    ;;
restore)
    test -s "$dump" || { echo "pg_backup.sh: $dump is missing or empty, nothing to restore" >&2; exit 1; }
    # The application's connections are ended: it must not write into a database that is going away.
    psql --username="$POSTGRES_USER" --dbname=postgres --quiet --set=ON_ERROR_STOP=1 \
        --command="DROP DATABASE IF EXISTS \"$POSTGRES_DB\" WITH (FORCE)" \
        --command="CREATE DATABASE \"$POSTGRES_DB\""
    psql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --quiet --set=ON_ERROR_STOP=1 --single-transaction \
        --output=/dev/null --file="$dump"
    rm -f "$dump"
    ;;
*)
    echo "usage: pg_backup.sh backup | tidy | restore" >&2
    exit 2
    ;;
esac
